//! Failures of turns, in the words of the command line.

use oarlock::conversation::{Pin, TurnError};

use crate::generate::template;
use crate::terminal::errors::{Stop, fault};

/// Names the option that is to blame, in a conversation that sees `context` tokens.
pub fn turn_fault(error: TurnError, pin: Pin, context: usize) -> Stop {
    match error {
        TurnError::NoSuchTurn(error) => template::no_such_turn(error),
        TurnError::TooLong => fault("tokenizer", "the text is too long", "give less at once"),
        TurnError::Pin { tokens, most } => too_much_pinned(pin, tokens, most, context),
        TurnError::Options(error) => fault("--sinks", error, "give fewer"),
        TurnError::NoTurn | TurnError::Truncate(_) => {
            fault("session", error, "start anew with /clear")
        }
    }
}

fn too_much_pinned(pin: Pin, tokens: usize, most: usize, context: usize) -> Stop {
    let half = format!("at most half of a context of {context} can be pinned, {most}");
    match pin {
        Pin::First(n) => fault(format!("--pin {n}"), half, format!("give at most {most}")),
        Pin::System => fault(
            "--pin system",
            format!("the system prompt has {tokens} tokens, and {half}"),
            format!("give --context {}, or --pin {most}", 2 * tokens),
        ),
    }
}
