//! Matrices of gpt-oss as they were published: blocks of 32 numbers of 4 bits (E2M1) in a tensor,
//! the powers of two that they are multiplied by in another (OCP Microscaling Formats, version
//! 1.0, section 5).

use super::dtype::Dtype;
use super::tensor::Raw;

/// Numbers that share a scale.
pub const BLOCK: usize = Dtype::Mxfp4.block();

/// The name of the tensor of scales that belongs to the tensor of blocks called `blocks`.
pub fn scales_name(blocks: &str) -> String {
    blocks.replace("_blocks", "_scales")
}

/// A matrix, or several one after another.
#[derive(Debug)]
pub struct Mxfp4<'t, 'm> {
    /// `(…, rows, groups, 16)`, two numbers in a byte, the first in the low half
    pub blocks: &'t Raw<'m>,
    /// `(…, rows, groups)`
    pub scales: &'t Raw<'m>,
    /// Blocks of a row.
    pub groups: usize,
}

impl Mxfp4<'_, '_> {
    /// A row as GGUF has it: each block behind its scale, and in a byte of it a number of the
    /// block's first half and one of its second.
    pub fn row(&self, row: usize) -> Vec<u8> {
        let scales = &self.scales.data[row * self.groups..][..self.groups];
        let blocks = &self.blocks.data[row * self.groups * (BLOCK / 2)..];
        let mut out = Vec::with_capacity(self.groups * Dtype::Mxfp4.block_bytes());
        for (scale, block) in scales.iter().zip(blocks.chunks_exact(BLOCK / 2)) {
            let number = |i: usize| block[i / 2] >> (i % 2 * 4) & 15;
            out.push(*scale);
            out.extend((0..BLOCK / 2).map(|i| number(i) | number(i + BLOCK / 2) << 4));
        }
        out
    }
}
