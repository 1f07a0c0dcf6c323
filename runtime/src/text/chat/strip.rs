//! Space that a template takes off contents.

/// Sides of a text that are stripped, and of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strip(u8);

/// Bits of a [`Strip`]: there are no others.
const BITS: u8 = 15;

impl Strip {
    /// Newlines at the start.
    pub const START_LINES: Self = Self(1);
    /// White space at the start.
    pub const START: Self = Self(2);
    /// Newlines at the end.
    pub const END_LINES: Self = Self(4);
    /// White space at the end.
    pub const END: Self = Self(8);
    /// Bits of one in a word of several.
    pub const WIDTH: u32 = 4;

    /// The one that lies in the lowest bits of a word.
    pub const fn from_bits(word: u32) -> Self {
        Self(word as u8 & BITS)
    }

    /// Its bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The text without what is stripped off it.
    pub fn apply(self, mut text: &str) -> &str {
        if self.has(Self::START) {
            text = text.trim_start_matches(is_python_space);
        }
        if self.has(Self::START_LINES) {
            text = text.trim_start_matches('\n');
        }
        if self.has(Self::END) {
            text = text.trim_end_matches(is_python_space);
        }
        if self.has(Self::END_LINES) {
            text = text.trim_end_matches('\n');
        }
        text
    }

    /// Whether this byte at the start is stripped.
    pub const fn takes_first(self, byte: u8) -> bool {
        match byte {
            b'\n' => self.has(Self::START.and(Self::START_LINES)),
            b' ' | b'\t' | b'\r' | 0x0B | 0x0C => self.has(Self::START),
            _ => false,
        }
    }
}

/// Python's `str.strip`.
pub fn python_strip(text: &str) -> &str {
    Strip::START.and(Strip::END).apply(text)
}

/// Python's `str.isspace`, of one character.
pub fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1C}'..='\u{1F}')
}
