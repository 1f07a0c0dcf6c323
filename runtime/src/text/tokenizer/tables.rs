//! The tokenizer section: where its tables lie, and how they are searched.
//!
//! The converter writes it with the constants and hashes here, the runtime reads it in
//! place. Everything is little-endian; the tables follow the header in this order, each
//! as long as the header's counts say:
//!
//! ```text
//! byte ids      256 × u32: the token of each byte, or NONE
//! merges        slots × { left u32, right u32, rank u32, id u32 }
//! words         slots × { id u32, tag u32 }
//! starts        (tokens + 1) × u32, into the blob
//! added         (verbatim + normalized) × { start u32, len u32 into the blob, id u32, flags u32 },
//!               each of the two in ascending order of their text
//! prefix        ids u32, to put before a text
//! suffix        ids u32, to put after it
//! scores        f64 for each token, if there are any
//! charsmap      bytes, if there is one
//! token flags   tokens × u8
//! blob          bytes of the tokens, then texts of the added tokens
//! ```
//!
//! Both hash tables are probed linearly without wrapping, at most [`PROBES`] slots from
//! the home slot up to the first empty one, whose id is [`NONE`]. Homes lie in all but the
//! last [`PROBES`] slots.

use super::charsmap::Charsmap;
use super::split::Splitter;

/// Version of a section whose [`Header::rules`] and those behind them are all zero.
pub const PLAIN_VERSION: u32 = 1;
/// Version of any other section.
pub const VERSION: u32 = 2;
/// Bytes of the header: 16 × u32, see [`Header`].
pub const HEADER: usize = 64;
/// No token, no merge.
pub const NONE: u32 = u32::MAX;
/// Bytes of the longest token of [`Units::Scored`]: at each character all up to it are looked up.
pub const LONGEST_SCORED: usize = 256;
/// Slots that a search looks at.
pub const PROBES: usize = 32;
/// Flag of a token: special.
pub const SPECIAL: u8 = 1;
/// Flag of a token: ends what a model generates.
pub const END: u8 = 2;
/// Flag of an added token: takes the spaces before it.
pub const LSTRIP: u32 = 1;
/// Flag of an added token: takes the spaces after it.
pub const RSTRIP: u32 = 2;
/// Flag of an added token: matches only where special tokens may.
pub const ADDED_SPECIAL: u32 = 4;
/// Flag of an added token: not within a word.
pub const SINGLE_WORD: u32 = 8;

/// Rule of the text: normal form C.
pub const COMPOSE: u32 = 1;
/// With [`COMPOSE`]: normal form KC.
pub const COMPAT: u32 = 2;
/// Rule of the text: lower case.
pub const LOWERCASE: u32 = 4;
/// Rule of the text: a space is put before it.
pub const PREPEND: u32 = 8;
/// Rule of the text: U+2581, SentencePiece's mark of a space, is as good as one.
pub const SPACE_MARK: u32 = 16;
/// Rule of the text: what the charsmap makes of it, before all others.
pub const CHARSMAP: u32 = 32;
/// With [`CHARSMAP`]: spaces behind a space are dropped, thereafter.
pub const COLLAPSE: u32 = 64;
/// How far to shift [`PREPEND`] and [`SPACE_MARK`] for rules that hold only once the added
/// tokens are all found.
pub const LATE: u32 = 8;
/// Late rule: a space is put only before what does not begin with one.
pub const PREPEND_MISSING: u32 = 1 << 16;
/// Late rule: a space is put only where the whole text begins.
pub const PREPEND_FIRST: u32 = 1 << 17;
/// Rule of decoding: the space with which a text begins was put there.
pub const STRIP: u32 = 1 << 24;
/// With [`STRIP`]: so are all others there.
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

/// What a word is before anything of it is merged.
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
    const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Bytes),
            1 => Some(Self::Characters),
            2 => Some(Self::FusedCharacters),
            3 => Some(Self::Scored),
            _ => None,
        }
    }
}

/// The fields of the header, in order, each u32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// [`VERSION`]
    pub version: u32,
    /// Code of the [`Splitter`].
    pub splitter: u32,
    /// Ids.
    pub tokens: u32,
    /// Slots of the merge table.
    pub merges: u32,
    /// Slots of the word table.
    pub words: u32,
    /// Bytes of the longest word in it.
    pub longest_word: u32,
    /// Added tokens that are looked for first, in the text as it is.
    pub verbatim: u32,
    /// Added tokens that are looked for after it is normalized.
    pub normalized: u32,
    /// Ids before a text.
    pub prefix: u32,
    /// Ids after a text.
    pub suffix: u32,
    /// Bytes of the blob.
    pub blob: u32,
    /// What is done to a text before and after: [`RULES`].
    pub rules: u32,
    /// Code of the [`Units`].
    pub units: u32,
    /// The token of what is unknown, plus one; 0 if it is dropped.
    pub unknown: u32,
    /// Scores: as many as tokens, or none.
    pub scores: u32,
    /// Bytes of the charsmap.
    pub charsmap: u32,
}

impl Header {
    fn read(section: &[u8]) -> Option<Self> {
        let (fields, _) = section.get(..HEADER)?.as_chunks();
        let mut fields = fields.iter().copied().map(u32::from_le_bytes);
        let mut next = || fields.next();
        Some(Self {
            version: next()?,
            splitter: next()?,
            tokens: next()?,
            merges: next()?,
            words: next()?,
            longest_word: next()?,
            verbatim: next()?,
            normalized: next()?,
            prefix: next()?,
            suffix: next()?,
            blob: next()?,
            rules: next()?,
            units: next()?,
            unknown: next()?,
            scores: next()?,
            charsmap: next()?,
        })
    }

    /// The version that a section of this header has.
    pub const fn own_version(&self) -> u32 {
        // With a charsmap, there is a rule that says so.
        let plain = self.rules | self.units | self.unknown | self.scores == 0;
        if plain { PLAIN_VERSION } else { VERSION }
    }

    /// Whether this build knows all of it, and its parts go together.
    fn is_possible(&self, units: Units, splitter: Splitter) -> bool {
        let has = |rule| self.rules & rule != 0;
        self.version == self.own_version()
            && !has(!RULES)
            && has(CHARSMAP) == (self.charsmap > 0)
            && (has(CHARSMAP) || !has(COLLAPSE))
            // Its words end within characters, of which nothing else can make units.
            && (splitter != Splitter::Falcon || units == Units::Bytes)
            && (units != Units::Scored || self.longest_word as usize <= LONGEST_SCORED)
    }

    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; HEADER] {
        let fields = [
            self.version,
            self.splitter,
            self.tokens,
            self.merges,
            self.words,
            self.longest_word,
            self.verbatim,
            self.normalized,
            self.prefix,
            self.suffix,
            self.blob,
            self.rules,
            self.units,
            self.unknown,
            self.scores,
            self.charsmap,
        ];
        let mut bytes = [0; HEADER];
        for (to, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *to = field.to_le_bytes();
        }
        bytes
    }
}

/// Mixes all bits of `x` into the upper ones.
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^ (x >> 29)
}

/// The hash of a pair of ids.
pub const fn hash_pair(left: u32, right: u32) -> u32 {
    let pair = left as u64 | (right as u64) << 32;
    (mix(pair.wrapping_mul(0xBF58_476D_1CE4_E5B9)) >> 32) as u32
}

/// The hash of a word and the tag that its slot carries.
pub fn hash_word(word: &[u8]) -> (u32, u32) {
    let (chunks, tail) = word.as_chunks();
    let mut hash = word.len() as u64;
    for &chunk in chunks {
        hash = mix(hash ^ u64::from_le_bytes(chunk)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    let last = tail.iter().rev().fold(0, |last, &byte| last << 8 | u64::from(byte));
    let hash = mix(mix(hash ^ last).wrapping_mul(0x94D0_49BB_1331_11EB));
    ((hash >> 32) as u32, hash as u32)
}

/// The home of a hash in a table of this many slots.
pub const fn home(hash: u32, slots: usize) -> usize {
    let homes = slots.saturating_sub(PROBES) as u64;
    ((hash as u64 * homes) >> 32) as usize
}

/// What two tokens merge to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    pub rank: u32,
    pub id: u32,
}

/// An added token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added<'m> {
    pub text: &'m [u8],
    pub id: u32,
    pub flags: u32,
}

type Words<'m> = &'m [[u8; 4]];

/// The tables of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'m> {
    pub splitter: Splitter,
    pub rules: u32,
    pub units: Units,
    /// The token of what is unknown.
    pub unknown: Option<u32>,
    longest_word: usize,
    byte_ids: Words<'m>,
    merges: &'m [[u8; 16]],
    words: &'m [[u8; 8]],
    starts: Words<'m>,
    pub verbatim: &'m [[u8; 16]],
    pub normalized: &'m [[u8; 16]],
    prefix: Words<'m>,
    suffix: Words<'m>,
    scores: &'m [[u8; 8]],
    /// The lowest of them.
    pub worst_score: f64,
    pub charsmap: Charsmap<'m>,
    flags: &'m [u8],
    blob: &'m [u8],
}

/// Takes tables off the front of a section.
struct Rest<'m>(&'m [u8]);

impl<'m> Rest<'m> {
    fn take<const SIZE: usize>(&mut self, count: usize) -> Option<&'m [[u8; SIZE]]> {
        let (table, rest) = self.0.split_at_checked(count.checked_mul(SIZE)?)?;
        self.0 = rest;
        Some(table.as_chunks().0)
    }
}

impl<'m> Tables<'m> {
    /// Finds the tables, or `None` if the section is too short or of another version.
    pub fn new(section: &'m [u8]) -> Option<Self> {
        let header = Header::read(section)?;
        let units = Units::from_code(header.units)?;
        let splitter = Splitter::from_code(header.splitter)?;
        if !header.is_possible(units, splitter) {
            return None;
        }
        let mut rest = Rest(section.get(HEADER..)?);
        let tokens = header.tokens as usize;
        let mut tables = Self {
            splitter,
            rules: header.rules,
            units,
            unknown: header.unknown.checked_sub(1),
            longest_word: header.longest_word as usize,
            byte_ids: rest.take(256)?,
            merges: rest.take(header.merges as usize)?,
            words: rest.take(header.words as usize)?,
            starts: rest.take(tokens.checked_add(1)?)?,
            verbatim: rest.take(header.verbatim as usize)?,
            normalized: rest.take(header.normalized as usize)?,
            prefix: rest.take(header.prefix as usize)?,
            suffix: rest.take(header.suffix as usize)?,
            scores: rest.take(header.scores as usize)?,
            worst_score: f64::INFINITY,
            charsmap: match rest.take::<1>(header.charsmap as usize)?.as_flattened() {
                [] => Charsmap::default(),
                bytes => Charsmap::new(bytes)?,
            },
            flags: rest.take::<1>(tokens)?.as_flattened(),
            blob: rest.take::<1>(header.blob as usize)?.as_flattened(),
        };
        let scores = tables.scores.iter().copied().map(f64::from_le_bytes);
        tables.worst_score = scores.fold(f64::INFINITY, f64::min);
        Some(tables)
    }

    pub fn len(&self) -> usize {
        self.flags.len()
    }

    pub fn flags(&self, id: u32) -> u8 {
        self.flags.get(id as usize).copied().unwrap_or(0)
    }

    pub fn bytes(&self, id: u32) -> &'m [u8] {
        let start =
            |id: usize| self.starts.get(id).map(|&start| u32::from_le_bytes(start) as usize);
        let (from, to) = (start(id as usize), start((id as usize).saturating_add(1)));
        from.zip(to).and_then(|(from, to)| self.blob.get(from..to)).unwrap_or_default()
    }

    /// The token of a byte.
    pub fn byte_id(&self, byte: u8) -> Option<u32> {
        let id = u32::from_le_bytes(*self.byte_ids.get(usize::from(byte))?);
        (id != NONE).then_some(id)
    }

    /// What a pair of tokens merges to, if anything.
    pub fn merge(&self, left: u32, right: u32) -> Option<Merge> {
        let pair = u64::from(left) | u64::from(right) << 32;
        let slots = self.merges.get(home(hash_pair(left, right), self.merges.len())..)?;
        for &slot in slots.iter().take(PROBES) {
            let slot = u128::from_le_bytes(slot);
            let merge = Merge { rank: (slot >> 64) as u32, id: (slot >> 96) as u32 };
            if merge.id == NONE {
                break;
            }
            if slot as u64 == pair {
                return Some(merge);
            }
        }
        None
    }

    /// The token that a whole word becomes, if it is one.
    pub fn word(&self, word: &[u8]) -> Option<u32> {
        if word.len() > self.longest_word {
            return None;
        }
        let (hash, tag) = hash_word(word);
        let slots = self.words.get(home(hash, self.words.len())..)?;
        for &slot in slots.iter().take(PROBES) {
            let slot = u64::from_le_bytes(slot);
            let id = slot as u32;
            if id == NONE {
                break;
            }
            if (slot >> 32) as u32 == tag && self.bytes(id) == word {
                return Some(id);
            }
        }
        None
    }

    /// Bytes of the longest word that is one token.
    pub const fn longest_word(&self) -> usize {
        self.longest_word
    }

    /// The score of a token.
    pub fn score(&self, id: u32) -> f64 {
        self.scores.get(id as usize).map_or(0.0, |&score| f64::from_le_bytes(score))
    }

    /// An entry of [`Tables::verbatim`] or [`Tables::normalized`].
    pub fn added(&self, entry: [u8; 16]) -> Added<'m> {
        let entry = u128::from_le_bytes(entry);
        let (start, len) = (entry as u32 as usize, (entry >> 32) as u32 as usize);
        Added {
            text: self.blob.get(start..start.saturating_add(len)).unwrap_or_default(),
            id: (entry >> 64) as u32,
            flags: (entry >> 96) as u32,
        }
    }

    pub fn prefix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.prefix.iter().copied().map(u32::from_le_bytes)
    }

    pub fn suffix(&self) -> impl Iterator<Item = u32> + use<'m> {
        self.suffix.iter().copied().map(u32::from_le_bytes)
    }
}
