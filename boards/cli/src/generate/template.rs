//! A conversation as token ids: what the model's chat template writes around messages.

use oarlock::Model;
use oarlock::chat::{Chat, ChatUnavailable, NoSuchTurn, Pieces};
use oarlock_convert::Shown;
use oarlock_hosted::{ModelFile, TextEncoder};

use crate::args;
use crate::model::{model_fault, told};
use crate::store;
use crate::terminal::errors::{Outcome, Stop, fault};

/// The date for the chat template, if it is known.
pub fn date(day: &args::Day) -> Option<String> {
    match day.date.as_deref() {
        Some(args::NO_DATE) => None,
        Some(date) => Some(date.to_owned()),
        None => args::date::today(),
    }
}

/// The model's chat program, for this date.
pub fn program<'m>(
    file: &ModelFile,
    model: &Model<'m>,
    date: Option<&'m str>,
) -> Outcome<Chat<'m>> {
    let chat = Chat::new(model.chat_section()).map(|chat| chat.dated(date));
    chat.map_err(|why| match why {
        ChatUnavailable::Reason(reason) => fault(
            store::source_of(file.path()).shown(),
            format!("this model cannot chat: {reason}"),
            "use oarlock generate",
        ),
        ChatUnavailable::BadSection => {
            model_fault(file, "its chat program is not one this version reads")
        }
    })
}

/// The ids of a turn.
pub fn turn_ids(
    encoder: &TextEncoder<'_>,
    turn: Result<Pieces<'_>, NoSuchTurn>,
) -> Outcome<Vec<u32>> {
    let pieces = turn.map_err(no_such_turn)?;
    told(|| encoder.encode_pieces(&pieces))
}

/// The order of messages is one that the template refuses.
pub fn no_such_turn(error: NoSuchTurn) -> Stop {
    let NoSuchTurn { from, to } = error;
    let what = format!("it has no place for {to:?} after {from:?}").to_lowercase();
    fault("chat template", what, "change the order of the messages")
}
