//! Logits → one token.
//!
//! ```text
//! logits → repetition penalty → temperature → top-k → top-p → min-p → draw
//! ```
//!
//! The order, and which candidates each step keeps, are those of `transformers`'
//! processors in float64. Candidates lie in a slice of the caller's and are sorted only
//! as far as they are kept. Everything after the logits is f64 in one defined order, so a
//! seed gives the same token on every machine.

mod candidate;
mod exp;
mod random;

use core::cmp::Ordering;

use exp::exp;
use random::Random;

use crate::format::Sampling;

pub use candidate::Candidate;

/// Chooses tokens; with the same seed and the same logits, the same ones.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: Random,
}

impl Sampler {
    /// A sampler whose random numbers are those of xoshiro256++ seeded with `seed`.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, random: Random::new(seed) }
    }

    /// A sampler that goes on with the random numbers of another one: [`Sampler::state`].
    pub fn resume(sampling: Sampling, state: [u64; 4]) -> Self {
        Self { sampling, random: Random::from_state(state) }
    }

    /// State of the random numbers, to resume from.
    pub fn state(&self) -> [u64; 4] {
        self.random.state()
    }

    /// Parameters of the choice.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The next token, given the logits of the last one and the tokens that the
    /// repetition penalty covers. One random number is drawn, none when greedy.
    ///
    /// - `logits`: (vocab_size); NaN counts as −∞, and if nothing else is there token 0 is
    ///   returned
    /// - `candidates`: (vocab_size), overwritten
    pub fn sample(
        &mut self,
        logits: &[f32],
        visible: impl Iterator<Item = u32>,
        candidates: &mut [Candidate],
    ) -> u32 {
        if self.sampling.is_greedy() {
            return self.greedy(logits, visible, candidates);
        }
        let kept = self.candidates(logits, visible, candidates);
        draw(kept, self.random.unit())
    }

    /// The candidates among which [`Sampler::sample`] draws, by falling probability.
    pub fn candidates<'c>(
        &self,
        logits: &[f32],
        visible: impl Iterator<Item = u32>,
        candidates: &'c mut [Candidate],
    ) -> &'c [Candidate] {
        let Sampling { temp, top_k, top_p, min_p, repeat_penalty } = self.sampling;
        let kept = if repeat_penalty == 1.0 {
            top_logits(logits, top_k as usize, candidates)
        } else {
            top(penalized(logits, visible, repeat_penalty, candidates), top_k as usize)
        };
        let total = weigh(kept, temp);
        let reach = if top_p < 1.0 { top_p * total } else { f64::INFINITY };
        likeliest(kept, reach, min_p)
    }

    fn greedy(
        &self,
        logits: &[f32],
        visible: impl Iterator<Item = u32>,
        candidates: &mut [Candidate],
    ) -> u32 {
        match self.sampling.repeat_penalty {
            1.0 => best(logits),
            penalty => {
                let all = penalized(logits, visible, penalty, candidates);
                all.iter().min_by(|a, b| falling(a, b)).map_or(0, |c| c.id)
            }
        }
    }
}

/// NaN counts as −∞, +∞ as the largest finite number (so that differences exist), −0 as 0.
fn candidate(logit: f32, id: u32) -> Candidate {
    let logit = if logit.is_nan() { f32::NEG_INFINITY } else { logit.min(f32::MAX) };
    Candidate::new(f64::from(logit) + 0.0, id)
}

/// By falling weight, ties by rising id.
fn falling(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}

/// The first of the largest logits; token 0 if there is none above −∞.
fn best(logits: &[f32]) -> u32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    // Side by side first, as registers do it.
    let (lines, rest) = logits.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for line in lines {
        for (lane, &logit) in lanes.iter_mut().zip(line) {
            *lane = larger(*lane, logit);
        }
    }
    let most = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &logit| larger(most, logit));
    let possible = |(logit, _): &(&f32, u32)| **logit == most && most > f32::NEG_INFINITY;
    logits.iter().zip(0..).find(possible).map_or(0, |(_, id)| id)
}

/// Every token with its logit, those of `visible` made less likely, once each.
fn penalized<'c>(
    logits: &[f32],
    visible: impl Iterator<Item = u32>,
    penalty: f64,
    candidates: &'c mut [Candidate],
) -> &'c mut [Candidate] {
    let n = logits.len().min(candidates.len());
    let all = candidates.get_mut(..n).unwrap_or_default();
    for ((slot, &logit), id) in all.iter_mut().zip(logits).zip(0..) {
        *slot = candidate(logit, id);
    }
    if penalty != 1.0 {
        for id in visible {
            // From the logit and not from the slot: a token seen twice pays once.
            if let (Some(slot), Some(&logit)) = (all.get_mut(id as usize), logits.get(id as usize))
            {
                slot.weight = penalize(candidate(logit, id).weight, penalty);
            }
        }
    }
    all
}

fn penalize(logit: f64, penalty: f64) -> f64 {
    if logit == f64::NEG_INFINITY {
        return logit;
    }
    let changed = if logit < 0.0 { logit * penalty } else { logit / penalty };
    changed.clamp(f64::MIN, f64::MAX)
}

/// The candidates of the `k` largest logits and of all that tie with the k-th, in no order.
fn top_logits<'c>(logits: &[f32], k: usize, slots: &'c mut [Candidate]) -> &'c mut [Candidate] {
    let n = logits.len().min(slots.len());
    let logits = logits.get(..n).unwrap_or_default();
    let mut top = Top::new(slots, if k == 0 { n } else { k });
    for (line, start) in logits.chunks(16).zip((0..).step_by(16)) {
        // Of a large vocabulary nearly every line ends here.
        let floor = top.floor as f32;
        if line.iter().fold(false, |any, &logit| any | (logit >= floor)) {
            for (&logit, id) in line.iter().zip(start..) {
                top.push(candidate(logit, id));
            }
        }
    }
    top.finish()
}

/// The `k` largest of `all` and all that tie with the k-th, in no order.
fn top(all: &mut [Candidate], k: usize) -> &mut [Candidate] {
    let n = all.len();
    let mut top = Top::new(all, if k == 0 { n } else { k });
    for i in 0..n {
        // Never overtaken by what is written: that is at most one for each one read.
        if let Some(&next) = top.slots.get(i) {
            top.push(next);
        }
    }
    top.finish()
}

/// Every number but −∞, which is the logit of the impossible, reaches this.
const POSSIBLE: f64 = f64::MIN;

/// Gathers the `k` largest in one pass: keeps what reaches the k-th largest so far, and
/// cuts back to that whenever as much again has come together.
struct Top<'c> {
    slots: &'c mut [Candidate],
    k: usize,
    /// Slots that are taken.
    len: usize,
    /// Length at which the next cut is due.
    limit: usize,
    /// The k-th largest when last cut.
    floor: f64,
}

impl<'c> Top<'c> {
    fn new(slots: &'c mut [Candidate], k: usize) -> Self {
        Self { slots, k, len: 0, limit: Self::limit(k, k), floor: POSSIBLE }
    }

    fn limit(len: usize, k: usize) -> usize {
        len.saturating_add(k.max(256))
    }

    fn push(&mut self, candidate: Candidate) {
        if candidate.weight < self.floor {
            return;
        }
        if let Some(slot) = self.slots.get_mut(self.len) {
            *slot = candidate;
            self.len += 1;
        }
        if self.len >= self.limit {
            self.cut();
            self.limit = Self::limit(self.len, self.k);
        }
    }

    fn cut(&mut self) {
        (self.len, self.floor) = cut(self.slots.get_mut(..self.len).unwrap_or_default(), self.k);
    }

    fn finish(mut self) -> &'c mut [Candidate] {
        self.cut();
        self.slots.get_mut(..self.len).unwrap_or_default()
    }
}

/// Moves the `k` largest and their ties to the front; returns how many, and the k-th.
fn cut(some: &mut [Candidate], k: usize) -> (usize, f64) {
    if k == 0 || some.len() <= k {
        return (some.len(), POSSIBLE);
    }
    let (_, kth, _) = some.select_nth_unstable_by(k - 1, falling);
    let floor = kth.weight;
    let mut len = k;
    for i in k..some.len() {
        let tie = some.get(i).copied().filter(|c| c.weight >= floor);
        // Over what has been looked at: nobody asks again for what does not stay.
        if let (Some(tie), Some(slot)) = (tie, some.get_mut(len)) {
            *slot = tie;
            len += 1;
        }
    }
    (len, floor)
}

/// Replaces logits by probabilities in units of the largest one; returns their sum, which
/// runs over rising ids: an order that does not depend on how the candidates were found.
fn weigh(kept: &mut [Candidate], temp: f64) -> f64 {
    if !kept.is_sorted_by_key(|c| c.id) {
        kept.sort_unstable_by_key(|c| c.id);
    }
    let most = kept.iter().fold(f64::MIN, |most, c| if c.weight > most { c.weight } else { most });
    for c in kept.iter_mut() {
        // The difference first: a tiny temperature then cannot overflow to ∞ − ∞.
        c.weight = exp((c.weight - most) / temp);
    }
    kept.iter().map(|c| c.weight).sum()
}

/// The most probable candidates, sorted: each as long as those before it sum up to less
/// than `reach` and it has `floor` times the weight of the first, which always stays.
///
/// Sorts only as far as that goes: where top-k is off, all of the vocabulary is here.
fn likeliest(kept: &mut [Candidate], reach: f64, floor: f64) -> &mut [Candidate] {
    let (mut len, mut sorted, mut before) = (0, 0, 0.0);
    loop {
        if len == sorted {
            sorted = sort_more(kept, sorted);
        }
        let Some(next) = kept.get(len) else { break };
        if len > 0 && (before >= reach || next.weight < floor) {
            break;
        }
        before += next.weight;
        len += 1;
    }
    kept.get_mut(..len).unwrap_or_default()
}

/// Sorts some more behind the first `sorted`, several times as many; returns how many are.
fn sort_more(kept: &mut [Candidate], sorted: usize) -> usize {
    let rest = kept.get_mut(sorted..).unwrap_or_default();
    let more = rest.len().min(64 + 4 * sorted);
    if more < rest.len() {
        rest.select_nth_unstable_by(more, falling);
    }
    rest.get_mut(..more).unwrap_or_default().sort_unstable_by(falling);
    sorted + more
}

/// The candidate in whose share of the whole `unit`, in [0, 1), falls.
fn draw(kept: &[Candidate], unit: f64) -> u32 {
    let mut rest = unit * kept.iter().map(|c| c.weight).sum::<f64>();
    let mut last = 0;
    for c in kept.iter().filter(|c| c.weight > 0.0) {
        last = c.id;
        if rest < c.weight {
            break;
        }
        rest -= c.weight;
    }
    last
}
