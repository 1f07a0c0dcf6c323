//! `oarlock logits`: the logits after every token, for checking and for research.

use oarlock::tokenizer::Special;
use oarlock::{Machine, Options, Session};

use super::npy::Npy;
use crate::terminal::console::aside;
use crate::terminal::errors::{Outcome, fault};
use crate::terminal::input;
use crate::{args, model};

/// Tokens whose logits are computed together: they share one reading of the output matrix.
pub const ROWS_AT_ONCE: usize = 16;

/// Writes an array of f32 (tokens, vocab_size).
pub fn run(args: &args::Logits) -> Outcome {
    let engine = model::engine(&args.run)?;
    let model = engine.model();
    let vocab_size = model.config().vocab_size;
    let ids = match (&args.tokens, &args.prompt) {
        (Some(tokens), _) => input::ids("--tokens", tokens, vocab_size)?,
        (None, Some(text)) => {
            let encoder = model::encoder(engine.file(), &model)?;
            let text = input::argument("prompt", text)?;
            encoder.with_ends(model::told(|| encoder.encode(text, Special::All))?)
        }
        (None, None) => Vec::new(),
    };
    if ids.is_empty() {
        return Err(fault("tokens", "there are none", "give --tokens or -p with a text"));
    }
    let options = Options {
        base_position: args.position,
        logit_rows: ROWS_AT_ONCE.min(ids.len()),
        ..model::options(&args.run, &model)
    };
    let mut memory = model::memory(&model, options)?;
    let (mut session, machine) = (model::session(model, &mut memory)?, engine.machine());
    aside!(
        "isa {}, threads {}, chunk {}",
        machine.isa.name(),
        machine.exec.threads(),
        session.options().chunk
    );
    let mut npy = Npy::create(&args.output, &[ids.len(), vocab_size])?;
    feed_each(&mut session, &machine, &ids, &mut |_, logits| npy.row(logits))?;
    model::unchanged(engine.file())?;
    npy.finish()
}

/// [`Session::feed_each`] for a closure that can fail; after that it is not called again.
pub fn feed_each(
    session: &mut Session<'_>,
    machine: &Machine<'_>,
    ids: &[u32],
    each: &mut dyn FnMut(usize, &[f32]) -> Outcome,
) -> Outcome {
    // Fed in steps, so that a full disk ends the work soon.
    let step = session.options().chunk.saturating_mul(16).max(1);
    let mut start = 0;
    for some in ids.chunks(step) {
        let mut done = Ok(());
        session.feed_each(machine, some, &mut |i, logits| {
            if done.is_ok() {
                done = each(start + i, logits);
            }
        })?;
        done?;
        start += some.len();
    }
    Ok(())
}
