//! A chat template to the program of gaps that the runtime chats with.
//!
//! The template is rendered on conversations whose contents are sentinels, which
//! shows what it writes between one step and the next. That is then checked by rendering
//! many other conversations both ways; a template that fails one is not of this form.

mod apart;
mod bounds;
mod check;
mod error;
mod gaps;
mod limits;
mod program;
mod render;

use serde_json::Value;

pub(crate) use apart::derive as derive_apart;
pub use apart::serve;
pub use error::Underivable;
use gaps::gaps;
use program::ChatProgram;
use render::{CLOCK, RenderOptions, THOUGHTS, Template};

/// Derives and checks the chat section of `template`, in which `specials` (`bos_token`, …)
/// have their text. One that can do without a clock gets none.
///
/// # Errors
/// If the template fails, is beyond the bounds of length, depth, steps and output, or writes something
/// else around messages than a program of gaps can.
pub fn derive(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    bounds::check(template)?;
    bounds::on_large_stack(|| derive_here(template, specials))
}

fn derive_here(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    let asks = template.contains(CLOCK);
    let plain = derive_with(template, specials, RenderOptions::default());
    let dated = if plain.is_err() && asks {
        derive_with(template, specials, RenderOptions { date: true, thoughts: false })
    } else {
        plain
    };
    dated.or_else(|why| {
        let given = RenderOptions { date: asks, thoughts: template.contains(THOUGHTS) };
        if given.thoughts {
            derive_with(template, specials, given).map_err(|_| why)
        } else {
            Err(why)
        }
    })
}

fn derive_with(
    template: &str,
    specials: &[(String, String)],
    given: RenderOptions,
) -> Result<Vec<u8>, Underivable> {
    let template = Template::new(template, specials, given)?;
    let mut program = ChatProgram::default();
    gaps(&template, &mut program)?;
    program.find_date()?;
    if check::refuses_system(&template) {
        program.merge_system();
    }
    check::habits(&template, &mut program)?;
    check::conversations(&template, &program)?;
    Ok(program.section())
}

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
