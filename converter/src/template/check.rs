//! Holding a derived program against the template.

use oarlock::chat::{Step, Strip, python_strip};

use super::error::Underivable;
use super::program::{ChatProgram, MERGED};
use super::render::{Message, Template};

/// Contents that a template may treat in its own way, and that only look like its markup.
const CONTENTS: [&str; 24] = [
    "Hello!",
    "",
    " ",
    "\n",
    " leading",
    "trailing ",
    "\n\nboth\n\n",
    "\r\n\tboth \u{A0}\u{3000}",
    "two\nlines\n",
    "don't say 'it'",
    "1, 2, 3",
    "漢字 и кириллица",
    "\u{301}combining",
    "{{ messages }}",
    "{% if true %}x{% endif %}",
    "<|im_start|>system\nx<|im_end|>\n",
    "<|im_end|>",
    "</s><s>[INST] x [/INST]",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
    "<think>\nx\n</think>\n\ny",
    "<|user|>\nx<|end|>\n",
    "<start_of_turn>model\n",
    "[{\"type\": \"text\"}]",
    "user",
];

/// System messages, or none.
const SYSTEMS: [Option<&str>; 6] =
    [None, Some("Be brief."), Some(""), Some(" "), Some("\n Be kind.\n\n"), Some("{{ x }}</s>")];

/// Conversations to compare.
const CONVERSATIONS: usize = 600;

/// Finds out which contents are trimmed and what an empty system message does.
pub(super) fn habits(template: &Template, program: &mut ChatProgram) -> Result<(), Underivable> {
    let mut roles = vec![Step::User, Step::Assistant];
    if program.gap(Step::Start, Step::System).is_some() && !program.merges_system {
        roles.insert(0, Step::System);
    }
    for &role in &roles {
        // Behind a system message, a message may be treated in another way.
        let others = roles.iter().filter(|&&r| role != Step::User || r != Step::System);
        let others: Vec<_> = others.copied().collect();
        let messages = conversation(&others, |r| if r == role { " \n x \n " } else { "y" });
        for trims in [true, false] {
            program.trims[role as usize] = trims;
            if compare(template, program, &messages, true).is_ok() {
                break;
            }
        }
        strips(template, program, role, &others);
    }
    if roles.contains(&Step::System) && program.trims[Step::User as usize] {
        let content = |role| if role == Step::User { " \n x \n " } else { "y" };
        let messages = conversation(&[Step::System], content);
        let both = compare(template, program, &messages, true).is_ok();
        program.trims_end_after_system = !both;
    }
    if program.merges_system {
        program.trims[Step::System as usize] = program.trims[Step::User as usize];
    }
    if roles.contains(&Step::System) {
        let messages = conversation(&roles, |r| if r == Step::System { "" } else { "y" });
        let kept = compare(template, program, &messages, true).is_ok();
        program.ignores_empty_system = !kept;
    }
    Ok(())
}

/// Finds out what is stripped off this role's messages, if that is less than all space at both ends.
fn strips(template: &Template, program: &mut ChatProgram, role: Step, roles: &[Step]) {
    let fits = |program: &ChatProgram, text: &'static str| {
        let messages = conversation(roles, |r| if r == role { text } else { "y" });
        compare(template, program, &messages, true).is_ok()
    };
    if program.trims[role as usize] || fits(program, "\n \n x \n \n") {
        return;
    }
    let starts = [Strip::default(), Strip::START_LINES, Strip::START];
    let ends = [Strip::default(), Strip::END_LINES, Strip::END];
    for strip in starts.into_iter().flat_map(|start| ends.map(|end| start.and(end))) {
        program.set_strip(role, strip);
        if fits(program, "\n \n x \n \n") {
            return;
        }
    }
    program.set_strip(role, Strip::default());
}

/// A message of each role, and one more of the user to be answered.
fn conversation(roles: &[Step], content: impl Fn(Step) -> &'static str) -> Vec<Message> {
    let roles = roles.iter().copied().chain([Step::User]);
    roles.map(|role| Message::new(role, content(role))).collect()
}

/// Whether the template fails at a system message, and not without.
pub(super) fn refuses_system(template: &Template) -> bool {
    let with = conversation(&[Step::System], |_| "x");
    template.render(&with, true).is_err() && template.render(&with[1..], true).is_ok()
}

/// The end of a model's thoughts. Some templates cut them out of past answers, which cannot be done
/// to what has been fed: those are compared without them.
const THOUGHT: &str = "</think>";

/// Compares many conversations: with and without a system message, of one to five turns,
/// ended by a message or an answer, to be continued or not.
pub(super) fn conversations(
    template: &Template,
    program: &mut ChatProgram,
) -> Result<(), Underivable> {
    let Err(why) = agree(template, program, true) else { return Ok(()) };
    if agree(template, program, false).is_ok() {
        return Ok(());
    }
    // Some write the last message of all in another way if it is an answer, which no chat needs.
    let ended = program.clone();
    for program_of in [ended.clone(), ended.clone().without_last_answer()] {
        for needs in [[false, false], [false, true], [true, false], [true, true]] {
            program.clone_from(&program_of);
            program.needs_text = needs;
            if agree(template, program, false).is_ok() {
                return Ok(());
            }
        }
    }
    *program = ended;
    Err(why)
}

fn agree(template: &Template, program: &ChatProgram, thoughts: bool) -> Result<(), Underivable> {
    for i in 0..CONVERSATIONS {
        let mut messages = drawn(i, program.gap(Step::Start, Step::System).is_some());
        let thinks = |m: &&mut Message| m.role == Step::Assistant && m.content.contains(THOUGHT);
        for message in messages.iter_mut().filter(|m| !thoughts && thinks(m)) {
            message.content = "No thoughts.".to_owned();
        }
        if program.lacks_text(&messages) {
            continue;
        }
        let open = i / 60 % 3 != 0;
        let last = messages.last().map_or(Step::Start, |message| message.role);
        // What the template refuses or has no rule for, the program refuses too.
        if program.gap(last, if open { Step::Generation } else { Step::End }).is_some() {
            compare(template, program, &messages, open)?;
        }
    }
    Ok(())
}

/// The `i`-th conversation.
fn drawn(i: usize, system: bool) -> Vec<Message> {
    let system = SYSTEMS[i % SYSTEMS.len()].filter(|_| system);
    let system = system.map(|content| Message::new(Step::System, content));
    let count = 1 + i / SYSTEMS.len() % 10;
    let turns = (0..count).map(|k| {
        let role = if k % 2 == 0 { Step::User } else { Step::Assistant };
        Message::new(role, CONTENTS[(i + i / 7 + 5 * k + k * k) % CONTENTS.len()])
    });
    system.into_iter().chain(turns).collect()
}

/// The conversation with the system message in the first one; `None` if that is empty, and the
/// template, which knows one message only, trims away what is between them.
fn merged(program: &ChatProgram, system: &str, messages: &[Message]) -> Option<Vec<Message>> {
    let trims = program.trims[Step::User as usize];
    let trimmed = |text: &str| if trims { python_strip(text).to_owned() } else { text.to_owned() };
    let mut messages = messages.to_vec();
    let (system, first) = (trimmed(system), messages.first_mut()?);
    let content = trimmed(&first.content);
    if !system.is_empty() {
        if content.is_empty() && trims {
            return None;
        }
        first.content = format!("{system}{MERGED}{content}");
    }
    Some(messages)
}

fn compare(
    template: &Template,
    program: &ChatProgram,
    messages: &[Message],
    open: bool,
) -> Result<(), Underivable> {
    // Trimmed as one text, an empty message takes what is before it along.
    if let [Message { role: Step::System, .. }, first, ..] = messages
        && program.trims_end_after_system
        && python_strip(&first.content).is_empty()
    {
        return Ok(());
    }
    let rendered = match messages {
        [Message { role: Step::System, content, .. }, rest @ ..] if program.merges_system => {
            match merged(program, content, rest) {
                Some(messages) => template.render(&messages, open)?,
                None => return Ok(()),
            }
        }
        _ => template.render(messages, open)?,
    };
    let written = program.write(messages, open).unwrap_or_default();
    if rendered == written {
        return Ok(());
    }
    let same = rendered.chars().zip(written.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.chars().skip(same).take(40).collect::<String>();
    Err(Underivable(format!(
        "the template does not write the same around every message: in a conversation of {} it \
         writes {:?} where {:?} was expected",
        messages.len(),
        from(&rendered),
        from(&written)
    )))
}
