//! The router: selects the experts of each token of a chunk, and their weights.

use crate::base::arena::Source;
use crate::base::checked::{nonzero, part};
use crate::base::disjoint::MatrixMut;
use crate::base::math::{exp, sigmoid};
use crate::format::layout::TILE_ROWS;
use crate::format::{Config, Routing};
use crate::forward::input::{run, share};
use crate::kernels::{Input, Job, Machine, Task, matmul};
use crate::model::Experts;

/// No expert: there are fewer of them.
const NONE: u32 = u32::MAX;
/// Experts that run together: more than a token of most models has, few enough for the stack.
pub(crate) const MAX_EXPERTS: usize = 16;

/// Tokens that experts which run together have in all: those of a chunk, which may all go through
/// one, or one token of each of its experts.
pub(crate) fn max_rows(config: &Config, chunk: usize) -> usize {
    chunk.max(config.n_experts_used.min(MAX_EXPERTS))
}

/// The experts selected for a chunk of tokens, and the buffers to select them in.
pub(crate) struct Router<'a> {
    /// Tokens.
    n: usize,
    /// Experts of a token.
    used: usize,
    /// (chunk, n_experts): logits of the router, rows a stride apart
    scores: &'a mut [f32],
    stride: usize,
    /// (chunk, 1): the same of the shared expert, rows a tile apart
    shared: &'a mut [f32],
    /// (chunk, used): experts, the best first
    ids: &'a mut [u32],
    /// (chunk, used): their weights
    weights: &'a mut [f32],
    /// (rows): the tokens of each expert of a group
    tokens: &'a mut [u32],
    /// (rows): the expert's weight for each of those tokens
    factors: &'a mut [f32],
}

/// Experts that run together, and the tokens of each one after the other.
pub(crate) struct ExpertGroup<'a> {
    /// An expert and how many tokens it has, ascending.
    pub(crate) experts: heapless::Vec<(u32, usize), MAX_EXPERTS>,
    pub(crate) tokens: &'a [u32],
    /// The expert's weight for each of them.
    pub(crate) weights: &'a [f32],
}

impl<'a> Router<'a> {
    /// For chunks of up to `chunk` tokens; nothing for none.
    pub(crate) fn carve(
        source: &mut impl Source<'a>,
        config: &Config,
        chunk: usize,
    ) -> Option<Self> {
        let stride = config.n_experts.checked_next_multiple_of(TILE_ROWS)?;
        let shared = if config.shared_ffn_dim > 0 { TILE_ROWS } else { 0 };
        let chosen = chunk.checked_mul(config.n_experts_used);
        let rows = if chunk > 0 { max_rows(config, chunk) } else { 0 };
        Some(Self {
            n: 0,
            used: config.n_experts_used,
            scores: source.take(chunk.checked_mul(stride))?,
            stride,
            shared: source.take(chunk.checked_mul(shared))?,
            ids: source.take(chosen)?,
            weights: source.take(chosen)?,
            tokens: source.take(Some(rows))?,
            factors: source.take(Some(rows))?,
        })
    }

    /// Selects the experts of each token of `input`, which has its numbers in f32.
    pub(crate) fn select(
        &mut self,
        machine: &Machine<'_>,
        config: &Config,
        experts: &Experts<'_>,
        input: Input<'_>,
    ) {
        let Self { n, used, scores, stride, shared, ids, weights, .. } = self;
        *n = input.n;
        let mut jobs = [
            Job { input, task: Task::Store(experts.router), out: scores, stride: *stride },
            Job { input, task: Task::Store(experts.shared_router), out: shared, stride: TILE_ROWS },
        ];
        let jobs = match (config.shared_ffn_dim, &mut jobs) {
            (0, [router, _]) => core::slice::from_mut(router),
            (_, both) => both,
        };
        matmul(machine, jobs);
        let each = share(machine, *n);
        let scores =
            MatrixMut::new(scores, *n, *stride).split_cols(config.n_experts).0.strips(each);
        let ids = MatrixMut::new(ids, *n, *used).strips(each);
        let weights = MatrixMut::new(weights, *n, *used).strips(each);
        let each_of = [*n, config.n_experts * *used];
        run(
            machine,
            each_of,
            scores.zip(ids).zip(weights),
            |((mut scores, mut ids), mut weights)| {
                for token in 0..scores.rows() {
                    choose(config.routing, scores.row(token), ids.row(token), weights.row(token));
                }
            },
        );
    }

    /// The first experts from this one on that tokens go through, as many as there is room for
    /// with all of their tokens; `None` if there are no more.
    pub(crate) fn next_group(&mut self, mut from: u32) -> Option<ExpertGroup<'_>> {
        let (mut experts, mut rows) = (heapless::Vec::new(), 0);
        while let Some(expert) = self.next(from) {
            let Some(count) = self.collect(expert, rows) else { break };
            if experts.push((expert, count)).is_err() {
                break;
            }
            (from, rows) = (expert + 1, rows + count);
        }
        let (tokens, weights) = (self.tokens.get(..rows)?, self.factors.get(..rows)?);
        (rows > 0).then_some(ExpertGroup { experts, tokens, weights })
    }

    /// The first expert from this one on that a token goes through.
    fn next(&self, from: u32) -> Option<u32> {
        let chosen = part(self.ids, ..self.n * self.used);
        chosen.iter().copied().filter(|&expert| expert >= from).min()
    }

    /// Writes the tokens that go through this expert, in ascending order, and its weight for
    /// each, from this row on; gives their number, if there is room for all.
    fn collect(&mut self, expert: u32, row: usize) -> Option<usize> {
        let Self { n, used, ids, weights, tokens, factors, .. } = self;
        let chosen = ids.chunks(nonzero(*used)).zip(weights.chunks(nonzero(*used)));
        let of_expert = (0..).zip(chosen).take(*n).filter_map(|(token, (ids, weights))| {
            let (_, weight) = ids.iter().zip(weights).find(|(id, _)| **id == expert)?;
            Some((token, *weight))
        });
        let mut count = 0;
        for found in of_expert {
            let at = row + count;
            (*tokens.get_mut(at)?, *factors.get_mut(at)?) = found;
            count += 1;
        }
        Some(count)
    }

    /// The tokens of the shared expert, which are all, and its weight for each.
    pub(crate) fn tokens_of_shared(&mut self) -> (&[u32], &[f32]) {
        let Self { n, shared, tokens, factors, .. } = self;
        let scores = shared.chunks(TILE_ROWS).map(|row| row.first().copied().unwrap_or_default());
        let all = tokens.iter_mut().zip(factors.iter_mut()).take(*n);
        for (i, ((token, factor), score)) in (0..).zip(all.zip(scores)) {
            (*token, *factor) = (i, sigmoid(score));
        }
        (part(tokens, ..*n), part(factors, ..*n))
    }
}

/// Fills `ids` with the experts of the highest scores, the best first and of equal ones that of
/// the lower number, and `weights` with their softmax.
fn choose(routing: Routing, scores: &[f32], ids: &mut [u32], weights: &mut [f32]) {
    ids.fill(NONE);
    for (id, &score) in (0..).zip(scores) {
        insert(id, score, ids, weights);
    }
    let most = weights.first().copied().unwrap_or_default();
    let sum = |scores: &[f32]| scores.iter().fold(0.0, |sum, score| sum + exp(score - most));
    let sum = match routing {
        Routing::All => sum(scores),
        Routing::Chosen => sum(weights),
    };
    weights.iter_mut().for_each(|weight| *weight = exp(*weight - most) / sum);
}

/// Puts an expert where it belongs, if it does; what comes after it moves one place on.
fn insert(mut id: u32, mut score: f32, ids: &mut [u32], scores: &mut [f32]) {
    let mut found = false;
    for (other, best) in ids.iter_mut().zip(scores) {
        found |= *other == NONE || score > *best;
        if found {
            core::mem::swap(&mut id, other);
            core::mem::swap(&mut score, best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen<const K: usize>(routing: Routing, scores: &[f32]) -> ([u32; K], [f32; K]) {
        let (mut ids, mut weights) = ([7; K], [f32::NAN; K]);
        choose(routing, scores, &mut ids, &mut weights);
        (ids, weights)
    }

    #[test]
    fn the_best_are_chosen_and_of_equals_the_first() {
        let scores = [0.5, 2.0, -1.0, 2.0, 0.5, 2.0];
        assert_eq!(chosen::<4>(Routing::All, &scores).0, [1, 3, 5, 0]);
        assert_eq!(chosen::<1>(Routing::All, &[f32::NEG_INFINITY; 3]).0, [0]);
        assert_eq!(chosen::<3>(Routing::All, &[1.0, 3.0, 2.0]).0, [1, 2, 0]);
        // Whatever a damaged model says: different ones, and all of them there.
        let (mut ids, _) = chosen::<3>(Routing::Chosen, &[f32::NAN, 1.0, f32::NAN, 5.0]);
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| matches!(pair, [a, b] if a < b && *b < 4)));
    }

    #[test]
    fn weights_are_a_softmax() {
        let scores = [1.0, 0.0, 1.0, -2.0];
        let (e, e3) = (f64::from(1.0_f32).exp(), f64::from(3.0_f32).exp());
        let (_, all) = chosen::<2>(Routing::All, &scores);
        let of_all = 1.0 / (2.0 + 1.0 / e + 1.0 / e3);
        assert!(all.iter().all(|w| (f64::from(*w) - of_all).abs() < 1e-6));
        assert_eq!(chosen::<2>(Routing::Chosen, &scores).1, [0.5, 0.5]);
        assert_eq!(chosen::<1>(Routing::Chosen, &scores).1, [1.0]);
    }
}
