//! `oarlock tokenize`: text to ids, as one JSON array.

use oarlock::chat::Step;
use oarlock::tokenizer::Special;
use serde_json::Value;

use super::template;
use crate::terminal::errors::{Outcome, Stop, fault};
use crate::terminal::{console, input};
use crate::{args, model};

/// Writes the ids to stdout.
pub fn run(args: &args::Tokenize) -> Outcome {
    let text = match (&args.text, &args.file, &args.messages) {
        (Some(text), ..) => input::argument("text", text)?.to_owned(),
        (None, Some(path), _) | (None, None, Some(path)) => input::file(path)?,
        (None, None, None) => String::new(),
    };
    let file = model::open(&args.model, None)?;
    let model = model::model(&file)?;
    let encoder = model::encoder(&file, &model)?;
    let ids = if args.messages.is_some() {
        let date = template::date(&args.day);
        let chat = template::program(&file, &model, date.as_deref())?;
        let last = if args.no_generation_prompt { Step::End } else { Step::Generation };
        let (messages, mut pieces) = (messages(&text)?, Vec::new());
        let messages = messages.iter().map(|message| (message.role, message.content.as_str()));
        chat.conversation(messages, last, &mut |piece| pieces.push(piece))
            .map_err(template::no_such_turn)?;
        model::told(|| encoder.encode_pieces(&pieces))?
    } else {
        let special = if args.plain { Special::None } else { Special::All };
        let ids = model::told(|| encoder.encode(&text, special))?;
        if args.no_special { ids } else { encoder.with_ends(ids) }
    };
    model::unchanged(&file)?;
    console::put_line(&format!("{ids:?}"))
}

struct Message {
    role: Step,
    content: String,
}

/// A list of `{"role": …, "content": …}`, as chat templates take it.
fn messages(json: &str) -> Outcome<Vec<Message>> {
    let list: Value = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    let list = list.as_array().ok_or_else(|| malformed("not a list".into()))?;
    list.iter().enumerate().map(|(i, it)| message(it).ok_or_else(|| bad_message(i))).collect()
}

fn message(it: &Value) -> Option<Message> {
    let role = match it.get("role")?.as_str()? {
        "system" => Step::System,
        "user" => Step::User,
        "assistant" => Step::Assistant,
        _ => return None,
    };
    Some(Message { role, content: it.get("content")?.as_str()?.to_owned() })
}

fn malformed(what: String) -> Stop {
    fault("--messages", what, "give a JSON list of {\"role\", \"content\"}")
}

fn bad_message(index: usize) -> Stop {
    let remedy = "give \"role\" (system, user or assistant) and \"content\", both strings";
    fault("--messages", format!("message {index} is not one that chat knows"), remedy)
}
