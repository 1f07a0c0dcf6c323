//! Codes of the section: flags of tokens, rules of the text, units of words.

/// The id of no token, the rank of no merge.
pub const NONE: u32 = u32::MAX;
/// Flag of a token: it is special.
pub const SPECIAL: u8 = 1;
/// Flag of a token: it ends a generated text.
pub const END: u8 = 2;
/// Flag of an added token: it takes the spaces before it.
pub const LSTRIP: u32 = 1;
/// Flag of an added token: it takes the spaces after it.
pub const RSTRIP: u32 = 2;
/// Flag of an added token: it matches only where special tokens may.
pub const ADDED_SPECIAL: u32 = 4;
/// Flag of an added token: it matches only as a whole word.
pub const SINGLE_WORD: u32 = 8;

/// Rule of the text: normal form C (UAX #15).
pub const COMPOSE: u32 = 1;
/// Rule of the text, with [`COMPOSE`]: normal form KC instead.
pub const COMPAT: u32 = 2;
/// Rule of the text: lower case.
pub const LOWERCASE: u32 = 4;
/// Rule of the text: a space is put before it.
pub const PREPEND: u32 = 8;
/// Rule of the text: U+2581, SentencePiece's mark of a space, becomes a space.
pub const SPACE_MARK: u32 = 16;
/// Rule of the text: it is normalized by the charsmap, before all other rules.
pub const CHARSMAP: u32 = 32;
/// Rule of the text, with [`CHARSMAP`]: spaces behind a space are dropped thereafter.
pub const COLLAPSE: u32 = 64;
/// Shift of [`PREPEND`] and [`SPACE_MARK`] to late rules, which hold only once the added tokens
/// are all found.
pub const LATE: u32 = 8;
/// Late rule: a space is put only before what does not begin with one.
pub const PREPEND_MISSING: u32 = 1 << 16;
/// Late rule: a space is put only where the whole text begins.
pub const PREPEND_FIRST: u32 = 1 << 17;
/// Rule of decoding: the space with which a text begins was put there.
pub const STRIP: u32 = 1 << 24;
/// Rule of decoding, with [`STRIP`]: so were all other spaces there.
pub const STRIP_ALL: u32 = 1 << 25;
/// All rules that this build knows.
pub const RULES: u32 = COMPOSE
    | if cfg!(feature = "nfkc") { COMPAT } else { 0 }
    | LOWERCASE
    | PREPEND
    | SPACE_MARK
    | if cfg!(feature = "charsmap") { CHARSMAP | COLLAPSE } else { 0 }
    | (PREPEND | SPACE_MARK) << LATE
    | PREPEND_MISSING
    | PREPEND_FIRST
    | STRIP
    | STRIP_ALL;

/// Units that a word consists of before anything is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Units {
    /// Bytes, each of which has a token or is dropped.
    Bytes = 0,
    /// Characters. One without a token is its bytes, if those have tokens, else unknown.
    Characters = 1,
    /// As [`Units::Characters`]; unknown ones that follow each other are one.
    FusedCharacters = 2,
    /// Tokens, of which those with the highest sum of scores are chosen; nothing is merged.
    Scored = 3,
}

impl Units {
    /// The units with this code in the file.
    pub(super) const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Bytes),
            1 => Some(Self::Characters),
            2 => Some(Self::FusedCharacters),
            3 => Some(Self::Scored),
            _ => None,
        }
    }
}
