//! A description to the section that the runtime searches.

use std::collections::HashMap;

use oarlock::tokenizer::tables::{
    ADDED_SPECIAL, END, Header, LONGEST_SCORED, LSTRIP, NONE, PROBES, RSTRIP, SINGLE_WORD, SPECIAL,
    Units, hash_pair, hash_word, home,
};
use oarlock::tokenizer::{Symbol, Tokenizer};

use super::description::{Added, Merge, Token, TokenizerDescription};
use super::error::{TokenizerError, malformed};

/// Writes the section.
pub(super) fn write(description: &TokenizerDescription) -> Result<Vec<u8>, TokenizerError> {
    let words = whole_words(description)?;
    section(description, &words)
}

/// The ids of words that become one token as a whole.
fn whole_words(description: &TokenizerDescription) -> Result<Vec<u32>, TokenizerError> {
    let candidates = (0_u32..)
        .zip(&description.tokens)
        .filter(|(_, token)| token.merged && !token.bytes.is_empty());
    if description.ignore_merges || description.units == Units::Scored {
        return Ok(candidates.map(|(id, _)| id).collect());
    }
    // Characters are looked up as words themselves.
    let is_character =
        |token: &Token| str::from_utf8(&token.bytes).is_ok_and(|t| t.chars().count() == 1);
    let characters = candidates.clone().filter(|(_, token)| is_character(token)).map(|(id, _)| id);
    let units: Vec<u32> = match description.units {
        Units::Bytes | Units::Scored => Vec::new(),
        Units::Characters | Units::FusedCharacters => characters.collect(),
    };
    let without = section(description, &units)?;
    let tokenizer = Tokenizer::new(&without)
        .map_err(|_| malformed("tokenizer: too large for the tables of this version"))?;
    let mut scratch = Vec::new();
    let is_word =
        |(id, token): &(u32, &Token)| merged(&tokenizer, &token.bytes, &mut scratch) == Some(*id);
    Ok(candidates.filter(is_word).map(|(id, _)| id).collect())
}

/// The single token that a word merges to.
fn merged(tokenizer: &Tokenizer<'_>, word: &[u8], scratch: &mut Vec<Symbol>) -> Option<u32> {
    if scratch.len() < word.len() {
        scratch.resize(word.len(), Symbol::default());
    }
    let (mut first, mut count) = (None, 0);
    let dropped = tokenizer.merge_word(word, scratch, &mut |id| {
        first.get_or_insert(id);
        count += 1;
    });
    first.filter(|_| count == 1 && dropped == Ok(0))
}

/// Tables of a section whose sizes its header says.
struct Tables {
    blob: Vec<u8>,
    starts: Vec<u32>,
    verbatim: Vec<[u32; 4]>,
    normalized: Vec<[u32; 4]>,
    words: Vec<[u32; 2]>,
    merges: Vec<[u32; 4]>,
    scores: Vec<f64>,
}

impl Tables {
    /// Makes the tables, with these words in that of whole words.
    fn new(description: &TokenizerDescription, words: &[u32]) -> Self {
        let mut blob = Vec::new();
        let starts = starts(&description.tokens, &mut blob);
        let verbatim = added(description, false, &mut blob);
        let normalized = added(description, true, &mut blob);
        // Ids beyond the vocabulary are never spelled with.
        let scores = description.scores.iter().copied();
        let scores: Vec<f64> = if description.units == Units::Scored {
            scores.chain(std::iter::repeat(f64::INFINITY)).take(description.tokens.len()).collect()
        } else {
            Vec::new()
        };
        let words = word_table(&description.tokens, words);
        let merges = merge_table(&description.merges);
        Self { blob, starts, verbatim, normalized, words, merges, scores }
    }
}

/// The length of the longest of these words; 0 without any.
fn longest_word(description: &TokenizerDescription, words: &[u32]) -> Result<u32, TokenizerError> {
    let longest = words.iter().map(|&id| description.tokens[id as usize].bytes.len()).max();
    if description.units == Units::Scored && longest > Some(LONGEST_SCORED) {
        let found = format!("a token of {} bytes", longest.unwrap_or_default());
        return Err(TokenizerError::unsupported("model.vocab", found));
    }
    count(longest.unwrap_or(0))
}

fn header(
    description: &TokenizerDescription,
    tables: &Tables,
    longest_word: u32,
) -> Result<Header, TokenizerError> {
    let mut header = Header {
        version: 0,
        splitter: description.splitter as u32,
        tokens: count(description.tokens.len())?,
        merges: count(tables.merges.len())?,
        words: count(tables.words.len())?,
        longest_word,
        verbatim: count(tables.verbatim.len())?,
        normalized: count(tables.normalized.len())?,
        prefix: count(description.prefix.len())?,
        suffix: count(description.suffix.len())?,
        blob: count(tables.blob.len())?,
        rules: description.rules,
        units: description.units as u32,
        unknown: description.unknown.map_or(0, |id| id + 1),
        scores: count(tables.scores.len())?,
        charsmap: count(description.charsmap.len())?,
    };
    header.version = header.own_version();
    Ok(header)
}

/// The section, with these words in the table of whole words.
fn section(description: &TokenizerDescription, words: &[u32]) -> Result<Vec<u8>, TokenizerError> {
    let longest_word = longest_word(description, words)?;
    let tables = Tables::new(description, words);
    let mut out = header(description, &tables, longest_word)?.to_bytes().to_vec();
    put(&mut out, description.byte_ids.iter().map(|id| [id.unwrap_or(NONE)]));
    put(&mut out, tables.merges);
    put(&mut out, tables.words);
    put(&mut out, tables.starts.into_iter().map(|start| [start]));
    put(&mut out, tables.verbatim);
    put(&mut out, tables.normalized);
    put(&mut out, description.prefix.iter().chain(&description.suffix).map(|&id| [id]));
    out.extend(tables.scores.into_iter().flat_map(f64::to_le_bytes));
    out.extend(&description.charsmap);
    out.extend(description.tokens.iter().map(flags));
    out.extend(tables.blob);
    Ok(out)
}

fn count(len: usize) -> Result<u32, TokenizerError> {
    u32::try_from(len).map_err(|_| malformed("tokenizer: more than 4 GiB of tables"))
}

fn put<const N: usize>(out: &mut Vec<u8>, entries: impl IntoIterator<Item = [u32; N]>) {
    out.extend(entries.into_iter().flatten().flat_map(u32::to_le_bytes));
}

fn flags(token: &Token) -> u8 {
    let special = if token.special { SPECIAL } else { 0 };
    special | if token.end { END } else { 0 }
}

/// Offsets at which each token begins in the blob, and at which the last one ends.
fn starts(tokens: &[Token], blob: &mut Vec<u8>) -> Vec<u32> {
    let mut starts = vec![0];
    for token in tokens {
        blob.extend(&token.bytes);
        starts.push(blob.len() as u32);
    }
    starts
}

/// Entries of the added tokens that are, or are not, looked for after normalizing.
fn added(
    description: &TokenizerDescription,
    normalized: bool,
    blob: &mut Vec<u8>,
) -> Vec<[u32; 4]> {
    let chosen = description.added.iter().filter(|added| added.normalized == normalized);
    let chosen: Vec<&Added> = chosen.filter(|added| !added.text.is_empty()).collect();
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    let entry = |added: &Added| {
        let start = blob.len();
        if normalized {
            blob.extend(description.normalized(&added.text).into_bytes());
        } else {
            blob.extend(added.text.as_bytes());
        }
        let flags = flag(added.lstrip, LSTRIP)
            | flag(added.rstrip, RSTRIP)
            | flag(added.special, ADDED_SPECIAL)
            | flag(added.single_word, SINGLE_WORD);
        [start as u32, (blob.len() - start) as u32, added.id, flags]
    };
    let mut entries: Vec<_> = chosen.into_iter().map(entry).collect();
    entries.sort_by_key(|&[start, len, ..]| &blob[start as usize..][..len as usize]);
    entries
}

fn merge_table(merges: &[Merge]) -> Vec<[u32; 4]> {
    let mut ranks = HashMap::new();
    for (rank, merge) in (0_u32..).zip(merges) {
        ranks.insert((merge.left, merge.right), (rank, merge.id));
    }
    let mut entries: Vec<_> =
        ranks.into_iter().map(|((left, right), (rank, id))| [left, right, rank, id]).collect();
    entries.sort_unstable_by_key(|&[_, _, rank, _]| rank);
    let hash = |&[left, right, _, _]: &[u32; 4]| hash_pair(left, right);
    hash_table(&entries, hash, [NONE; 4], |entry| entry[3] == NONE)
}

fn word_table(tokens: &[Token], words: &[u32]) -> Vec<[u32; 2]> {
    let hash = |id: u32| hash_word(&tokens[id as usize].bytes);
    let entries: Vec<_> = words.iter().map(|&id| [id, hash(id).1]).collect();
    hash_table(&entries, |&[id, _]| hash(id).0, [NONE; 2], |entry| entry[0] == NONE)
}

/// Three quarters full, or emptier until no entry is too far from its home.
fn hash_table<E: Copy>(
    entries: &[E],
    hash: impl Fn(&E) -> u32,
    empty: E,
    is_empty: impl Fn(&E) -> bool,
) -> Vec<E> {
    let mut homes = entries.len() + entries.len() / 3 + 1;
    loop {
        let mut slots = vec![empty; homes + PROBES];
        let placed = entries.iter().all(|entry| {
            let at = home(hash(entry), slots.len());
            let free = slots[at..at + PROBES].iter_mut().find(|slot| is_empty(slot));
            free.map(|slot| *slot = *entry).is_some()
        });
        if placed {
            return slots;
        }
        homes += homes / 4 + 1;
    }
}
