//! The derivation: from a template to the section of the file, checked.

use std::io;

use super::error::Underivable;
use super::gaps::gaps;
use super::program::ChatProgram;
use super::render::{CLOCK, RenderOptions, THOUGHTS, Template, without_generation};
use super::tags::tags;
use super::{bounds, check};

/// Derives and checks the chat section of `template`, in which `specials` (`bos_token`, …)
/// have their text. One that can do without a clock gets none.
///
/// # Errors
/// If the template fails, is beyond the bounds of length, depth, steps and output, or writes something
/// else around messages than a program of gaps can.
pub fn derive(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    let no_thread = |_| Err(Underivable("no thread can be started for its template".to_owned()));
    try_derive(template, specials).unwrap_or_else(no_thread)
}

/// Derives as [`derive`] does.
///
/// # Errors
/// If the machine has no thread for it, which says nothing of the template.
pub(super) fn try_derive(
    template: &str,
    specials: &[(String, String)],
) -> io::Result<Result<Vec<u8>, Underivable>> {
    if let Err(why) = bounds::check(template) {
        return Ok(Err(why));
    }
    let template = &without_generation(template);
    let derived = bounds::on_large_stack(|| derive_here(template, specials))?;
    Ok(derived.map_err(bounds::shorten))
}

/// Derives as [`derive`] does, on the stack that there is: one that is too small ends the process.
pub(super) fn derive_without_thread(
    template: &str,
    specials: &[(String, String)],
) -> Result<Vec<u8>, Underivable> {
    bounds::check(template)?;
    derive_here(&without_generation(template), specials).map_err(bounds::shorten)
}

fn derive_here(template: &str, specials: &[(String, String)]) -> Result<Vec<u8>, Underivable> {
    let asks = template.contains(CLOCK);
    let plain = derive_with(template, specials, RenderOptions::default());
    let dated = if plain.is_err() && asks {
        derive_with(template, specials, RenderOptions { date: true, thoughts: false })
    } else {
        plain
    };
    let given = RenderOptions { date: asks, thoughts: template.contains(THOUGHTS) };
    let found = match dated {
        Err(why) if given.thoughts => derive_with(template, specials, given).map_err(|_| why)?,
        // With thoughts beside it, an answer may turn out to be a message of its own.
        Ok(found) if given.thoughts && found.tags.is_some() => {
            let marked = derive_with(template, specials, given).ok();
            marked.filter(|marked| marked.marks_answers).unwrap_or(found)
        }
        found => found?,
    };
    Ok(found.section())
}

fn derive_with(
    source: &str,
    specials: &[(String, String)],
    given: RenderOptions,
) -> Result<ChatProgram, Underivable> {
    let template = Template::new(source, specials, given)?;
    let mut program = ChatProgram::default();
    gaps(&template, &mut program)?;
    program.find_date()?;
    if !program.marks_answers {
        program.tags = tags(&template, source, &program)?;
    }
    if check::refuses_system(&template) {
        program.merge_system();
    }
    check::habits(&template, &mut program)?;
    check::conversations(&template, &mut program)?;
    Ok(program)
}
