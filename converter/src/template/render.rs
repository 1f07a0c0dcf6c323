//! Rendering a chat template as `transformers` does.

use std::cell::Cell;
use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, merge_maps};
use minijinja::{Environment, Error, ErrorKind, context};
use oarlock::chat::{DATE, Step};

use super::bounds::{ALL_FUEL, FUEL, OUTPUT};
use super::error::Underivable;

/// A message of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub role: Step,
    pub content: String,
    /// Another field, with its name.
    pub beside: Option<(&'static str, String)>,
}

impl Message {
    pub fn new(role: Step, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), beside: None }
    }

    /// The role's name in templates.
    pub fn name(&self) -> &'static str {
        match self.role {
            Step::System => "system",
            Step::Assistant => "assistant",
            _ => "user",
        }
    }
}

/// The clock's name in templates.
pub(super) const CLOCK: &str = "strftime_now";

/// The name in templates of the thoughts beside an answer.
pub(super) const THOUGHTS: &str = "thinking";

/// Values for a template beside messages: nothing that it can do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RenderOptions {
    /// A clock that gives a place for the date to be put, so that a file does not depend on the
    /// day of its conversion. Without it, those that ask whether there is one write the date that
    /// they fall back to.
    pub date: bool,
    /// Thoughts beside past answers, empty ones. Some that leave them out (Unsloth's of gpt-oss)
    /// take an answer without for one of a model that does not think.
    pub thoughts: bool,
}

/// A template, ready to be rendered.
pub(super) struct Template<'t> {
    environment: Environment<'t>,
    specials: Value,
    thoughts: bool,
    /// Steps that are left for renderings to come.
    fuel: Cell<u64>,
}

impl<'t> Template<'t> {
    /// Compiles the template.
    pub fn new(
        source: &'t str,
        specials: &[(String, String)],
        given: RenderOptions,
    ) -> Result<Self, Underivable> {
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        let syntax = syntax.build().map_err(|error| failed(&error))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        // As in Python, where None is not: minijinja goes through it as through nothing.
        environment.add_test("iterable", |value: Value| {
            !value.is_none() && !value.is_undefined() && value.try_iter().is_ok()
        });
        environment.add_function("raise_exception", |what: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, what))
        });
        if given.date {
            environment.add_function(CLOCK, |format: String| match &*format {
                "%Y-%m-%d" => Ok(DATE.to_string()),
                _ => {
                    let what = format!("it asks for the date as {format:?}, known: \"%Y-%m-%d\"");
                    Err(Error::new(ErrorKind::InvalidOperation, what))
                }
            });
        }
        let specials: BTreeMap<_, _> = specials.iter().cloned().collect();
        environment.add_template(NAME, source).map_err(|error| failed(&error))?;
        let (specials, thoughts) = (Value::from(specials), given.thoughts);
        Ok(Self { environment, specials, thoughts, fuel: Cell::new(ALL_FUEL) })
    }

    /// Renders the messages, with the beginning of an answer if `open`.
    pub fn render(&self, messages: &[Message], open: bool) -> Result<String, Underivable> {
        if self.fuel.get() == 0 {
            return Err(Underivable("the template takes too many steps".into()));
        }
        let messages = messages.iter().map(|message| {
            let (role, content) = (message.name(), message.content.as_str());
            let thoughts = self.thoughts && message.role == Step::Assistant;
            let empty = thoughts.then_some((THOUGHTS, ""));
            let beside = message.beside.as_ref().map(|(name, text)| (*name, text.as_str()));
            let fields = [("role", role), ("content", content)].into_iter().chain(empty);
            let fields = fields.chain(beside).map(|(name, text)| (name, Value::from(text)));
            fields.collect::<BTreeMap<_, _>>()
        });
        let given = context! {
            messages => messages.collect::<Vec<_>>(),
            tools => (), documents => (), add_generation_prompt => open,
        };
        let values = merge_maps([given, self.specials.clone()]);
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let rendered = template.render_captured(values);
        // One that fails may have taken all that it has.
        let taken = rendered.as_ref().ok().and_then(|rendered| rendered.state().fuel_levels());
        self.fuel.set(self.fuel.get().saturating_sub(taken.map_or(FUEL, |(taken, _)| taken)));
        let rendered = rendered.map_err(|error| failed(&error))?.into_output();
        if rendered.len() > OUTPUT {
            return Err(Underivable(format!("the template writes {} bytes", rendered.len())));
        }
        Ok(rendered)
    }
}

/// The template's name in its environment.
const NAME: &str = "chat";

/// The template with its tags `generation`, which mark what was generated and write nothing in
/// `transformers`, as conditions that are always met: what they trim is trimmed.
pub(super) fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        let Some(end) = tag.find("%}") else { break };
        let (tag, after) = tag.split_at(end);
        let word = tag[2..].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        out.push_str(before);
        out.push_str(&match word {
            "generation" => tag.replacen("generation", "if true", 1),
            "endgeneration" => tag.replacen("endgeneration", "endif", 1),
            _ => tag.to_owned(),
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The error on one line.
fn failed(error: &Error) -> Underivable {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    let words: Vec<&str> = what.split_whitespace().collect();
    Underivable(format!("the template fails: {}{line}", words.join(" ")))
}
