//! `oarlock generate`: continues a text.

use oarlock::Options;

use super::generator::{Generator, Limits};
use super::{sampling, template};
use crate::terminal::errors::{Outcome, fault};
use crate::terminal::{console, input};
use crate::{args, model, note};

/// Writes the continuation and one newline to stdout.
pub fn run(args: &args::Generate) -> Outcome {
    let prompt = prompt(args)?;
    let stops = sampling::stops(&args.sampling)?;
    let engine = model::engine(&args.run)?;
    let model = model::model(engine.file())?;
    let encoder = model::encoder(engine.file(), &model)?;
    let (date, mut mark) = (template::date(&args.day), None);
    let ids = if args.chat {
        let chat = template::program(engine.file(), &model, date.as_deref())?;
        mark = chat.mark();
        template::turn_ids(&encoder, chat.first_turn(None, &prompt))?
    } else {
        model::told(encoder.encode_prompt(&prompt))?
    };
    if ids.is_empty() {
        return Err(fault("prompt", "has no tokens", "give a text to continue"));
    }
    let draft = usize::from(args.lookup);
    let mut memory = model::memory(&model, Options { draft, ..model::options(&args.run, &model) })?;
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let sampler = sampling::sampler(&args.sampling, &model);
    let tokenizer = encoder.tokenizer();
    let (unfed, heard, before) = (Vec::new(), None, None);
    let mut generator =
        Generator { session, machine, sampler, tokenizer, stops, unfed, heard, mark, before };
    let limits = Limits {
        tokens: args.limit,
        ignore_end: args.ignore_eos,
        is_text: args.chat,
        interrupted: &|| false,
    };
    let answer = generator.answer(&ids, &limits)?;
    console::put(b"\n")?;
    note!("{answer}");
    Ok(())
}

fn prompt(args: &args::Generate) -> Outcome<String> {
    match (&args.prompt, &args.file) {
        (Some(text), _) if text == "-" => input::stdin(),
        (Some(text), _) => input::argument("prompt", text).map(str::to_owned),
        (None, Some(path)) => input::file(path),
        (None, None) => Ok(String::new()),
    }
}
