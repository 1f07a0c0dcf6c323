//! Queries and keys normalised before they are rotated (arXiv 2302.05442, section 2), so that
//! no score grows without bound.

use crate::base::disjoint::Block;
use crate::forward::input::{run, share};
use crate::forward::workspace::{Buffers, Step};
use crate::kernels::{clamp, norm_heads};
use crate::model::Layer;

/// Cuts queries, keys and values off at ±`most`.
pub(crate) fn limit(step: &Step<'_>, most: f32, work: &mut Buffers<'_>) {
    let Buffers { shape, q, k, v, .. } = work;
    let (n, isa) = (step.span.tokens, step.machine.isa);
    let each = share(step.machine, n);
    let q = Block::new(q, n, shape.q).strips(each);
    let k = Block::new(k, n, shape.kv).strips(each);
    let v = Block::new(v, n, shape.kv).strips(each);
    run(step.machine, [n, shape.q], q.zip(k).zip(v), |((mut q, mut k), mut v)| {
        for token in 0..q.rows() {
            clamp(isa, q.row(token), most);
            clamp(isa, k.row(token), most);
            clamp(isa, v.row(token), most);
        }
    });
}

/// Normalises queries and keys in place; the length of the gains says over how many elements.
pub(crate) fn qk_norm(step: &Step<'_>, layer: &Layer<'_>, work: &mut Buffers<'_>) {
    let Buffers { shape, q, k, .. } = work;
    let (config, n, isa) = (step.model.config(), step.span.tokens, step.machine.isa);
    let (q_cols, kv_cols) = (config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim);
    let each = share(step.machine, n);
    let q = Block::new(q, n, shape.q).split_cols(q_cols).0.strips(each);
    let k = Block::new(k, n, shape.kv).split_cols(kv_cols).0.strips(each);
    run(step.machine, [n, q_cols], q.zip(k), |(mut q, mut k)| {
        for token in 0..q.rows() {
            norm_heads(isa, q.row(token), layer.q_norm, config.norm_eps);
            norm_heads(isa, k.row(token), layer.k_norm, config.norm_eps);
        }
    });
}
