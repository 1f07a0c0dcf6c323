//! `/context`: what the model still sees, as a bar.

use oarlock::Session;

/// Columns of the bar.
const WIDTH: usize = 60;

/// Draws what is kept and what is in the window, with counts; `sinks` of the kept are sinks.
pub fn bar(session: &Session<'_>, sinks: usize) -> String {
    let options = session.options();
    let (context, kept) = (options.context, options.sinks);
    let (sinks, window) = (sinks.min(kept), context - kept);
    let len = usize::try_from(session.len()).unwrap_or(usize::MAX);
    let filled = len.saturating_sub(kept).min(window);
    let forgotten = len.saturating_sub(kept).saturating_sub(window);
    let parts = [('#', kept - sinks), ('s', sinks), ('=', filled), ('.', window - filled)];
    format!(
        "[{}]\npinned {} # | sinks {sinks} s | window {filled} = of {window}\n\
         {len} tokens in the stream, {forgotten} of them out of sight",
        columns(parts, context),
        kept - sinks,
    )
}

/// Every part that is there has a column at least.
fn columns(parts: [(char, usize); 4], whole: usize) -> String {
    let mut text = String::new();
    for (letter, n) in parts {
        let share = (n * WIDTH + whole / 2) / whole;
        text.extend(std::iter::repeat_n(letter, share.max(usize::from(n > 0))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn every_part_that_is_there_can_be_seen() {
        assert_eq!(
            columns([('#', 1), ('s', 0), ('=', 2), ('.', 3997)], 4000).matches('#').count(),
            1
        );
        assert_eq!(columns([('#', 30), ('s', 0), ('=', 15), ('.', 15)], 60).len(), 60);
        assert!(!columns([('#', 30), ('s', 0), ('=', 30), ('.', 0)], 60).contains(['s', '.']));
    }
}
