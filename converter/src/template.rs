//! A chat template to the program of gaps that the runtime chats with.
//!
//! The template is rendered on conversations whose contents are sentinels, which
//! shows what it writes between one step and the next. That is then checked by rendering
//! many other conversations both ways; a template that fails one is not of this form.

mod check;
mod program;
mod render;

use oarlock::chat::Step;
use serde_json::Value;

use program::Program;
use render::{CLOCK, Given, Message, THOUGHTS, Template};

/// Why no chat program could be derived, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underivable(pub String);

/// Derives and checks the chat section of `template`, in which `specials` (`bos_token`, …)
/// have their text. One that can do without a clock gets none.
pub fn derive(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    let asks = template.contains(CLOCK);
    let plain = derive_with(template, specials, Given::default());
    let dated = if plain.is_err() && asks {
        derive_with(template, specials, Given { date: true, thoughts: false })
    } else {
        plain
    };
    dated.or_else(|why| {
        let given = Given { date: asks, thoughts: template.contains(THOUGHTS) };
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
    given: Given,
) -> Result<Vec<u8>, Underivable> {
    let template = Template::new(template, specials, given)?;
    let mut program = Program::default();
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

/// Reads the gaps off conversations of sentinels. Those that a chat needs must be there.
fn gaps(template: &Template, program: &mut Program) -> Result<(), Underivable> {
    use Step::{Assistant, End, Generation, Start, System, User};
    learn(template, program, &[User, Assistant, User, Generation])?;
    let (past, new) = (program.gap(User, Assistant), program.gap(User, Generation));
    // Some write a space before a past answer that a model writes itself; and one that thinks in a
    // message of its own writes itself what its answer begins with.
    let more = past.zip(new).and_then(|(past, new)| past.strip_prefix(new));
    let marks = more.is_some_and(is_mark);
    if more.is_none_or(|more| !(marks || more.trim().is_empty())) {
        return Err(Underivable(format!(
            "the template writes {:?} before a new answer, but {:?} before a past one",
            new.unwrap_or_default(),
            past.unwrap_or_default()
        )));
    }
    program.marks_answers = marks;
    for steps in [
        [System, User, Assistant, User].as_slice(),
        &[User, End],
        &[User, Assistant, End],
        &[User, Assistant, Generation],
        &[System, End],
        &[System, Generation],
    ] {
        // A template may refuse these; then so does the program.
        let _ = learn(template, program, steps);
    }
    match program.gap(Start, User) {
        Some(_) => Ok(()),
        None => Err(Underivable("the template writes nothing before a message".into())),
    }
}

/// Whether an answer that follows this is a message of its own, behind those of what the model
/// thought: in the format called harmony.
fn is_mark(text: &str) -> bool {
    let channel =
        text.strip_prefix("<|channel|>").and_then(|text| text.strip_suffix("<|message|>"));
    channel.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()))
}

/// Learns the gaps between these steps, of which `Start` is not named and `End` may be left out.
/// A conversation that shows another gap than those before it is one that the program cannot write.
fn learn(template: &Template, program: &mut Program, steps: &[Step]) -> Result<(), Underivable> {
    let sentinel = |i: usize| format!("\u{E000}{i}\u{E001}");
    let roles = steps.iter().filter(|step| !matches!(step, Step::Generation | Step::End));
    let messages: Vec<_> =
        roles.enumerate().map(|(i, &role)| Message { role, content: sentinel(i) }).collect();
    let open = steps.last() == Some(&Step::Generation);
    let text = template.render(&messages, open)?;
    let (mut rest, mut from, mut learned) = (text.as_str(), Step::Start, Vec::new());
    for message in &messages {
        let (gap, after) = rest.split_once(&message.content).ok_or_else(|| {
            Underivable(format!("the template does not write the {} message", message.name()))
        })?;
        learned.push((from, message.role, gap));
        (rest, from) = (after, message.role);
    }
    if rest.contains('\u{E000}') {
        return Err(Underivable("the template writes a message twice or out of order".into()));
    }
    learned.push((from, if open { Step::Generation } else { Step::End }, rest));
    // Without `End` among the steps, what follows the last message is not to be learned here.
    let wanted = learned.into_iter().filter(|(_, to, _)| *to != Step::End || steps.contains(to));
    let wanted: Vec<_> = wanted.collect();
    for &(from, to, gap) in &wanted {
        if let Some(known) = program.gap(from, to).filter(|&known| known != gap) {
            return Err(Underivable(format!(
                "the template writes {gap:?} in one conversation where it writes {known:?} in another"
            )));
        }
    }
    wanted.into_iter().for_each(|(from, to, gap)| program.set_gap(from, to, gap));
    Ok(())
}
