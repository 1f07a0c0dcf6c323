//! A chat template to the program of gaps that the runtime chats with.
//!
//! The template is rendered on conversations whose contents are sentinels, which
//! shows what it writes between one step and the next. That is then checked by rendering
//! many other conversations both ways; a template that fails one is not of this form.

mod apart;
mod bounds;
mod check;
mod derive;
mod error;
mod gaps;
mod limits;
mod program;
mod render;
mod tags;

use serde_json::Value;

pub(crate) use apart::derive_apart;
pub use apart::serve;
pub use derive::derive;
pub use error::Underivable;

/// The section of a model without a chat program, with the reason that `chat` gives.
pub fn unavailable(reason: &Underivable) -> Vec<u8> {
    program::unavailable(&reason.0)
}

/// The template of a model directory: `chat_template.jinja` if there is one, else that of
/// `tokenizer_config.json` (its `default`, if it names several).
pub fn find(jinja: Option<&str>, tokenizer_config: Option<&[u8]>) -> Option<String> {
    if let Some(jinja) = jinja {
        return Some(jinja.to_owned());
    }
    let config: Value = serde_json::from_slice(tokenizer_config?).ok()?;
    let named = |list: &Vec<Value>| {
        let default = list.iter().find(|entry| entry["name"] == "default")?;
        Some(default["template"].as_str()?.to_owned())
    };
    match &config["chat_template"] {
        Value::String(template) => Some(template.clone()),
        Value::Array(list) => named(list),
        _ => None,
    }
}
