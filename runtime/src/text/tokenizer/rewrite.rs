//! Rewriting: the changes that a tokenizer makes to a text before it looks for words in it.
//!
//! A text is gone through in parts that stay as they are and parts that change, so that one
//! in which nothing changes is never copied, and a place of what it became can be led back to
//! where that came from.

use core::ops::Range;

use super::charsmap::Charsmap;
use super::compose::{Form, compose};
use super::tables::{CHARSMAP, COLLAPSE, COMPAT, COMPOSE, LATE, LOWERCASE, PREPEND, SPACE_MARK};

/// Rewrites a text by the early ones of the [rules](super::tables::RULES) and gives it in pieces:
/// the converter needs it of added tokens that are looked for in such text.
pub fn rewrite(rules: u32, charsmap: Charsmap<'_>, text: &str, put: &mut dyn FnMut(&str)) {
    Rules::new(rules & ((1 << LATE) - 1), charsmap).rewrite(text, put);
}

/// The mark that SentencePiece writes for a space.
const MARK: char = '\u{2581}';

/// The changes to make: bits of the section's `rules`, and the table of one of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'m> {
    bits: u32,
    charsmap: Charsmap<'m>,
}

impl<'m> Rules<'m> {
    /// Takes these bits of the section's rules.
    pub const fn new(bits: u32, charsmap: Charsmap<'m>) -> Self {
        Self { bits, charsmap }
    }

    /// The same rules but for one.
    pub const fn without(self, rule: u32) -> Self {
        Self { bits: self.bits & !rule, ..self }
    }

    const fn has(self, rule: u32) -> bool {
        self.bits & rule != 0
    }

    /// Whether a text is gone through cluster by cluster.
    const fn is_mapped(self) -> bool {
        cfg!(feature = "charsmap") && self.has(CHARSMAP)
    }

    /// The normal form that the text gets.
    fn form(self) -> Option<Form> {
        let form = if self.has(COMPAT) { Form::Compatible } else { Form::Canonical };
        self.has(COMPOSE).then_some(form)
    }

    /// Whether a text with this character has to be looked into.
    fn may_change(self, c: char) -> bool {
        self.form().is_some_and(|form| form.is_restless(c))
            || (self.has(SPACE_MARK) && c == MARK)
            || (self.has(LOWERCASE) && !c.to_lowercase().eq([c]))
    }

    /// The parts of a text, from its beginning.
    fn parts<'t>(self, text: &'t str) -> Parts<'t>
    where
        'm: 't,
    {
        let begun = !self.has(PREPEND) || text.is_empty();
        Parts { rules: self, rest: text, begun, after_space: false }
    }

    /// Rewrites a text and gives it in pieces.
    pub fn rewrite(self, text: &str, put: &mut dyn FnMut(&str)) {
        self.parts(text).for_each(|part| self.rewrite_part(&part, put));
    }

    /// Rewrites a part and gives it in pieces.
    fn rewrite_part(self, part: &Part<'_>, put: &mut dyn FnMut(&str)) {
        match *part {
            Part::Same(text) => put(text),
            Part::Before => put(" "),
            Part::Cluster(text, after_space) => {
                self.rewrite_cluster(text, after_space, put);
            }
            Part::Changed(text) => match self.form() {
                Some(form) => compose(form, text, &mut |c| self.one(c, put)),
                None => text.chars().for_each(|c| self.one(c, put)),
            },
        }
    }

    /// Rewrites a cluster, behind a space or not, and gives it in pieces; returns whether the text
    /// ends with a space now.
    fn rewrite_cluster(self, text: &str, mut after_space: bool, put: &mut dyn FnMut(&str)) -> bool {
        if !cfg!(feature = "charsmap") {
            // There are no clusters, which a compiler does not see.
            return after_space;
        }
        self.charsmap.rewrite(text, &mut |piece| {
            for c in piece.chars() {
                let dropped = self.has(COLLAPSE) && after_space && c == ' ';
                after_space = c == ' ';
                if !dropped {
                    self.one(c, put);
                }
            }
        });
        after_space
    }

    /// Whether a cluster, behind a space or not, changes.
    fn cluster_changes(self, text: &str, after_space: bool) -> bool {
        (self.has(COLLAPSE) && after_space && text.starts_with(' '))
            || self.charsmap.changes(text)
            || text.chars().any(|c| self.may_change(c))
    }

    /// Gives what becomes of one character.
    fn one(self, c: char, put: &mut dyn FnMut(&str)) {
        let mut put = |c: char| put(c.encode_utf8(&mut [0; 4]));
        if self.has(SPACE_MARK) && c == MARK {
            put(' ');
        } else if self.has(LOWERCASE) {
            c.to_lowercase().for_each(put);
        } else {
            put(c);
        }
    }

    /// Number of times that a part can get as long as it is.
    fn growth(self) -> usize {
        let composed = self.form().map_or(1, Form::growth);
        // U+0130 becomes three bytes of two, and nothing grows more.
        composed * if self.has(LOWERCASE) { 2 } else { 1 }
    }

    /// Bytes that a text becomes at most; 0 if it stays as it is.
    pub fn max_len(self, text: &str) -> usize {
        if self.is_mapped() {
            // Parts of it may be asked for as well, in which clusters end elsewhere.
            let max_len = |(at, _)| text.get(at..).map_or(0, |rest| self.charsmap.max_len(rest));
            let len = text.char_indices().map(max_len).fold(0, usize::saturating_add);
            let grown = len.saturating_mul(if self.has(LOWERCASE) { 2 } else { 1 });
            return grown.saturating_add(usize::from(self.has(PREPEND)));
        }
        let (mut len, mut same) = (0_usize, true);
        for part in self.parts(text) {
            let more = match part {
                Part::Same(text) => text.len(),
                Part::Before => 1,
                Part::Changed(text) | Part::Cluster(text, _) => {
                    text.len().saturating_mul(self.growth())
                }
            };
            same &= matches!(part, Part::Same(_));
            len = len.saturating_add(more);
        }
        if same { 0 } else { len }
    }

    /// Rewrites a text into `buffer` if it changes; returns it and the rest of the buffer, or
    /// `None` if that is too short.
    pub fn apply<'t>(self, text: &'t str, buffer: &'t mut [u8]) -> Option<(&'t str, &'t mut [u8])>
    where
        'm: 't,
    {
        let first = self.parts(text).next();
        if first.is_none_or(|first| matches!(first, Part::Same(same) if same.len() == text.len())) {
            return Some((text, buffer));
        }
        let mut len = Some(0_usize);
        self.rewrite(text, &mut |piece| {
            len = len.and_then(|at| {
                let end = at.checked_add(piece.len())?;
                buffer.get_mut(at..end)?.copy_from_slice(piece.as_bytes());
                Some(end)
            });
        });
        let (text, rest) = buffer.split_at_mut_checked(len?)?;
        Some((core::str::from_utf8(text).ok()?, rest))
    }
}

/// A part of a text that is gone through.
#[derive(Clone, Copy)]
enum Part<'t> {
    /// The space that is put before the text.
    Before,
    /// Characters that stay as they are.
    Same(&'t str),
    /// Characters that may change.
    Changed(&'t str),
    /// A cluster that the charsmap changes, and whether a space is before it.
    Cluster(&'t str, bool),
}

/// The parts of a text, one after another.
#[derive(Clone, Copy)]
struct Parts<'t> {
    rules: Rules<'t>,
    rest: &'t str,
    /// Whether what is put before the text has been.
    begun: bool,
    /// Whether what the text became so far ends with a space, where that matters.
    after_space: bool,
}

impl<'t> Parts<'t> {
    /// Takes the next `len` bytes.
    fn take(&mut self, len: usize) -> Option<&'t str> {
        let (part, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(part)
    }

    /// The next cluster, if it changes, or all before that.
    fn next_mapped(&mut self) -> Option<Part<'t>> {
        let (rules, mut len, mut after_space) = (self.rules, 0, self.after_space);
        while let Some(rest) = self.rest.get(len..).filter(|rest| !rest.is_empty()) {
            let cluster = Charsmap::cluster(rest);
            if !rules.cluster_changes(cluster, after_space) {
                after_space = cluster.ends_with(' ');
                len += cluster.len();
            } else if len == 0 {
                self.after_space = rules.rewrite_cluster(cluster, after_space, &mut |_| {});
                return self.take(cluster.len()).map(|text| Part::Cluster(text, after_space));
            } else {
                break;
            }
        }
        self.after_space = after_space;
        self.take(len).filter(|text| !text.is_empty()).map(Part::Same)
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    /// Takes the next part: characters that may change, with the one before them, which they may
    /// join, or all before those.
    fn next(&mut self) -> Option<Part<'t>> {
        if !core::mem::replace(&mut self.begun, true) {
            return Some(Part::Before);
        }
        if self.rules.is_mapped() {
            return self.next_mapped();
        }
        let may_change = |c: char| self.rules.may_change(c);
        let found = self.rest.find(may_change).unwrap_or(self.rest.len());
        let same = self.rest.get(..found)?;
        let last = same.char_indices().next_back().map_or(0, |(at, _)| at);
        if self.rest.is_empty() {
            None
        } else if found == self.rest.len() {
            self.take(found).map(Part::Same)
        } else if last > 0 {
            self.take(last).map(Part::Same)
        } else {
            let tail = self.rest.get(found..)?;
            let len = tail.find(|c| !self.rules.may_change(c)).unwrap_or(tail.len());
            self.take(found + len).map(Part::Changed)
        }
    }
}

/// A map from places of a rewritten text back to its source.
///
/// Places are to be asked for from left to right, give or take a few: each part is gone through
/// once.
#[derive(Clone, Copy)]
pub(super) struct SourceMap<'t> {
    rules: Rules<'t>,
    parts: Parts<'t>,
    /// Offsets of the next part in the rewritten text, and in its source.
    at: (usize, usize),
}

impl<'t> SourceMap<'t> {
    /// Begins at the start of a text that these rules rewrite.
    pub fn new(rules: Rules<'t>, text: &'t str) -> Self {
        Self { rules, parts: rules.parts(text), at: (0, 0) }
    }

    /// The place in the source that became `place`: all of each part that has to do with it.
    pub fn place(&mut self, place: &Range<usize>) -> Range<usize> {
        let start = self.seek(place.start, false);
        let mut end = *self;
        start..end.seek(place.end, true)
    }

    /// Goes to the part in which `target` lies, and returns its offset in the source.
    fn seek(&mut self, target: usize, is_end: bool) -> usize {
        loop {
            let (to, from) = self.at;
            let mut parts = self.parts;
            let Some(part) = parts.next() else { return from };
            let mut len = 0;
            self.rules.rewrite_part(&part, &mut |piece| len += piece.len());
            let own = match part {
                Part::Before => 0,
                Part::Same(text) | Part::Changed(text) | Part::Cluster(text, _) => text.len(),
            };
            let past = target.saturating_sub(to);
            if past < len || (is_end && past == len) {
                return match part {
                    Part::Same(_) => from + past,
                    _ if is_end && past > 0 => from + own,
                    _ => from,
                };
            }
            (self.parts, self.at) = (parts, (to + len, from + own));
        }
    }
}
