//! Holding a derived program against the template.

use oarlock::chat::Step;

use super::Underivable;
use super::program::Program;
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
const COUNT: usize = 600;

/// Finds out which contents are trimmed and what an empty system message does.
pub(super) fn habits(template: &Template, program: &mut Program) -> Result<(), Underivable> {
    let mut roles = vec![Step::User, Step::Assistant];
    if program.gap(Step::Start, Step::System).is_some() {
        roles.insert(0, Step::System);
    }
    for &role in &roles {
        let messages = conversation(&roles, |r| if r == role { " \n x \n " } else { "y" });
        for trims in [true, false] {
            program.trims[role as usize] = trims;
            if compare(template, program, &messages, true).is_ok() {
                break;
            }
        }
    }
    if roles.contains(&Step::System) {
        let messages = conversation(&roles, |r| if r == Step::System { "" } else { "y" });
        let kept = compare(template, program, &messages, true).is_ok();
        program.ignores_empty_system = !kept;
    }
    Ok(())
}

/// A message of each role, and one more of the user to be answered.
fn conversation(roles: &[Step], content: impl Fn(Step) -> &'static str) -> Vec<Message> {
    let roles = roles.iter().copied().chain([Step::User]);
    roles.map(|role| Message { role, content: content(role).to_owned() }).collect()
}

/// Compares many conversations: with and without a system message, of one to five turns,
/// ended by a message or an answer, to be continued or not.
pub(super) fn conversations(template: &Template, program: &Program) -> Result<(), Underivable> {
    for i in 0..COUNT {
        let messages = drawn(i, program.gap(Step::Start, Step::System).is_some());
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
    let system = system.map(|content| Message { role: Step::System, content: content.to_owned() });
    let count = 1 + i / SYSTEMS.len() % 10;
    let turns = (0..count).map(|k| Message {
        role: if k % 2 == 0 { Step::User } else { Step::Assistant },
        content: CONTENTS[(i + i / 7 + 5 * k + k * k) % CONTENTS.len()].to_owned(),
    });
    system.into_iter().chain(turns).collect()
}

fn compare(
    template: &Template,
    program: &Program,
    messages: &[Message],
    open: bool,
) -> Result<(), Underivable> {
    let rendered = template.render(messages, open)?;
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
