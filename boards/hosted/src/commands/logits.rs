//! `oarlock logits`: the logits after every token, for checking and for research.

use oarlock::{Machine, Session};

use crate::engine::{Engine, feed_fault};
use crate::errors::{Outcome, fault};
use crate::model_file::ModelFile;
use crate::npy::Npy;
use crate::words::Words;
use crate::{args, aside, texts};

/// Tokens whose logits are computed together: they share one reading of the output matrix.
pub const ROWS_AT_ONCE: usize = 16;

/// Writes an array of f32 (tokens, vocab_size).
pub fn run(args: &args::Logits) -> Outcome {
    let file = ModelFile::open(&args.run.model)?;
    let model = file.model()?;
    let vocab_size = model.config().vocab_size;
    let ids = match (&args.tokens, &args.prompt) {
        (Some(tokens), _) => texts::ids("--tokens", tokens, vocab_size)?,
        (None, Some(text)) => {
            let words = Words::new(file.tokenizer(&model)?);
            words.text(texts::argument("prompt", text)?)?
        }
        (None, None) => Vec::new(),
    };
    if ids.is_empty() {
        return Err(fault("tokens", "there are none", "give --tokens or -p with a text"));
    }
    let mut engine = Engine::with(&args.run, &model, |options| {
        options.base_position = args.position;
        options.logit_rows = ROWS_AT_ONCE.min(ids.len());
    })?;
    let (mut session, machine) = engine.session(model)?;
    aside!(
        "isa {}, threads {}, chunk {}",
        machine.isa.name(),
        machine.exec.threads(),
        session.options().chunk
    );
    let mut npy = Npy::create(&args.output, &[ids.len(), vocab_size])?;
    feed_each(&mut session, &machine, &ids, &mut |_, logits| npy.row(logits))?;
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
        session
            .feed_each(machine, some, &mut |i, logits| {
                if done.is_ok() {
                    done = each(start + i, logits);
                }
            })
            .map_err(feed_fault)?;
        done?;
        start += some.len();
    }
    Ok(())
}
