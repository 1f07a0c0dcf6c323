//! `oarlock generate`: continues a text.

use crate::answer::{Limits, Speaker};
use crate::engine::Engine;
use crate::errors::{Outcome, fault};
use crate::model_file::ModelFile;
use crate::words::Words;
use crate::{args, chatting, console, note, sampling, texts};

/// Writes the continuation and one newline to stdout.
pub fn run(args: &args::Generate) -> Outcome {
    let prompt = prompt(args)?;
    let stops = sampling::stops(&args.sampling)?;
    let file = ModelFile::open(&args.run.model)?;
    let model = file.model()?;
    let words = Words::new(file.tokenizer(&model)?);
    let (date, mut mark) = (chatting::date(&args.day), None);
    let ids = if args.chat {
        let chat = chatting::program(&file, &model, date.as_deref())?;
        mark = chat.mark();
        chatting::turn_ids(&words, chat.first_turn(None, &prompt))?
    } else {
        words.prompt(&prompt)?
    };
    if ids.is_empty() {
        return Err(fault("prompt", "has no tokens", "give a text to continue"));
    }
    let drafts = usize::from(args.lookup);
    let mut engine = Engine::with(&args.run, &model, |options| options.draft = drafts)?;
    let (session, machine) = engine.session(model)?;
    let sampler = sampling::sampler(&args.sampling, &model);
    let tokenizer = words.tokenizer;
    let (unfed, heard, before) = (Vec::new(), None, None);
    let mut speaker =
        Speaker { session, machine, sampler, tokenizer, stops, unfed, heard, mark, before };
    let limits = Limits {
        tokens: args.limit,
        ignore_end: args.ignore_eos,
        is_text: args.chat,
        interrupted: &|| false,
    };
    let answer = speaker.answer(&ids, &limits)?;
    console::put(b"\n")?;
    note!("{answer}");
    Ok(())
}

fn prompt(args: &args::Generate) -> Outcome<String> {
    match (&args.prompt, &args.file) {
        (Some(text), _) if text == "-" => texts::stdin(),
        (Some(text), _) => texts::argument("prompt", text).map(str::to_owned),
        (None, Some(path)) => texts::file(path),
        (None, None) => Ok(String::new()),
    }
}
