//! The loop: feed tokens, get logits, choose the next token.

use super::error::{FeedError, TruncateError};
use super::lookup::Text;
use super::memory::Memory;
use super::sampler::Sampler;
use super::speculation::Speculation;
use crate::base::arena::{Arena, Measure};
use crate::base::checked::{nonzero, part};
use crate::cache::{CacheIndex, Ring, Rings};
use crate::format::Positions;
use crate::forward::{ForwardContext, Rope, Rows, Span, Workspace, block, embed, logits};
use crate::kernels::Machine;
use crate::model::{Frequencies, Model, Options, OptionsError};

/// A stream of tokens through a model, with its cache: all of it in the caller's slice.
///
/// Nothing is allocated and nothing grows, however long the stream. Past
/// [`Options::context`] the newest tokens and the sinks stay visible and the stream goes on.
pub struct Session<'a> {
    pub(super) model: Model<'a>,
    pub(super) options: Options,
    pub(super) rings: Rings,
    pub(super) memory: Memory<'a>,
    /// Tokens in the stream.
    pub(super) len: u64,
    /// Tokens in the stream when it was longest: what lies further back than the storage
    /// reaches from there has been overwritten, also if tokens were taken back since.
    pub(super) longest: u64,
    /// Drafts behind the end.
    pub(super) speculation: Speculation,
    /// Row of the residual stream that holds the last token, if it is still there.
    pub(super) last: Option<usize>,
    /// Row of the logits that belongs to the last token, if one does.
    pub(super) scored: Option<usize>,
}

impl<'a> Session<'a> {
    /// Bytes of scratch that a session needs, exactly, at any alignment and with any
    /// number of sinks that [`Session::reset`] may set later.
    ///
    /// # Errors
    /// The reason why the model cannot run with these options, [`OptionsError::TooLarge`] included.
    pub fn bytes_needed(model: &Model<'_>, options: &Options) -> Result<usize, OptionsError> {
        options.check(model)?;
        let mut measure = Measure::default();
        Memory::carve(&mut measure, model, options)
            .and_then(|_| measure.bytes_needed())
            .ok_or(OptionsError::TooLarge)
    }

    /// A session in `scratch`, which may hold anything: it is not zeroed, and cells of the
    /// cache that no token reaches are never touched.
    ///
    /// # Errors
    /// As [`Session::bytes_needed`], and [`OptionsError::ScratchTooShort`] with the length that would do.
    pub fn new(
        model: Model<'a>,
        options: Options,
        scratch: &'a mut [u8],
    ) -> Result<Self, OptionsError> {
        let (needed, given) = (Self::bytes_needed(&model, &options)?, scratch.len());
        let short = OptionsError::ScratchTooShort { needed, given };
        if given < needed {
            return Err(short);
        }
        let memory = Memory::carve(&mut Arena::new(scratch), &model, &options).ok_or(short)?;
        let rings = options.rings(model.config().window)?;
        let (speculation, last, scored) = (Speculation::default(), None, None);
        Ok(Self { model, options, rings, memory, len: 0, longest: 0, speculation, last, scored })
    }

    /// Appends `tokens` to the stream, [`Options::chunk`] at a time. On an error nothing
    /// was fed.
    ///
    /// # Errors
    /// [`FeedError`]: a token that is not in the vocabulary, or more than learned positions allow.
    pub fn feed(&mut self, machine: &Machine<'_>, tokens: &[u32]) -> Result<(), FeedError> {
        self.check(tokens)?;
        let known = self.accept(tokens);
        for chunk in part(tokens, known..).chunks(nonzero(self.options.chunk)) {
            self.forward(machine, chunk);
        }
        Ok(())
    }

    /// As [`Session::feed`], and hands `each` the index in `tokens` and the logits
    /// `(vocab_size)` of every token, computed [`Options::logit_rows`] at a time.
    ///
    /// # Errors
    /// As [`Session::feed`]; then `each` was not called.
    pub fn feed_each(
        &mut self,
        machine: &Machine<'_>,
        tokens: &[u32],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), FeedError> {
        self.check(tokens)?;
        self.drop_drafts();
        let vocab_size = self.model.config().vocab_size;
        let mut index = 0;
        for chunk in tokens.chunks(nonzero(self.options.chunk)) {
            self.forward(machine, chunk);
            for first in (0..chunk.len()).step_by(nonzero(self.options.logit_rows)) {
                let rows = self.options.logit_rows.min(chunk.len() - first);
                self.score(machine, first, rows);
                let stride = nonzero(self.memory.logits_stride);
                for logits in self.memory.logits.chunks(stride).take(rows) {
                    each(index, part(logits, ..vocab_size));
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// Logits of the last token fed: `(vocab_size)`. Empty if none was fed since the
    /// session began, was reset or was truncated.
    pub fn logits(&mut self, machine: &Machine<'_>) -> &[f32] {
        if let (Some(last), None) = (self.last, self.scored) {
            self.score(machine, last, 1);
        }
        self.scored_logits()
    }

    /// Chooses a token by the logits of the last one fed, not yet feeding it. Where there
    /// are none ([`Session::logits`]) the id means nothing.
    pub fn sample(&mut self, machine: &Machine<'_>, sampler: &mut Sampler) -> u32 {
        self.logits(machine);
        let Self { rings, memory, len, scored, model, .. } = self;
        let Memory { logits, logits_stride, candidates, tokens, .. } = memory;
        let logits = row(logits, *scored, *logits_stride, model.config().vocab_size);
        sampler.sample(logits, visible(&rings.whole, tokens, *len).tokens(), candidates)
    }

    /// Tokens in the stream, those out of sight included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the stream has no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes back the tokens from index `len` on, as if they had never been fed: possible
    /// for the last `chunk − 1` tokens fed, and for more while nothing that the next token
    /// must see has been overwritten.
    ///
    /// # Errors
    /// [`TruncateError`]; the stream is then as it was.
    pub fn truncate(&mut self, len: u64) -> Result<(), TruncateError> {
        if len > self.len {
            return Err(TruncateError::NotReached);
        }
        if !self.rings.remembers(len, self.longest) {
            return Err(TruncateError::Forgotten);
        }
        if len < self.len {
            self.drop_drafts();
            (self.len, self.last, self.scored) = (len, None, None);
        }
        Ok(())
    }

    /// Starts an empty stream, with this many sinks: at most half the context.
    ///
    /// # Errors
    /// [`OptionsError::TooManySinks`]; the stream is then as it was.
    pub fn reset(&mut self, sinks: usize) -> Result<(), OptionsError> {
        let options = Options { sinks, ..self.options };
        options.check(&self.model)?;
        self.rings = options.rings(self.model.config().window)?;
        self.options = options;
        self.speculation.reset();
        (self.len, self.longest, self.last, self.scored) = (0, 0, None, None);
        Ok(())
    }

    /// The tokens that the newest one sees, itself included: sinks, then the window.
    pub fn visible(&self) -> impl Iterator<Item = u32> {
        visible(&self.rings.whole, self.memory.tokens, self.len).tokens()
    }

    /// Options of the session; `sinks` as last reset.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The model that the session runs.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    pub(super) fn check(&self, tokens: &[u32]) -> Result<(), FeedError> {
        let vocab_size = self.model.config().vocab_size;
        if let Some(index) = tokens.iter().position(|&id| id as usize >= vocab_size) {
            let id = tokens.get(index).copied().unwrap_or_default();
            return Err(FeedError::UnknownToken { id, index });
        }
        if tokens.len() > self.positions_left() {
            return Err(FeedError::NoPositions { most: self.len + self.positions_left() as u64 });
        }
        Ok(())
    }

    /// Tokens that can still be fed.
    pub(super) fn positions_left(&self) -> usize {
        let config = self.model.config();
        if config.positions != Positions::Learned {
            return usize::MAX;
        }
        let next = self.options.base_position.saturating_add(self.len);
        (config.context as u64).saturating_sub(next) as usize
    }

    /// Takes up to a chunk of tokens through the layers.
    pub(super) fn forward(&mut self, machine: &Machine<'_>, tokens: &[u32]) {
        let Self { model, options, rings, memory, .. } = self;
        let Memory { workspace, caches, tokens: history, .. } = memory;
        let span = Span { first: self.len, tokens: tokens.len() };
        for (i, token) in span.indices().zip(tokens) {
            if let Some(slot) = history.get_mut(rings.whole.slot(i)) {
                *slot = *token;
            }
        }
        let base = options.base_position;
        let [whole, local] = [false, true].map(|local| {
            let Frequencies { phases, factor } = model.rope(local, options.context);
            Rope { phases, factor, base }
        });
        workspace.attention.compute_angles(
            &whole,
            model.config().local_rope.then_some(&local),
            rings,
            span,
        );
        embed(
            machine.isa,
            model,
            base.wrapping_add(span.first),
            tokens,
            workspace.x,
            workspace.shape.dim,
        );
        let ctx = ForwardContext { machine, model, rings, span, kv: options.kv };
        let mut index = CacheIndex::default();
        for i in 0..model.config().n_layers {
            block(&ctx, &model.layer(i), &mut index, caches, workspace);
        }
        self.len = span.indices().end;
        self.longest = self.longest.max(self.len);
        (self.last, self.scored) = (tokens.len().checked_sub(1), None);
    }

    /// Computes the logits of rows of the residual stream, at most `logit_rows` of them.
    pub(super) fn score(&mut self, machine: &Machine<'_>, first: usize, rows: usize) {
        let Memory { workspace, logits: out, logits_stride, .. } = &mut self.memory;
        let Workspace { x, shape, input, .. } = workspace;
        let data = part(x, first * shape.dim..);
        let x = Rows { n: rows, data, cols: self.model.config().dim, stride: shape.dim };
        logits(machine, &self.model, x, input, out, *logits_stride);
        self.scored = self.last.and_then(|last| last.checked_sub(first)).filter(|&row| row < rows);
    }

    fn scored_logits(&self) -> &[f32] {
        let Memory { logits, logits_stride, .. } = &self.memory;
        row(logits, self.scored, *logits_stride, self.model.config().vocab_size)
    }
}

/// A row of the logits without its padding; empty if there is none.
fn row(logits: &[f32], row: Option<usize>, stride: usize, vocab_size: usize) -> &[f32] {
    let row = row.and_then(|row| logits.get(row * stride..row * stride + vocab_size));
    row.unwrap_or_default()
}

/// The text that the last of `len` tokens sees.
fn visible<'t>(ring: &Ring, tokens: &'t [u32], len: u64) -> Text<'t> {
    let slots = len.checked_sub(1).map(|newest| ring.slots_seen(newest)).unwrap_or_default();
    Text(slots.map(|slots| part(tokens, slots)))
}
