//! Text to tokens, with the memory that a host can give a tokenizer.

use std::ops::Range;

use oarlock::chat::Piece;
use oarlock::conversation::PieceEncoder;
use oarlock::tokenizer::{EncodeError, Encoded, Scratch, Special, Symbol, Tokenizer};

use crate::error::Error;

/// A tokenizer that allocates its scratch.
#[derive(Clone, Copy, Debug)]
pub struct TextEncoder<'m> {
    tokenizer: Tokenizer<'m>,
}

/// The tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedText {
    /// Ids, in order.
    pub ids: Vec<u32>,
    /// Bytes of the text that have no token and were left out.
    pub dropped_bytes: usize,
}

impl<'m> TextEncoder<'m> {
    /// Encodes by this tokenizer.
    pub fn new(tokenizer: Tokenizer<'m>) -> Self {
        Self { tokenizer }
    }

    /// The tokenizer itself.
    pub fn tokenizer(&self) -> &Tokenizer<'m> {
        &self.tokenizer
    }

    /// Encodes a text, with nothing put around it.
    ///
    /// # Errors
    /// [`Error::TextTooLong`].
    pub fn encode(&self, text: &str, special: Special<'_>) -> Result<EncodedText, Error> {
        let needed = self.tokenizer.scratch_len(text);
        let mut symbols = defaults::<Symbol>(needed.symbols)?;
        let mut buffer = defaults::<u8>(needed.text)?;
        let scratch = Scratch { symbols: &mut symbols, text: &mut buffer };
        let (mut ids, mut fits) = (Vec::new(), true);
        let encoded = self.tokenizer.encode(text, special, scratch, &mut |id| {
            fits = fits && ids.try_reserve(1).is_ok();
            if fits {
                ids.push(id);
            }
        });
        let dropped_bytes = encoded.map_err(|_| Error::TextTooLong)?.dropped_bytes;
        if fits { Ok(EncodedText { ids, dropped_bytes }) } else { Err(Error::TextTooLong) }
    }

    /// Encodes a text that is to be continued: special tokens are meant, and nothing ends it.
    ///
    /// # Errors
    /// [`Error::TextTooLong`].
    pub fn encode_prompt(&self, text: &str) -> Result<EncodedText, Error> {
        let mut encoded = self.encode(text, Special::All)?;
        encoded.ids.splice(0..0, self.tokenizer.prefix());
        Ok(encoded)
    }

    /// Encodes pieces that are one text, in those of which that are trusted special tokens are
    /// meant.
    ///
    /// # Errors
    /// [`Error::TextTooLong`].
    pub fn encode_pieces(&self, pieces: &[Piece<'_>]) -> Result<EncodedText, Error> {
        let (mut text, mut trusted) = (String::new(), Vec::<Range<usize>>::new());
        let len = pieces.iter().map(|piece| piece.text.len()).sum();
        text.try_reserve_exact(len).map_err(|_| Error::TextTooLong)?;
        for piece in pieces {
            let start = text.len();
            text.push_str(piece.text);
            match trusted.last_mut() {
                _ if !piece.trusted || piece.text.is_empty() => {}
                // Ranges must not touch: neighbours are one.
                Some(last) if last.end == start => last.end = text.len(),
                _ => trusted.push(start..text.len()),
            }
        }
        self.encode(&text, Special::Within(&trusted))
    }

    /// Puts BOS before `ids` and EOS behind them, if the tokenizer adds them.
    pub fn with_ends(&self, ids: Vec<u32>) -> Vec<u32> {
        self.tokenizer.prefix().chain(ids).chain(self.tokenizer.suffix()).collect()
    }
}

/// As many as a text wants: its length is the caller's, so that there may be no memory for them.
fn defaults<T: Clone + Default>(len: usize) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    all.try_reserve_exact(len).map_err(|_| Error::TextTooLong)?;
    all.resize(len, T::default());
    Ok(all)
}

impl PieceEncoder for TextEncoder<'_> {
    fn tokenizer(&self) -> &Tokenizer<'_> {
        &self.tokenizer
    }

    fn encode(
        &mut self,
        pieces: &[Piece<'_>],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let encoded = self.encode_pieces(pieces).map_err(|_| EncodeError::ScratchTooSmall)?;
        encoded.ids.into_iter().for_each(out);
        Ok(Encoded { dropped_bytes: encoded.dropped_bytes })
    }
}
