//! Ids of texts, and a word on bytes that have none.

use std::sync::atomic::{AtomicBool, Ordering};

use oarlock::chat::Piece;
use oarlock::conversation::PieceEncoder;
use oarlock::tokenizer::{EncodeError, Encoded, Tokenizer};
use oarlock_convert::memory::fallible;
use oarlock_hosted::{EncodedText, Error, TextEncoder};

use crate::terminal::console::warning;
use crate::terminal::errors::Outcome;

static TOLD: AtomicBool = AtomicBool::new(false);

/// Makes ids of a text, and says once if bytes of it were left out.
pub fn told(encode: impl FnOnce() -> Result<EncodedText, Error>) -> Outcome<Vec<u32>> {
    let EncodedText { ids, dropped_bytes } = fallible(encode)?;
    tell(dropped_bytes);
    Ok(ids)
}

/// An encoder of turns that says once if bytes of a text were left out.
pub struct TellingEncoder<'m>(pub TextEncoder<'m>);

impl PieceEncoder for TellingEncoder<'_> {
    fn tokenizer(&self) -> &Tokenizer<'_> {
        self.0.tokenizer()
    }

    fn encode(
        &mut self,
        pieces: &[Piece<'_>],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let encoded = fallible(|| PieceEncoder::encode(&mut self.0, pieces, out));
        encoded.inspect(|encoded| tell(encoded.dropped_bytes))
    }
}

fn tell(dropped_bytes: usize) {
    if dropped_bytes > 0 && !TOLD.swap(true, Ordering::Relaxed) {
        warning!("{dropped_bytes} bytes of the text have no token and were left out");
    }
}
