//! The state of a session that outlives it: the ring, as far as it is filled, and the positions.
//!
//! ```text
//! u64 × 8   context, type of the cache (0 int8, 1 f16, 2 f32), chunk, draft, base position,
//!           sinks, tokens in the stream, tokens in it when it was longest
//! u32 each  tokens in the slots
//!           of each kv head of each layer its keys, values, scales of keys, scales of values;
//!           layers with a window of their own after the others, and of either kind those with
//!           outliers last, where they are cached as another type
//! ```
//!
//! Little-endian. Activations, logits and drafts are not kept: the next token fed brings them.

use super::error::RestoreError;
use super::stream::Session;
use crate::base::carry::{Carrier, Restorer, Saver};
use crate::base::checked::part_mut;
use crate::cache::{CacheClass, Ring, Rings};
use crate::format::kv::KvType;
use crate::model::Options;

/// Numbers that the state begins with.
const HEADER: usize = 8;

/// The longest stream, in tokens: positions must not overflow.
const MAX_TOKENS: u64 = 1 << 62;

impl Session<'_> {
    /// Hands the state of the session to `out`, in pieces, until that fails. What comes of
    /// [`Session::restore`] continues the stream with the same bits.
    ///
    /// Nothing of tokens that were taken back is in it, nor of what the scratch held before: their
    /// cells are zeroed here. So a stream within its window gives the same bytes whatever went
    /// before it. Drafts are dropped; else nothing changes.
    ///
    /// # Errors
    /// The error of `out`, which is not called again.
    pub fn save<E>(&mut self, out: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.blank();
        let Options { context, kv, chunk, draft, base_position, sinks, .. } = self.options;
        let numbers = [context, kv_code(kv), chunk, draft].map(|n| n as u64);
        let header = [&numbers[..], &[base_position, sinks as u64, self.len, self.longest]];
        for number in header.into_iter().flatten() {
            out(&number.to_le_bytes())?;
        }
        self.carry(&mut Saver(out))
    }

    /// Takes over a state that [`Session::save`] handed out, of the same model and with the
    /// same options but for sinks and `logit_rows`; `from` fills the slices it is given with
    /// the bytes in their order. There are no logits until the next token is fed.
    ///
    /// If the options differ, nothing has changed; if `from` fails later, the stream is empty.
    ///
    /// # Errors
    /// [`RestoreError::Source`] and [`RestoreError::Damaged`] may leave the stream empty; all others leave it
    /// as it was.
    pub fn restore<E>(
        &mut self,
        from: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), RestoreError<E>> {
        let mut header = [[0; 8]; HEADER];
        from(header.as_flattened_mut()).map_err(RestoreError::Source)?;
        let [context, kv, chunk, draft, base_position, sinks, len, longest] =
            header.map(u64::from_le_bytes);
        let ours = self.options;
        if context != ours.context as u64 {
            return Err(RestoreError::Context(context));
        }
        if kv != kv_code(ours.kv) as u64 {
            return Err(kv_of(kv).map_or(RestoreError::Damaged, RestoreError::Kv));
        }
        let slack = chunk.saturating_sub(1).checked_add(draft);
        if slack != ours.slack().map(|slack| slack as u64) {
            return Err(RestoreError::Slack { chunk, draft });
        }
        if base_position != ours.base_position {
            return Err(RestoreError::BasePosition(base_position));
        }
        if len > longest || longest > MAX_TOKENS || sinks > context / 2 {
            return Err(RestoreError::Damaged);
        }
        let sinks = usize::try_from(sinks).map_err(|_| RestoreError::Damaged)?;
        self.reset(sinks).map_err(|_| RestoreError::Damaged)?;
        if !self.rings.remembers(len, longest) {
            return Err(RestoreError::Damaged);
        }
        (self.len, self.longest) = (len, longest);
        let done = self.carry(&mut Restorer(from));
        // Cells that no token has reached hold anything, but never a token that there is not.
        let last = self.model.config().vocab_size.saturating_sub(1) as u32;
        self.memory.tokens.iter_mut().for_each(|token| *token = last.min(*token));
        if done.is_err() {
            (self.len, self.longest) = (0, 0);
        }
        done.map_err(RestoreError::Source)
    }

    /// Zeroes all that will be saved and is no token of the stream.
    fn blank(&mut self) {
        self.drop_drafts();
        let Rings { whole, local } = self.rings;
        if whole.holds_all(self.longest) && local.holds_all(self.longest) {
            self.longest = self.len;
        }
        let (len, longest) = (self.len, self.longest);
        let dead = |ring: Ring| {
            (0..ring.slots_reached(longest)).filter(move |&slot| !ring.is_live(slot, len, longest))
        };
        for slot in dead(whole) {
            if let Some(token) = self.memory.tokens.get_mut(slot) {
                *token = 0;
            }
        }
        for class in CacheClass::ALL {
            let ring = if class.local { local } else { whole };
            self.memory.caches.get_mut(class).blank(dead(ring));
        }
    }

    /// The one list of the state's parts.
    fn carry<C: Carrier>(&mut self, carrier: &mut C) -> Result<(), C::Error> {
        let Rings { whole, local } = self.rings;
        let slots = whole.slots_reached(self.longest);
        carrier.cells(part_mut(self.memory.tokens, ..slots))?;
        let local_slots = local.slots_reached(self.longest);
        for class in CacheClass::ALL {
            let slots = if class.local { local_slots } else { slots };
            self.memory.caches.get_mut(class).carry(slots, carrier)?;
        }
        Ok(())
    }
}

fn kv_code(kv: KvType) -> usize {
    match kv {
        KvType::Int8 => 0,
        KvType::F16 => 1,
        KvType::F32 => 2,
    }
}

fn kv_of(code: u64) -> Option<KvType> {
    KvType::ALL.into_iter().nth(usize::try_from(code).ok()?)
}
