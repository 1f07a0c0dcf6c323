//! Recognising the normalizer of a `tokenizer.json`.

use oarlock::tokenizer::tables::{COMPAT, COMPOSE, LOWERCASE, PREPEND, SPACE_MARK};
use serde_json::Value;

use super::TokenizerError;
use super::spaces::MARK;

/// The rules of the text that do exactly what `normalizer` says.
pub(super) fn recognise(normalizer: &Value) -> Result<u32, TokenizerError> {
    let mut rules = 0;
    if !normalizer.is_null() {
        add(normalizer, &mut rules)?;
    }
    // What is put before a text is a mark, which only then is a space.
    if rules & PREPEND != 0 && rules & SPACE_MARK == 0 {
        return Err(refused(normalizer));
    }
    Ok(rules)
}

fn refused(what: &Value) -> TokenizerError {
    TokenizerError::unsupported("normalizer", what)
}

/// Adds the rule of a step. They are carried out in one order, whatever that of the steps.
fn add(step: &Value, rules: &mut u32) -> Result<(), TokenizerError> {
    const FORM: u32 = COMPOSE | COMPAT;
    let (rule, after) = match step["type"].as_str() {
        Some("Sequence") => {
            let steps = step["normalizers"].as_array().ok_or_else(|| refused(step))?;
            return steps.iter().try_for_each(|step| add(step, rules));
        }
        Some("NFC") => (COMPOSE, 0),
        Some("NFKC") => (FORM, 0),
        Some("Lowercase") => (LOWERCASE, FORM),
        Some("Prepend") if step["prepend"] == MARK => (PREPEND, FORM | LOWERCASE),
        Some("Replace") if step["pattern"]["String"] == " " && step["content"] == MARK => {
            (SPACE_MARK, FORM | LOWERCASE | PREPEND)
        }
        _ => return Err(refused(step)),
    };
    if *rules & !after != 0 {
        return Err(refused(step));
    }
    *rules |= rule;
    Ok(())
}
