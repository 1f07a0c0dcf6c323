//! Ids of texts, and a word on bytes that have none.

use std::sync::atomic::{AtomicBool, Ordering};

use oarlock_hosted::{EncodedText, Error};

use crate::aside;
use crate::terminal::errors::Outcome;

static TOLD: AtomicBool = AtomicBool::new(false);

/// Unwraps the ids, and says once if bytes of a text were left out.
pub fn told(encoded: Result<EncodedText, Error>) -> Outcome<Vec<u32>> {
    let EncodedText { ids, dropped_bytes } = encoded?;
    if dropped_bytes > 0 && !TOLD.swap(true, Ordering::Relaxed) {
        aside!("warning: {dropped_bytes} bytes of the text have no token and were left out");
    }
    Ok(ids)
}
