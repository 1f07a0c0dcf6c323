//! The error of taking over quants whose scales have to be rounded to f16.

use oarlock::internal::format::layout::BLOCK_COLS;
use oarlock::internal::math::f16_to_f32;

use super::block::QuantBlock;
use super::decode::decode;
use super::dtype::Dtype;

/// Squared errors of a tensor, and those that the steps of its source stand for: a step's square
/// by 12 for each value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounding {
    errors: f64,
    steps: f64,
}

/// Errors may be so much smaller than what steps stand for, in the root of the mean square.
const SHARE: f64 = 1.0 / 8.0;

impl Rounding {
    /// Adds a row of a type that has a counterpart.
    pub fn add(&mut self, dtype: Dtype, row: &[u8]) {
        let mut exact = vec![0.0; dtype.block()];
        for bytes in row.chunks_exact(dtype.block_bytes()) {
            let mut decoded = false;
            for part in 0..dtype.block() / BLOCK_COLS {
                let block = QuantBlock::read(dtype, bytes, part);
                let scale = f64::from(f16_to_f32(block.scale));
                self.steps += BLOCK_COLS as f64 / 12.0 * (scale * least_step(dtype)).powi(2);
                // The rounding of a normal f16 is far below any step.
                if is_normal(block.scale) && (block.minimum == 0 || is_normal(block.minimum)) {
                    continue;
                }
                if !decoded {
                    decode(dtype, bytes, &mut exact);
                    decoded = true;
                }
                self.add_errors(&block, &exact[part * BLOCK_COLS..][..BLOCK_COLS]);
            }
        }
    }

    fn add_errors(&mut self, block: &QuantBlock, exact: &[f32]) {
        let mut rounded = [0.0; BLOCK_COLS];
        block.decode(&mut rounded);
        let errors = rounded.iter().zip(exact).map(|(a, b)| f64::from(a - b).powi(2));
        self.errors += errors.sum::<f64>();
    }

    /// Whether hardly anything is lost.
    pub fn is_small(&self) -> bool {
        // What is not a number is refused later, by name.
        self.errors.is_nan() || self.errors <= SHARE * SHARE * self.steps
    }
}

fn is_normal(half: u16) -> bool {
    !matches!(half >> 10 & 31, 0 | 31)
}

/// The least distance of two levels, in scales.
fn least_step(dtype: Dtype) -> f64 {
    if dtype == Dtype::Iq4Xs { 10.0 } else { 1.0 }
}
