//! 32 floats to a scale and 32 small integers, for the least squared error.
//!
//! The error as a function of the scale has many local minima, and the textbook scale
//! (max / 7) is rarely near the best. So a grid of scales is tried; for each, the scale
//! that fits its integers best has a closed form, Σqx / Σq², which also says what error is
//! left. The winner is polished with its scale rounded to f16, as it will be used.
//!
//! Four bits without a minimum want two things more ([`int4`]): large weights count for more, and
//! what is quantized is not shorter than what it was made of. Where columns are known to meet larger
//! inputs than others, their errors count for more.

use oarlock::internal::format::layout::{BLOCK_COLS, WeightType};
use oarlock::internal::math::{f16_to_f32, f32_to_f16};

use super::group::{Group, Wide};
use super::lanes::{Lanes, Work, in_lanes};
use crate::source::block::QuantBlock;
use crate::source::levels::IQ4_NL;

/// Weights below this count as zero: no f16 scale could tell them apart, and their
/// reciprocal must stay finite.
const TINY: f32 = 1e-12;
/// The least sum of squares to divide by: all levels may be zero.
const MIN_SQUARES: f32 = 1e-30;
/// Rounds of polishing; a round that gains nothing is the last.
const ROUNDS: usize = 4;

/// A group to be quantized.
#[derive(Clone, Copy)]
pub struct Quantize<'a> {
    pub kind: WeightType,
    pub x: &'a Group,
    /// Importance of each column, for the types that are searched by it.
    pub importance: &'a Group,
    /// Weights that count; the rest is padding.
    pub n: usize,
}

impl Quantize<'_> {
    /// The group's block; of floats, which have none, zeros.
    pub fn block(self) -> QuantBlock {
        in_lanes(self)
    }
}

impl Work for Quantize<'_> {
    type Output = QuantBlock;

    #[inline(always)]
    fn run<L: Lanes>(self) -> QuantBlock {
        let (x, importance) = (Wide::<L>::load(self.x), Wide::load(self.importance));
        match self.kind {
            WeightType::Int4 => int4(x, importance),
            WeightType::Int5 => int5(x, importance),
            WeightType::Int4n => int4n(x, importance),
            WeightType::Int8 => int8(x),
            WeightType::Int4a => int4a::<L>(self.x, self.n),
            WeightType::F32 => ZERO,
        }
    }
}

/// Symmetric 4 bits: −8 … 7.
///
/// The scale of least error clips the largest weights and shortens the whole by 1 to 2 %, which adds
/// up over layers. So errors are weighed by √(x² + 4·mean x²), besides the importance of their columns,
/// and the last scale is the one by which the block keeps its length along the weights:
/// Σwx·sq = Σwx².
#[inline(always)]
fn int4<L: Lanes>(x: Wide<L>, importance: Wide<L>) -> QuantBlock {
    let weights = large_count_more(x) * importance;
    lengthened(x, weights, fit(x, weights, Symmetric::INT4))
}

/// Symmetric 5 bits: −16 … 15. As [`int4`].
#[inline(always)]
fn int5<L: Lanes>(x: Wide<L>, importance: Wide<L>) -> QuantBlock {
    let weights = large_count_more(x) * importance;
    lengthened(x, weights, fit(x, weights, Symmetric::INT5))
}

/// One of the levels of IQ4_NL each. As [`int4`].
#[inline(always)]
fn int4n<L: Lanes>(x: Wide<L>, importance: Wide<L>) -> QuantBlock {
    let weights = large_count_more(x) * importance;
    lengthened(x, weights, fit_levels(x, weights))
}

/// The weights √(x² + 4·mean x²).
#[inline(always)]
fn large_count_more<L: Lanes>(x: Wide<L>) -> Wide<L> {
    (x * x + Wide::splat(4.0 * x.dot(x) / BLOCK_COLS as f32)).sqrt()
}

/// The block with the scale by which it keeps its length along the weights.
#[inline(always)]
fn lengthened<L: Lanes>(x: Wide<L>, weights: Wide<L>, block: QuantBlock) -> QuantBlock {
    let (levels, weighed) = (Wide::load(&block.quants.map(f32::from)), x * weights);
    let along = weighed.dot(levels);
    if along.abs() < MIN_SQUARES {
        return block;
    }
    QuantBlock { scale: f32_to_f16(weighed.dot(x) / along), ..block }
}

/// A symmetric type, and the numbers of levels to the peak that are tried.
#[derive(Clone, Copy)]
struct Symmetric {
    lo: f32,
    hi: f32,
    /// A negative scale puts the least level on the positive side; clipping the largest weight a
    /// little often pays, so the grid goes well beyond both ends.
    first: f32,
    step: f32,
    steps: usize,
}

impl Symmetric {
    const INT4: Self = Self { lo: -8.0, hi: 7.0, first: 5.25, step: 0.125, steps: 31 };
    const INT5: Self = Self { lo: -16.0, hi: 15.0, first: 12.0, step: 0.25, steps: 23 };
}

/// The block of least squared error, each square times its weight.
#[inline(always)]
fn fit<L: Lanes>(x: Wide<L>, weights: Wide<L>, kind: Symmetric) -> QuantBlock {
    let peak = x.peak();
    if peak < TINY {
        return ZERO;
    }
    let Symmetric { lo, hi, first, step, steps } = kind;
    let weighed = x * weights;
    let mut best = Best::new(weights);
    for sign in [1.0, -1.0] {
        let mut fit = (f32::MIN, 0.0);
        for i in 0..steps {
            let q = x.levels(sign * ((first + step * i as f32) / peak), lo, hi);
            let (qx, qq) = (q.dot(weighed), q.dot(q * weights));
            if qx * qx > fit.0 * qq {
                fit = (qx * qx / qq, qx / qq);
            }
        }
        polish(x, fit.1, lo, hi, &mut best);
    }
    best.block
}

/// Levels of [`IQ4_NL`], and how well they fit.
#[derive(Clone, Copy)]
struct Trial<L> {
    /// Error less than that of zeros.
    gain: f32,
    /// The best scale for these levels.
    scale: f32,
    levels: Wide<L>,
}

#[inline(always)]
fn trial<L: Lanes>(x: Wide<L>, weights: Wide<L>, inverse: f32) -> Trial<L> {
    let levels = (x * Wide::splat(inverse)).nearest(&IQ4_NL);
    let qx = levels.dot(x * weights);
    let scale = qx / levels.dot(levels * weights).max(MIN_SQUARES);
    Trial { gain: qx * scale, scale, levels }
}

/// The block of least squared error in levels of [`IQ4_NL`], each square times its weight.
#[inline(always)]
fn fit_levels<L: Lanes>(x: Wide<L>, weights: Wide<L>) -> QuantBlock {
    let peak = x.peak();
    if peak < TINY {
        return ZERO;
    }
    let mut best = Trial { gain: 0.0, scale: 0.0, levels: Wide::splat(0.0) };
    for sign in [1.0, -1.0] {
        for i in 0..LEVEL_STEPS {
            let this = trial(x, weights, sign * (LEVEL_FIRST + LEVEL_STEP * i as f32) / peak);
            if this.gain > best.gain {
                best = this;
            }
        }
    }
    for _ in 0..ROUNDS {
        let this = trial(x, weights, 1.0 / best.scale);
        if this.gain <= best.gain {
            break;
        }
        best = this;
    }
    QuantBlock { scale: f32_to_f16(best.scale), minimum: 0, quants: best.levels.quants() }
}

/// Numbers of levels to the peak that are tried, of ±127 and 113.
const LEVEL_FIRST: f32 = 84.0;
const LEVEL_STEP: f32 = 3.0;
const LEVEL_STEPS: usize = 20;

/// 8 bits: ±127, which leaves −128 unused, since the negative of a weight must fit as well.
#[inline(always)]
fn int8<L: Lanes>(x: Wide<L>) -> QuantBlock {
    let peak = x.peak();
    if peak < TINY {
        return ZERO;
    }
    let mut best = Best::new(Wide::splat(1.0));
    for i in 0..12 {
        polish(x, peak / (122.0 + 0.5 * i as f32), -127.0, 127.0, &mut best);
    }
    best.block
}

/// Affine 4 bits: `scale · (0 … 15) + minimum`.
///
/// Only the first `n` weights count; the rest is padding.
#[inline(always)]
fn int4a<L: Lanes>(x: &Group, n: usize) -> QuantBlock {
    // Padding takes the value of a real weight, so that it widens nothing.
    let x: Group = std::array::from_fn(|i| x[if i < n { i } else { 0 }]);
    let low = x.iter().copied().fold(x[0], |m, v| if v < m { v } else { m });
    let high = x.iter().copied().fold(x[0], |m, v| if v > m { v } else { m });
    let (x, range) = (Wide::<L>::load(&x), high - low);
    let mut best = Best::new(Wide::splat(1.0));
    if range < TINY {
        best.offer(x, 0.0, low, 0.0, 15.0);
        return best.block;
    }
    let mut fit = (f32::MAX, 0.0, low);
    for cut in 0..CUTS * CUTS {
        let (from, to) = (CUT * (cut / CUTS) as f32, CUT * (cut % CUTS) as f32);
        let (from, inverse) = (low + from * range, 15.0 / (range * (1.0 - from - to)));
        let (error, scale, minimum) = line(x, from, inverse);
        if error < fit.0 {
            fit = (error, scale, minimum);
        }
    }
    for (scale, minimum) in [(fit.1, fit.2), (range / 15.0, low)] {
        polish_affine(x, scale, minimum, &mut best);
    }
    best.block
}

/// Steps of the affine search at either end of the range: so many, of so large a part of it.
const CUTS: usize = 6;
const CUT: f32 = 0.03;

/// The straight line that fits the levels of `x` best: squared error, scale, minimum.
#[inline(always)]
fn line<L: Lanes>(x: Wide<L>, from: f32, inverse: f32) -> (f32, f32, f32) {
    const N: f32 = BLOCK_COLS as f32;
    let ones = Wide::splat(1.0);
    // Measured from `from`, so that sums of squares do not cancel.
    let y = x - Wide::splat(from);
    let q = y.levels(inverse, 0.0, 15.0);
    let (sum_q, sum_y) = (q.dot(ones), y.dot(ones));
    let (qq, qy, yy) = (q.dot(q), q.dot(y), y.dot(y));
    let spread = N * qq - sum_q * sum_q;
    if spread <= 0.0 {
        return (f32::MAX, 0.0, from);
    }
    let scale = (N * qy - sum_q * sum_y) / spread;
    let offset = (sum_y - scale * sum_q) / N;
    (yy - scale * qy - offset * sum_y, scale, from + offset)
}

const ZERO: QuantBlock = QuantBlock { scale: 0, minimum: 0, quants: [0; BLOCK_COLS] };

/// The best block so far.
struct Best<L> {
    block: QuantBlock,
    error: f32,
    /// Weights of the squares of errors.
    weights: Wide<L>,
}

impl<L: Lanes> Best<L> {
    #[inline(always)]
    fn new(weights: Wide<L>) -> Self {
        Self { block: ZERO, error: f32::INFINITY, weights }
    }

    /// Takes the block with this scale and minimum, rounded to f16, if it is better; then
    /// returns its levels.
    #[inline(always)]
    fn offer(&mut self, x: Wide<L>, scale: f32, minimum: f32, lo: f32, hi: f32) -> Option<Wide<L>> {
        let (scale, minimum) = (f32_to_f16(scale), f32_to_f16(minimum));
        let (s, m) = (f16_to_f32(scale), f16_to_f32(minimum));
        let inverse = if s == 0.0 { 0.0 } else { 1.0 / s };
        let m = Wide::splat(m);
        let q = (x - m).levels(inverse, lo, hi);
        let rest = x - (Wide::splat(s) * q + m);
        let error = rest.dot(rest * self.weights);
        if error >= self.error {
            return None;
        }
        self.error = error;
        self.block = QuantBlock { scale, minimum, quants: q.quants() };
        Some(q)
    }
}

/// Alternates between the levels for a scale and the scale for the levels.
#[inline(always)]
fn polish<L: Lanes>(x: Wide<L>, mut scale: f32, lo: f32, hi: f32, best: &mut Best<L>) {
    for _ in 0..ROUNDS {
        let Some(q) = best.offer(x, scale, 0.0, lo, hi) else { return };
        let weighed = q * best.weights;
        scale = weighed.dot(x) / weighed.dot(q).max(MIN_SQUARES);
    }
}

/// The same with a minimum, which is rounded first: the scale then makes up for it.
#[inline(always)]
fn polish_affine<L: Lanes>(x: Wide<L>, mut scale: f32, mut minimum: f32, best: &mut Best<L>) {
    for _ in 0..ROUNDS {
        minimum = f16_to_f32(f32_to_f16(minimum));
        let Some(q) = best.offer(x, scale, minimum, 0.0, 15.0) else { return };
        let qq = q.dot(q).max(1.0);
        scale = q.dot(x - Wide::splat(minimum)) / qq;
        best.offer(x, scale, minimum, 0.0, 15.0);
        let rest = x - Wide::splat(scale) * q;
        minimum = rest.dot(Wide::splat(1.0)) / BLOCK_COLS as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Portable;
    use super::*;

    const ONES: Group = [1.0; BLOCK_COLS];

    fn wide(x: &Group) -> Wide<Portable> {
        Wide::load(x)
    }

    fn int4(x: &Group) -> QuantBlock {
        super::int4(wide(x), wide(&ONES))
    }

    fn int5(x: &Group) -> QuantBlock {
        super::int5(wide(x), wide(&ONES))
    }

    fn int4n(x: &Group) -> QuantBlock {
        super::int4n(wide(x), wide(&ONES))
    }

    fn int8(x: &Group) -> QuantBlock {
        super::int8(wide(x))
    }

    fn int4a(x: &Group, n: usize) -> QuantBlock {
        super::int4a::<Portable>(x, n)
    }

    fn level(v: f32, inverse: f32, lo: f32, hi: f32) -> f32 {
        (v * inverse).clamp(lo, hi).round_ties_even()
    }

    fn nearest(v: f32) -> f32 {
        f32::from(wide(&[v; BLOCK_COLS]).nearest(&IQ4_NL).quants()[0])
    }

    /// Roughly normal numbers: sums of twelve uniform ones.
    fn group(seed: u32) -> Group {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / 4_294_967_296.0
        };
        std::array::from_fn(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
    }

    fn error(x: &Group, block: &QuantBlock) -> f64 {
        let (s, m) = (f16_to_f32(block.scale), f16_to_f32(block.minimum));
        let back = block.quants.map(|q| f64::from(s * f32::from(q) + m));
        x.iter().zip(back).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum()
    }

    fn total(f: impl Fn(&Group) -> QuantBlock) -> f64 {
        (1..500).map(group).map(|x| error(&x, &f(&x))).sum()
    }

    fn even(x: &Group) -> QuantBlock {
        fit(wide(x), wide(&ONES), Symmetric::INT4)
    }

    fn plain(x: &Group, levels: f32, lo: f32, hi: f32) -> QuantBlock {
        let mut best = Best::new(wide(&ONES));
        best.offer(wide(x), wide(x).peak() / levels, 0.0, lo, hi);
        best.block
    }

    #[test]
    fn blocks_are_the_same_in_any_registers() {
        for (seed, kind) in (1..200).flat_map(|seed| WeightType::ALL.map(|kind| (seed, kind))) {
            let (x, importance) = (group(seed), group(seed + 500).map(f32::abs));
            for n in [BLOCK_COLS, 7] {
                let group = Quantize { kind, x: &x, importance: &importance, n };
                assert_eq!(group.block(), group.run::<Portable>(), "{kind:?} {seed} {n}");
            }
        }
    }

    #[test]
    fn search_beats_the_textbook_scales() {
        let searched = total(even);
        assert!(searched < 0.80 * total(|x| plain(x, 7.0, -8.0, 7.0)), "max / 7");
        assert!(searched < 0.90 * total(|x| plain(x, 7.5, -8.0, 7.0)), "max / 7.5");
        let affine = total(|x| int4a(x, BLOCK_COLS));
        let textbook = total(|x| {
            let mut best = Best::new(wide(&ONES));
            let low = x.iter().copied().fold(f32::MAX, f32::min);
            let high = x.iter().copied().fold(f32::MIN, f32::max);
            best.offer(wide(x), (high - low) / 15.0, low, 0.0, 15.0);
            best.block
        });
        assert!(affine < 0.85 * textbook, "(max - min) / 15");
        assert!(affine < searched);
        assert!(total(int8) < 0.97 * total(|x| plain(x, 127.0, -127.0, 127.0)), "max / 127");
    }

    #[test]
    fn four_bits_keep_large_weights_and_the_length() {
        let (mut lost, mut even_lost, mut length, mut even_length) = (0.0, 0.0, 0.0, 0.0);
        for x in (1..500).map(group) {
            let largest = (0..x.len()).max_by(|&a, &b| x[a].abs().total_cmp(&x[b].abs())).unwrap();
            let rest = |block: &QuantBlock| {
                let back = f16_to_f32(block.scale) * f32::from(block.quants[largest]);
                f64::from(x[largest] - back).powi(2)
            };
            let block = int4(&x);
            (lost, even_lost) = (lost + rest(&block), even_lost + rest(&even(&x)));
            let kept = |block: &QuantBlock| {
                let back = block.quants.map(|q| f16_to_f32(block.scale) * f32::from(q));
                wide(&x).dot(wide(&back)) / wide(&x).dot(wide(&x)) / 499.0
            };
            (length, even_length) = (length + kept(&block), even_length + kept(&even(&x)));
        }
        assert!((0.998..1.006).contains(&length) && even_length < 0.995, "{length} {even_length}");
        assert!(lost < 0.8 * even_lost, "{lost} {even_lost}");
        assert!(total(int4) < 1.06 * total(even));
    }

    /// The best of all scales, by brute force.
    #[test]
    fn search_is_near_the_best_there_is() {
        let brute = total(|x| {
            let mut best = Best::new(wide(&ONES));
            for i in 0..4000 {
                let scale = wide(x).peak() * (0.1 + 0.0001 * i as f32);
                best.offer(wide(x), scale, 0.0, -8.0, 7.0);
                best.offer(wide(x), -scale, 0.0, -8.0, 7.0);
            }
            best.block
        });
        let searched = total(even);
        assert!(searched < 1.01 * brute, "{searched} against {brute}");
    }

    #[test]
    fn weights_that_are_on_a_grid_stay_there() {
        for seed in 1..200 {
            let mut x = group(seed).map(|v| level(v, 2.0, -7.0, 7.0));
            x[5] = -8.0;
            let x = x.map(|q| 0.03125 * q);
            assert_eq!(error(&x, &even(&x)), 0.0);
            assert_eq!(error(&x, &int4(&x)), 0.0);
            let mut q = group(seed).map(|v| level(v + 4.0, 2.0, 0.0, 15.0));
            (q[0], q[9]) = (0.0, 15.0);
            let x = q.map(|q| 0.03125 * q - 0.125);
            assert_eq!(error(&x, &int4a(&x, BLOCK_COLS)), 0.0);
        }
    }

    #[test]
    fn levels_of_either_other_type_stay_where_they_are() {
        for seed in 1..200 {
            let mut x = group(seed).map(|v| level(v, 5.0, -15.0, 15.0));
            x[7] = -16.0;
            let x = x.map(|q| 0.03125 * q);
            assert_eq!(error(&x, &int5(&x)), 0.0, "{seed}");
            let mut x = group(seed).map(|v| nearest(40.0 * v));
            (x[3], x[4]) = (-127.0, 113.0);
            let x = x.map(|q| 0.0009765625 * q);
            assert_eq!(error(&x, &int4n(&x)), 0.0, "{seed}");
        }
    }

    /// Unequal levels are nearer to roughly normal weights than equal ones, and five bits than both.
    #[test]
    fn more_levels_and_better_ones_are_nearer() {
        let (four, unequal) = (total(int4), total(int4n));
        let five = total(int5);
        assert!(unequal < 0.9 * four && five < 0.35 * four, "{four} {unequal} {five}");
        // The best of all scales, by brute force.
        let brute = |x: &Group| {
            let all =
                (0..4000).flat_map(|i| [1.0, -1.0].map(|sign| sign * (60.0 + 0.025 * i as f32)));
            let errors = all.map(|levels| {
                let scale = wide(x).peak() / levels;
                x.iter().map(|v| f64::from(v - scale * nearest(v / scale)).powi(2)).sum::<f64>()
            });
            errors.fold(f64::INFINITY, f64::min)
        };
        let best: f64 = (1..100).map(group).map(|x| brute(&x)).sum();
        let even: f64 =
            (1..100).map(group).map(|x| error(&x, &fit_levels(wide(&x), wide(&ONES)))).sum();
        assert!(even < 1.02 * best, "{even} against {best}");
    }

    #[test]
    fn zeros_constants_and_tiny_weights_are_no_trouble() {
        for x in [[0.0; 32], [1e-30; 32], [-f32::MIN_POSITIVE; 32]] {
            assert_eq!(int4(&x).scale, 0);
            assert_eq!(int8(&x), ZERO);
            assert!(error(&x, &int4a(&x, 32)) < 1e-20);
        }
        assert_eq!(error(&[0.5; 32], &int4a(&[0.5; 32], 32)), 0.0);
        let mut x = [0.0; 32];
        x[0] = 0.75;
        assert_eq!(error(&[0.75; 32], &int4a(&x, 1)), 0.0);
    }
}
