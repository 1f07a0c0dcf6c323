//! `--pin`: what of a conversation is never forgotten.

use oarlock::Options;
use oarlock::chat::Chat;
use oarlock_hosted::TextEncoder;

use crate::args;
use crate::generate::template;
use crate::terminal::errors::{Outcome, fault};

/// How many tokens at the beginning are kept for ever: `--pin` or `--sinks`, whichever is more.
pub fn pinned(
    pin: args::Pin,
    sinks: usize,
    options: &Options,
    chat: &Chat<'_>,
    encoder: &TextEncoder<'_>,
    system: Option<&str>,
) -> Outcome<usize> {
    let most = options.context / 2;
    let context = options.context;
    match pin {
        args::Pin::First(n) if n > most => {
            let what = format!("at most half of a context of {context} can be pinned, {most}");
            Err(fault(format!("--pin {n}"), what, format!("give at most {most}")))
        }
        args::Pin::First(n) => Ok(n.max(sinks)),
        args::Pin::System => {
            let n = template::turn_ids(encoder, chat.system_turn(system))?.len();
            // The template's own is kept if there is room: nobody asked for it.
            match system {
                Some(_) if n > most => Err(fault(
                    "--pin system",
                    format!(
                        "the system prompt has {n} tokens, and at most half of a context of \
                         {context} can be pinned, {most}"
                    ),
                    format!("give --context {}, or --pin {most}", 2 * n),
                )),
                None if n > most => Ok(sinks),
                _ => Ok(n.max(sinks)),
            }
        }
    }
}
