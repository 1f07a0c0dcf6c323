//! The product of one piece: what the loops read, and the way of sums to the output.
#![allow(clippy::indexing_slicing)]
// Registers come in arrays that are walked in step: an index says so, iterators would not.
#![allow(clippy::needless_range_loop)]

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::null;

use super::job::{Epilogue, Input, Pass};
use crate::base::disjoint::Block;
use crate::format::layout::{TILE_ROWS, blocks};
use crate::kernels::block::BlockWeights;
use crate::kernels::elementwise::activation::clamped;
use crate::kernels::elementwise::vector::{load_wide, store_wide};
use crate::kernels::simd::{InputPointers, Simd, Wide};

/// One pass over one piece.
pub(super) struct Product<'a, 'b, W> {
    /// Packed tiles of the piece.
    pub(super) bytes: &'a [u8],
    pub(super) tile_bytes: usize,
    pub(super) inputs: InputPointers,
    /// Tokens.
    pub(super) n: usize,
    /// The bias from the piece's first row on, to the matrix's last.
    bias: Option<&'a [f32]>,
    epilogue: Epilogue,
    out: &'b mut Block<'a, f32>,
    weights: PhantomData<W>,
}

impl<'a, 'b, W: BlockWeights> Product<'a, 'b, W> {
    /// The product of some tiles of a job's matrix, whose shapes `check` saw.
    pub(super) fn new(
        pass: Pass<'a>,
        input: &Input<'_>,
        range: Range<usize>,
        out: &'b mut Block<'a, f32>,
    ) -> Self {
        let tile_bytes = blocks(input.cols) * W::KIND.block_bytes();
        let bytes = &pass.linear.weight.tiles()[range.start * tile_bytes..range.end * tile_bytes];
        let acts = input.acts.filter(|_| W::KIND.is_quantized());
        let inputs = InputPointers {
            x: input.x.as_ptr(),
            stride: input.stride,
            cols: input.cols,
            q: acts.map_or(null(), |a| a.q.as_ptr()),
            scale: acts.map_or(null(), |a| a.scale.as_ptr()),
            sum: acts.map_or(null(), |a| a.sum.as_ptr()),
            blocks: blocks(input.cols),
        };
        let bias = pass.linear.bias.map(|bias| &bias[range.start * TILE_ROWS..]);
        let weights = PhantomData;
        Self { bytes, tile_bytes, inputs, n: input.n, bias, epilogue: pass.epilogue, out, weights }
    }

    /// Tiles of the piece.
    pub(super) fn tiles(&self) -> usize {
        self.bytes.len().checked_div(self.tile_bytes).unwrap_or(0)
    }

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
