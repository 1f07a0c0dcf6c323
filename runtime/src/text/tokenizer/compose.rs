//! Normal forms C and KC of Unicode (UAX #15), as Hugging Face `tokenizers` computes them, in no
//! memory.
//!
//! Marks behind a letter are put in the order of their combining classes and joined to it
//! as far as they go. How many they are is the text's choice, so they are not gathered
//! anywhere: there are some fifty classes, and the marks are gone through again for each one
//! that occurs among them.

use core::str::Chars;

use super::compose_tables as tables;
use crate::base::checked::part;

/// The normal forms that are composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Form C: characters that are canonically the same become one.
    Canonical,
    /// Form KC: so do characters that only look otherwise, such as wide letters, ligatures, letters
    /// in circles.
    Compatible,
}

impl Form {
    /// Bytes of the normal form for each byte of the text, at most.
    pub const fn growth(self) -> usize {
        match self {
            Self::Canonical => 3,
            // U+FDFA is eighteen letters.
            Self::Compatible => 11,
        }
    }

    /// Whether the character may change, or join what is before it, or change places with it. A
    /// text without one is normal.
    pub fn is_restless(self, c: char) -> bool {
        is_restless(c) || (self == Self::Compatible && !compatible(c).is_empty())
    }
}

/// Gives the normal form of a text, which is best one that begins behind a character that is
/// not [restless](Form::is_restless) and ends before another.
pub(super) fn compose(form: Form, text: &str, put: &mut dyn FnMut(char)) {
    let mut rest = Decomposed::new(form, text);
    let mut letter = rest.take_letter();
    loop {
        let marks = rest.clone();
        let joined = join(letter, marks.clone(), &mut |_| {});
        rest.skip_marks();
        let next = rest.take_letter();
        // With nothing left between them, two letters may be one.
        if let (Some((c, true)), Some(next)) = (joined, next)
            && let Some(both) = composed(c, next)
        {
            letter = Some(both);
            continue;
        }
        if let Some((c, _)) = joined {
            put(c);
        }
        join(letter, marks, put);
        if next.is_none() {
            return;
        }
        letter = next;
    }
}

/// Joins marks to the letter that they follow; returns what it becomes, and whether no mark is
/// left.
///
/// Marks that are left go to `left`, in order.
fn join(
    letter: Option<char>,
    marks: Decomposed<'_>,
    left: &mut dyn FnMut(char),
) -> Option<(char, bool)> {
    let (mut letter, mut last) = (letter, 0);
    for (mark, class) in Ordered::new(marks) {
        // One of the same class stands in the way.
        let joined = letter.filter(|_| class > last).and_then(|letter| composed(letter, mark));
        if joined.is_some() {
            letter = joined;
        } else {
            last = class;
            left(mark);
        }
    }
    letter.map(|letter| (letter, last == 0))
}

/// The characters that a text stands for, decomposed as far as they go.
#[derive(Clone)]
struct Decomposed<'a> {
    form: Form,
    chars: Chars<'a>,
    /// Characters still to come of one that looks otherwise, in order.
    plain: &'static [u32],
    /// Characters still to come of the last one, in reverse.
    pending: [char; 4],
    /// Number of those.
    waiting: usize,
}

impl<'a> Decomposed<'a> {
    fn new(form: Form, text: &'a str) -> Self {
        Self { form, chars: text.chars(), plain: &[], pending: ['\0'; 4], waiting: 0 }
    }

    /// Takes the next of [`Self::plain`].
    fn take_plain(&mut self) -> Option<char> {
        let (&c, rest) = self.plain.split_first()?;
        self.plain = rest;
        char::from_u32(c)
    }

    /// Takes the next character, if it is no mark.
    fn take_letter(&mut self) -> Option<char> {
        let mut after = self.clone();
        let letter = after.next().filter(|&c| class(c) == 0)?;
        *self = after;
        Some(letter)
    }

    /// Skips the marks up to the next letter.
    fn skip_marks(&mut self) {
        let mut after = self.clone();
        while after.next().is_some_and(|c| class(c) != 0) {
            self.clone_from(&after);
        }
    }

    /// Puts a character first among those to come.
    fn push(&mut self, c: char) {
        debug_assert!(self.waiting < self.pending.len(), "a character stands for at most five");
        if let Some(place) = self.pending.get_mut(self.waiting) {
            *place = c;
            self.waiting += 1;
        }
    }
}

impl Iterator for Decomposed<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some(c) = self.take_plain() {
            return Some(c);
        }
        if let Some(waiting) = self.waiting.checked_sub(1) {
            self.waiting = waiting;
            return self.pending.get(waiting).copied();
        }
        let mut c = self.chars.next()?;
        if self.form == Form::Compatible {
            self.plain = compatible(c);
            if let Some(c) = self.take_plain() {
                return Some(c);
            }
        }
        while let Some((first, second)) = step(c) {
            second.into_iter().for_each(|second| self.push(second));
            c = first;
        }
        Some(c)
    }
}

/// The marks up to the next letter: by class, those of one class as they come.
struct Ordered<'a> {
    marks: Decomposed<'a>,
    at: Decomposed<'a>,
    class: u8,
    /// The lowest class above `class` that has been seen.
    next: Option<u8>,
}

impl<'a> Ordered<'a> {
    fn new(marks: Decomposed<'a>) -> Self {
        Self { at: marks.clone(), marks, class: 0, next: None }
    }
}

impl Iterator for Ordered<'_> {
    type Item = (char, u8);

    fn next(&mut self) -> Option<(char, u8)> {
        loop {
            match self.at.next().map(|c| (c, class(c))).filter(|&(_, class)| class != 0) {
                Some((c, class)) if class == self.class => return Some((c, class)),
                Some((_, class)) if class > self.class => {
                    self.next = Some(self.next.map_or(class, |next| next.min(class)));
                }
                Some(_) => {}
                None => {
                    self.class = self.next.take()?;
                    self.at.clone_from(&self.marks);
                }
            }
        }
    }
}

/// Whether a character is [restless](Form::is_restless) in the canonical form.
fn is_restless(c: char) -> bool {
    let c = u32::from(c);
    c >= 0x300 && {
        let after = tables::RESTLESS.partition_point(|&(_, last)| last < c);
        tables::RESTLESS.get(after).is_some_and(|&(first, _)| first <= c)
    }
}

/// The characters, decomposed, of one that only looks otherwise; none if it is no such.
fn compatible(c: char) -> &'static [u32] {
    let c = u32::from(c);
    if cfg!(not(feature = "nfkc")) || c < 0xA0 {
        return &[];
    }
    let found = tables::COMPATIBLE.binary_search_by_key(&c, |&(c, ..)| c);
    let row = found.ok().and_then(|at| tables::COMPATIBLE.get(at));
    let Some(&(_, start, len)) = row else { return &[] };
    let start = usize::from(start);
    part(tables::PLAIN, start..start + usize::from(len))
}

/// The combining class of a mark; 0 of anything else.
fn class(c: char) -> u8 {
    let c = u32::from(c);
    if c < 0x300 {
        return 0;
    }
    let after = tables::CLASSES.partition_point(|&(_, last, _)| last < c);
    let found = tables::CLASSES.get(after).filter(|&&(first, ..)| first <= c);
    found.map_or(0, |&(_, _, class)| class)
}

/// Hangul is composed by arithmetic: The Unicode Standard, section 3.12.
mod hangul {
    pub const FIRST: u32 = 0xAC00;
    pub const LEADING: u32 = 0x1100;
    pub const VOWEL: u32 = 0x1161;
    /// One before the first: none is one of them.
    pub const FINAL: u32 = 0x11A7;
    pub const LEADINGS: u32 = 19;
    pub const VOWELS: u32 = 21;
    pub const FINALS: u32 = 28;
    pub const COUNT: u32 = LEADINGS * VOWELS * FINALS;
}

/// Decomposes a character by one step; `None` if it stands for itself.
fn step(c: char) -> Option<(char, Option<char>)> {
    let c = u32::from(c);
    if c < 0xC0 {
        return None;
    }
    if let Some(syllable) = c.checked_sub(hangul::FIRST).filter(|&s| s < hangul::COUNT) {
        return hangul_step(syllable);
    }
    let at = tables::STEPS.binary_search_by_key(&c, |&(c, ..)| c).ok()?;
    let &(_, first, second) = tables::STEPS.get(at)?;
    Some((char::from_u32(first)?, char::from_u32(second).filter(|&c| c != '\0')))
}

/// Decomposes a Hangul syllable by one step.
fn hangul_step(syllable: u32) -> Option<(char, Option<char>)> {
    use hangul::{FINAL, FINALS, FIRST, LEADING, VOWEL, VOWELS};
    let (first, second) = match syllable % FINALS {
        0 => (LEADING + syllable / FINALS / VOWELS, VOWEL + syllable / FINALS % VOWELS),
        last => (FIRST + syllable - last, FINAL + last),
    };
    Some((char::from_u32(first)?, char::from_u32(second)))
}

/// Composes two characters, if they are one together.
fn composed(first: char, second: char) -> Option<char> {
    let pair = (u32::from(first), u32::from(second));
    let found = || {
        let at = tables::PAIRS.binary_search_by_key(&pair, |&(a, b, _)| (a, b)).ok()?;
        tables::PAIRS.get(at).map(|&(_, _, c)| c)
    };
    hangul_composed(pair.0, pair.1).or_else(found).and_then(char::from_u32)
}

/// Composes two parts of a Hangul syllable.
fn hangul_composed(first: u32, second: u32) -> Option<u32> {
    use hangul::{COUNT, FINAL, FINALS, FIRST, LEADING, LEADINGS, VOWEL, VOWELS};
    let below = |c: u32, from: u32, count: u32| c.checked_sub(from).filter(|&i| i < count);
    if let (Some(leading), Some(vowel)) =
        (below(first, LEADING, LEADINGS), below(second, VOWEL, VOWELS))
    {
        return Some(FIRST + (leading * VOWELS + vowel) * FINALS);
    }
    let syllable = below(first, FIRST, COUNT).filter(|syllable| syllable % FINALS == 0)?;
    let last = below(second, FINAL, FINALS).filter(|&last| last > 0)?;
    Some(FIRST + syllable + last)
}
