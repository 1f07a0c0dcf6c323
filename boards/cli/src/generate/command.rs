//! `oarlock generate`: continues a text.

use oarlock::Options;
use oarlock::chat::Thinking;
use oarlock::generator::Generator;
use oarlock_hosted::Transcript;

use super::answer::{Answerer, Limits};
use super::{sampling, template};
use crate::terminal::console::note;
use crate::terminal::errors::{Outcome, fault};
use crate::terminal::{console, input};
use crate::{args, model};

/// Writes the continuation and one newline to stdout.
pub fn run(args: &args::Generate) -> Outcome {
    let prompt = prompt(args)?;
    let stops = sampling::stops(&args.sampling)?;
    let engine = model::engine(&args.run)?;
    let model = engine.model();
    let encoder = model::encoder(engine.file(), &model)?;
    let (date, mut thinking) = (template::date(&args.day), Thinking::No);
    let ids = if args.chat {
        let chat = template::program(engine.file(), &model, date.as_deref())?;
        thinking = chat.thinking();
        template::turn_ids(&encoder, chat.first_turn(None, &prompt))?
    } else {
        model::told(|| encoder.encode_prompt(&prompt))?
    };
    if ids.is_empty() {
        return Err(fault("prompt", "has no tokens", "give a text to continue"));
    }
    let draft = usize::from(args.lookup);
    let mut memory = model::memory(&model, Options { draft, ..model::options(&args.run, &model) })?;
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let sampler = sampling::sampler(&args.sampling, &model);
    let tokenizer = *encoder.tokenizer();
    let tokens = Transcript { ids, ..Transcript::default() };
    let mut generator = Generator::new(session, tokens);
    let mut answerer =
        Answerer { machine, sampler, tokenizer, stops, thinking, raw: args.sampling.raw };
    let limits = Limits {
        tokens: args.limit,
        ignore_end: args.ignore_eos,
        is_text: args.chat,
        interrupted: &|| false,
    };
    let answer = answerer.answer(&mut generator, &limits, &mut |_| ())?;
    console::put(b"\n")?;
    model::unchanged(engine.file())?;
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
