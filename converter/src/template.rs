//! A chat template to the program of gaps that the runtime chats with.
//!
//! The template is rendered on conversations whose contents are sentinels, which
//! shows what it writes between one step and the next. That is then checked by rendering
//! many other conversations both ways; a template that fails one is not of this form.

/// Why no chat program could be derived, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underivable(pub String);

/// Derives and checks the chat section of `template`, in which `specials` (`bos_token`, …)
/// have their text.
pub fn derive(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    let _ = (template, specials);
    Err(Underivable("not implemented".into()))
}

/// The section of a model without a chat program, with the reason that `chat` gives.
pub fn unavailable(reason: &Underivable) -> Vec<u8> {
    let _ = reason;
    Vec::new()
}

/// The template of a model directory: `chat_template.jinja` if there is one, else that of
/// `tokenizer_config.json` (its `default`, if it names several).
pub fn find(jinja: Option<&str>, tokenizer_config: Option<&[u8]>) -> Option<String> {
    let _ = (jinja, tokenizer_config);
    None
}
