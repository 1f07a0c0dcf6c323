//! Descriptions of tokenizers, which both sources come to.

use std::collections::HashMap;

use oarlock::tokenizer::tables::Units;
use oarlock::tokenizer::{Charsmap, Splitter, rewrite};

use super::error::{TokenizerError, malformed};

/// A BPE or Unigram tokenizer.
pub(super) struct TokenizerDescription {
    pub splitter: Splitter,
    /// Changes to a text before and after, as `oarlock::tokenizer::tables` has them.
    pub rules: u32,
    /// SentencePiece's table, if one of the rules is to go by it.
    pub charsmap: Vec<u8>,
    /// The parts that words are made of.
    pub units: Units,
    /// The token of a character that has none.
    pub unknown: Option<u32>,
    /// Tokens by id; ids without a token are empty.
    pub tokens: Vec<Token>,
    /// The token of each byte.
    pub byte_ids: Vec<Option<u32>>,
    /// Scores by id, if tokens have some.
    pub scores: Vec<f64>,
    /// Merges in order of rank.
    pub merges: Vec<Merge>,
    /// Whether a whole word that is a token becomes it, whatever its merges give.
    pub ignore_merges: bool,
    pub added: Vec<Added>,
    pub prefix: Vec<u32>,
    pub suffix: Vec<u32>,
}

impl Default for TokenizerDescription {
    fn default() -> Self {
        Self {
            splitter: Splitter::Gpt2,
            rules: 0,
            charsmap: Vec::new(),
            units: Units::Bytes,
            unknown: None,
            tokens: Vec::new(),
            byte_ids: vec![None; 256],
            scores: Vec::new(),
            merges: Vec::new(),
            ignore_merges: false,
            added: Vec::new(),
            prefix: Vec::new(),
            suffix: Vec::new(),
        }
    }
}

impl TokenizerDescription {
    /// Normalizes the text of an added token, which is looked for in normalized texts.
    pub fn normalized(&self, text: &str) -> String {
        let mut out = String::new();
        let charsmap = Charsmap::new(&self.charsmap).unwrap_or_default();
        rewrite(self.rules, charsmap, text, &mut |piece| out.push_str(piece));
        out
    }
}

/// A token as decoding gives it.
#[derive(Clone, Default)]
pub(super) struct Token {
    pub bytes: Vec<u8>,
    /// Whether merging can give it: it is in the model's vocabulary and spells bytes.
    pub merged: bool,
    pub special: bool,
    pub end: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Merge {
    pub left: u32,
    pub right: u32,
    pub id: u32,
}

/// An added token, which a text is cut at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Added {
    pub id: u32,
    pub text: String,
    pub lstrip: bool,
    pub rstrip: bool,
    pub normalized: bool,
    pub special: bool,
    /// Whether it may not be a part of a word.
    pub single_word: bool,
}

/// The merges of `(left, right)` texts; a pair that comes again counts where it comes last.
pub(super) fn merges<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    vocab: &HashMap<&str, u32>,
) -> Result<Vec<Merge>, TokenizerError> {
    let id = |text: &str| {
        vocab.get(text).copied().ok_or_else(|| malformed(format!("merges: no token {text:?}")))
    };
    let mut merged = String::new();
    pairs
        .map(|(left, right)| {
            merged.clear();
            merged.extend([left, right]);
            Ok(Merge { left: id(left)?, right: id(right)?, id: id(&merged)? })
        })
        .collect()
}

/// A merge spelled `a b`.
pub(super) fn spaced_pair(merge: &str) -> Option<(&str, &str)> {
    merge.split_once(' ').filter(|(_, right)| !right.contains(' '))
}

/// Refuses what the runtime does not do with added tokens.
pub(super) fn check_added(added: &[Added]) -> Result<(), TokenizerError> {
    let spaced = added.iter().find(|token| token.text.starts_with(char::is_whitespace));
    let rstrip = added.iter().find(|token| token.rstrip);
    match (rstrip, spaced) {
        (Some(rstrip), Some(spaced)) => Err(TokenizerError::unsupported(
            "added tokens",
            format!(
                "rstrip of {:?} beside {:?}, which begins with a space",
                rstrip.text, spaced.text
            ),
        )),
        _ => Ok(()),
    }
}

/// Gives the added tokens their place among the tokens; `decoded` gives the bytes of a text.
pub(super) fn place_added(
    description: &mut TokenizerDescription,
    decoded: impl Fn(&str) -> Vec<u8>,
) {
    let text = |added: &Added| match added.normalized {
        true => description.normalized(&added.text),
        false => added.text.clone(),
    };
    let texts: Vec<String> = description.added.iter().map(text).collect();
    for (added, text) in description.added.iter().zip(texts) {
        let at = added.id as usize;
        if description.tokens.len() <= at {
            description.tokens.resize(at + 1, Token::default());
        }
        let token = &mut description.tokens[at];
        token.special = added.special;
        // One that is normalized is decoded to what that made of it.
        if token.bytes.is_empty() || text != added.text {
            token.bytes = decoded(&text);
        }
    }
}
