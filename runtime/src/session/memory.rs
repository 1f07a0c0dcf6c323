//! Buffers that a session keeps in the caller's slice.

use super::sampler::Candidate;
use crate::base::arena::Source;
use crate::cache::{CacheClass, CacheShape, Caches, Ring};
use crate::format::Config;
use crate::format::layout::TILE_ROWS;
use crate::forward::{AttentionShape, Workspace};
use crate::model::{Model, Options};

/// Everything in the scratch slice.
pub(super) struct Memory<'a> {
    pub(super) workspace: Workspace<'a>,
    /// (rows scored together, vocab_size), rows a stride apart
    pub(super) logits: &'a mut [f32],
    pub(super) logits_stride: usize,
    /// (vocab_size)
    pub(super) candidates: &'a mut [Candidate],
    /// (slots): the token in each slot of the cache
    pub(super) tokens: &'a mut [u32],
    /// (draft + 1): a token, and what may come after it
    pub(super) draft_tokens: &'a mut [u32],
    pub(super) caches: Caches<'a>,
}

impl<'a> Memory<'a> {
    /// The one list of buffers. The cache comes last: its far end is touched latest.
    pub(super) fn carve(
        source: &mut impl Source<'a>,
        model: &Model<'_>,
        options: &Options,
    ) -> Option<Self> {
        let config = model.config();
        let slack = options.slack()?;
        let slots = Ring::max_slots(options.context, slack)?;
        let local_slots = Ring::max_local_slots(options.context, slack, config.window)?;
        let attention = attention_shape(config, options)?;
        let class_of =
            |i| CacheClass::new(model.is_local(i), model.has_key_outliers(i), options.kv);
        let cache = |class: CacheClass| CacheShape {
            kv: options.kv.of_layer(class.wide),
            n_layers: (0..config.n_layers).filter(|&i| class_of(i) == class).count(),
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
            slots: if class.local { local_slots } else { slots },
        };
        let scored = options.max_logit_rows()?;
        let logits_stride = config.vocab_size.checked_next_multiple_of(TILE_ROWS)?;
        Some(Self {
            workspace: Workspace::carve(source, model, attention, scored)?,
            logits: source.take(scored.checked_mul(logits_stride))?,
            logits_stride,
            candidates: source.take(Some(config.vocab_size))?,
            tokens: source.take(Some(slots))?,
            draft_tokens: source.take(options.draft.checked_add(1))?,
            caches: Caches::carve(source, cache)?,
        })
    }
}

fn attention_shape(config: &Config, options: &Options) -> Option<AttentionShape> {
    Some(AttentionShape {
        kv: options.kv,
        key_outliers: config.key_outliers,
        n_kv_heads: config.n_kv_heads,
        group: config.n_heads.checked_div(config.n_kv_heads)?,
        head_dim: config.head_dim,
        differential: config.differential,
        pairs: config.rot_dim / 2,
        local_pairs: if config.local_rope { config.rot_dim / 2 } else { 0 },
        chunk: options.max_batch()?,
        kv_splits: Ring::max_kv_splits(options.context),
    })
}
