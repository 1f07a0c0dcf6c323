//! The epilogue of a product: its way from registers to the output.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use super::job::Epilogue;
use crate::base::disjoint::MatrixMut;
use crate::format::layout::TILE_ROWS;
use crate::kernels::elementwise::activation::clamped;
use crate::kernels::elementwise::vector::{load_wide, store_wide};
use crate::kernels::simd::{Simd, Wide};

/// The output of one pass over one piece.
pub(super) struct Output<'a, 'b> {
    /// The bias from the piece's first row on, to the matrix's last.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) epilogue: Epilogue,
    pub(super) out: &'b mut MatrixMut<'a, f32>,
}

impl Output<'_, '_> {
    /// Adds the bias to the products of a tile with a token and sends them to the output.
    #[inline(always)]
    pub(super) fn store<S: Simd>(
        &mut self,
        s: S,
        tile: usize,
        token: usize,
        mut products: Wide<S>,
    ) {
        let row = tile * TILE_ROWS;
        if let Some(bias) = self.bias {
            let bias = load_wide(s, bias.get(row..).unwrap_or(&[]));
            for part in 0..S::PARTS {
                products[part] = s.add(products[part], bias[part]);
            }
        }
        let out = &mut self.out.row(token)[row..row + TILE_ROWS];
        match self.epilogue {
            Epilogue::Store => {}
            Epilogue::Add(factor) => {
                let x = load_wide(s, out);
                for part in 0..S::PARTS {
                    // A factor of 1 changes nothing.
                    products[part] = s.add(x[part], s.mul(products[part], s.splat(factor)));
                }
            }
            Epilogue::Multiply => {
                let gate = load_wide(s, out);
                for part in 0..S::PARTS {
                    products[part] = s.mul(gate[part], products[part]);
                }
            }
            Epilogue::MultiplyClamped(limit) => {
                let gate = load_wide(s, out);
                for part in 0..S::PARTS {
                    let up = s.add(clamped(s, products[part], limit), s.splat(1.0));
                    products[part] = s.mul(gate[part], up);
                }
            }
        }
        store_wide(s, out, products);
    }
}
