//! Recognising the normalizer of a `tokenizer.json`.

use oarlock::tokenizer::tables::{
    CHARSMAP, COLLAPSE, COMPAT, COMPOSE, LOWERCASE, PREPEND, SPACE_MARK,
};
use serde_json::Value;

use super::charsmap;
use crate::tokenizer::error::TokenizerError;
use crate::tokenizer::sentencepiece::META_SYMBOL;

/// Changes to a text before it is cut.
#[derive(Default)]
pub(super) struct Normalizer {
    /// Rules as `oarlock::tokenizer::tables` has them.
    pub rules: u32,
    /// SentencePiece's table; empty if none of the rules is [`CHARSMAP`].
    pub charsmap: Vec<u8>,
}

impl Normalizer {
    /// The rules of the text that do exactly what `normalizer` says.
    pub fn recognise(normalizer: &Value) -> Result<Self, TokenizerError> {
        let mut known = Self::default();
        if !normalizer.is_null() {
            known.add(normalizer)?;
        }
        // What is put before a text is a mark, which only then is a space.
        if known.rules & PREPEND != 0 && known.rules & SPACE_MARK == 0 {
            return Err(refused(normalizer));
        }
        Ok(known)
    }

    /// Adds the rule of a step. They are carried out in one order, whatever that of the steps.
    fn add(&mut self, step: &Value) -> Result<(), TokenizerError> {
        const FORM: u32 = COMPOSE | COMPAT;
        const MAP: u32 = CHARSMAP | COLLAPSE;
        let (pattern, content) = (&step["pattern"], &step["content"]);
        let (rule, after) = match step["type"].as_str() {
            Some("Sequence") => {
                let steps = step["normalizers"].as_array().ok_or_else(|| refused(step))?;
                return steps.iter().try_for_each(|step| self.add(step));
            }
            Some("Precompiled") if self.rules == 0 => {
                self.charsmap = charsmap::read(step)?;
                (CHARSMAP, 0)
            }
            Some("NFC") => (COMPOSE, 0),
            Some("NFKC") => (FORM, 0),
            Some("Replace") if pattern["Regex"] == " {2,}" && content == " " => {
                if self.rules & CHARSMAP == 0 {
                    return Err(refused(step));
                }
                (COLLAPSE, CHARSMAP)
            }
            Some("Lowercase") => (LOWERCASE, FORM | MAP),
            Some("Prepend") if step["prepend"] == META_SYMBOL => (PREPEND, FORM | LOWERCASE),
            Some("Replace") if pattern["String"] == " " && content == META_SYMBOL => {
                (SPACE_MARK, FORM | MAP | LOWERCASE | PREPEND)
            }
            _ => return Err(refused(step)),
        };
        if self.rules & !after != 0 {
            return Err(refused(step));
        }
        self.rules |= rule;
        Ok(())
    }
}

fn refused(what: &Value) -> TokenizerError {
    let mut what = what.clone();
    leave_out_tables(&mut what);
    TokenizerError::unsupported("normalizer", what)
}

/// A table is no news to whoever reads a message.
fn leave_out_tables(step: &mut Value) {
    if let Some(table) = step.get_mut("precompiled_charsmap") {
        *table = Value::from("…");
    }
    let steps = step.get_mut("normalizers").and_then(Value::as_array_mut);
    steps.into_iter().flatten().for_each(leave_out_tables);
}
