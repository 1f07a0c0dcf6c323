//! Gaps of a template: what it writes between one step of a conversation and the next.

use oarlock::chat::Step;

use super::error::Underivable;
use super::program::ChatProgram;
use super::render::{Message, Template};

/// Reads the gaps off conversations of sentinels. Those that a chat needs must be there.
pub(super) fn gaps(template: &Template, program: &mut ChatProgram) -> Result<(), Underivable> {
    use Step::{Assistant, End, Generation, Start, System, User};
    learn(template, program, &[User, Assistant, User, Generation])?;
    let (past, new) = (program.gap(User, Assistant), program.gap(User, Generation));
    // A model that thinks in a message of its own writes itself what its answer begins with.
    let more = past.zip(new).and_then(|(past, new)| past.strip_prefix(new));
    program.marks_answers = more.is_some_and(is_mark);
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
fn learn(
    template: &Template,
    program: &mut ChatProgram,
    steps: &[Step],
) -> Result<(), Underivable> {
    let sentinel = |i: usize| format!("\u{E000}{i}\u{E001}");
    let roles = steps.iter().filter(|step| !matches!(step, Step::Generation | Step::End));
    let messages: Vec<_> =
        roles.enumerate().map(|(i, &role)| Message::new(role, sentinel(i))).collect();
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
