//! Classes of characters, as the regular expressions of the original tokenizers see them.

use super::unicode_tables as tables;

/// The class of a character, which pre-tokenizers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// `[^\s\p{L}\p{N}]`
    Other = 0,
    /// `\p{L}`
    Letter = 1,
    /// `\p{N}`
    Number = 2,
    /// `\s`
    Space = 3,
}

impl Class {
    /// The class of a two-bit code.
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            1 => Self::Letter,
            2 => Self::Number,
            3 => Self::Space,
            _ => Self::Other,
        }
    }
}

/// First code point that is `Other`, like all after it.
const END: usize = match tables::LETTERS.last() {
    Some(&(_, last)) => (last as usize + 4) / 4 * 4,
    None => 0,
};

/// Two bits for each code point: 50 KB, of which a text touches the part of its script.
static CLASSES: [u8; END / 4] = {
    let mut bits = [0; END / 4];
    fill(&mut bits, tables::LETTERS, Class::Letter);
    fill(&mut bits, tables::NUMBERS, Class::Number);
    fill(&mut bits, tables::SPACES, Class::Space);
    bits
};

/// The classes of ASCII, one to a byte.
#[allow(clippy::indexing_slicing, reason = "runs when compiled")]
static ASCII: [Class; 128] = {
    let mut classes = [Class::Other; 128];
    let mut c = 0;
    while c < 128 {
        classes[c] = Class::from_bits(CLASSES[c / 4] >> (c % 4 * 2));
        c += 1;
    }
    classes
};

/// Sets the class of all characters in these ranges.
#[allow(clippy::indexing_slicing, reason = "runs when compiled")]
const fn fill(bits: &mut [u8; END / 4], ranges: &[(u32, u32)], class: Class) {
    let mut i = 0;
    while i < ranges.len() {
        let (mut c, last) = (ranges[i].0 as usize, ranges[i].1 as usize);
        while c <= last {
            bits[c / 4] |= (class as u8) << (c % 4 * 2);
            c += 1;
        }
        i += 1;
    }
}

/// The class of an ASCII byte; `None` for the others.
#[inline(always)]
pub(super) fn ascii(byte: u8) -> Option<Class> {
    ASCII.get(usize::from(byte)).copied()
}

/// The class of any character.
pub(super) fn class(c: char) -> Class {
    let c = c as usize;
    let bits = CLASSES.get(c / 4).copied().unwrap_or(0);
    Class::from_bits(bits >> (c % 4 * 2))
}

/// The case of a letter or mark, which o200k's and similar pre-tokenizers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// `[\p{Lu}\p{Lt}]`
    Upper,
    /// `\p{Ll}`
    Lower,
    /// `[\p{Lm}\p{Lo}\p{M}]`
    Either,
}

/// The case of a letter or mark; `None` of anything else.
pub(super) fn case(c: char, class: Class) -> Option<Case> {
    match class {
        Class::Letter if c.is_ascii_lowercase() => Some(Case::Lower),
        Class::Letter if c.is_ascii_uppercase() => Some(Case::Upper),
        Class::Letter if is_in(tables::LOWER, c) => Some(Case::Lower),
        Class::Letter if is_in(tables::UPPER, c) => Some(Case::Upper),
        Class::Letter => Some(Case::Either),
        Class::Other if is_mark(c) => Some(Case::Either),
        _ => None,
    }
}

/// Whether a character is in one of these ascending ranges.
pub(super) fn is_in(ranges: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    let after = ranges.partition_point(|&(_, last)| last < c);
    ranges.get(after).is_some_and(|&(first, _)| first <= c)
}

/// Whether an added token that is to stand as a single word may not stand beside it.
pub(super) fn is_word(c: char) -> bool {
    is_in(tables::WORDS, c)
}

/// Whether `Digits` takes the character for a digit.
pub(super) fn is_digit(c: char, class: Class) -> bool {
    let later = |&(first, last): &(u32, u32)| (first..=last).contains(&(c as u32));
    match class {
        Class::Number => true,
        Class::Other => !c.is_ascii() && tables::DIGITS_ONLY.iter().any(later),
        Class::Letter | Class::Space => false,
    }
}

/// Whether `Punctuation` takes the character for one.
pub(super) fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { is_packed(tables::PUNCTUATION, c) }
}

/// Whether a character is in one of these ascending ranges: their first character, and in the lower
/// byte how many follow.
fn is_packed(ranges: &[u32], c: char) -> bool {
    let c = u32::from(c);
    let after = ranges.partition_point(|range| range >> 8 <= c);
    let range = after.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|range| c - (range >> 8) <= range & 0xFF)
}

/// `\p{M}`
pub(super) fn is_mark(c: char) -> bool {
    is_in(tables::MARKS, c)
}

/// `\p{Han}`
pub(super) fn is_han(c: char) -> bool {
    is_in(tables::HAN, c)
}

/// `\p{P}`
pub(super) fn is_point(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !is_ascii_symbol(c);
    }
    is_packed(tables::POINTS, c)
}

/// `[\p{P}\p{S}]`
pub(super) fn is_point_or_symbol(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_punctuation()
    } else {
        is_point(c) || is_packed(tables::SYMBOLS, c)
    }
}

const fn is_ascii_symbol(c: char) -> bool {
    matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_its_class() {
        let classes = [
            (tables::LETTERS, Class::Letter),
            (tables::NUMBERS, Class::Number),
            (tables::SPACES, Class::Space),
        ];
        for (ranges, expected) in classes {
            for c in ranges.iter().flat_map(|&(first, last)| first..=last) {
                assert_eq!(char::from_u32(c).map(class), Some(expected), "{c:x}");
            }
        }
        let all = |c: char| {
            classes.iter().any(|(r, _)| r.iter().any(|r| (r.0..=r.1).contains(&(c as u32))))
        };
        let others = ('\0'..=char::MAX).step_by(7).filter(|&c| !all(c));
        assert!(others.into_iter().all(|c| class(c) == Class::Other));
    }
}
