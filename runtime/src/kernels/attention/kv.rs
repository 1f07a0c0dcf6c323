//! The cached keys and values of one kv head, and how a token's are written.
#![allow(unsafe_code, clippy::indexing_slicing)]

use crate::format::kv::{
    HEAD_ALIGN, KvType, TILE_KEYS, int8_key_offset, int8_scale_offset, int8_value_offset,
};
use crate::format::layout::BLOCK_COLS;
use crate::kernels::elementwise::quantize::quantize_run;
use crate::kernels::elementwise::vector::{WIDE, load_wide};
use crate::kernels::isa::Isa;
use crate::kernels::simd::{Op, Simd};

/// Dimensions of a head as cached.
pub(super) const fn padded(head_dim: usize) -> usize {
    head_dim.next_multiple_of(HEAD_ALIGN)
}

/// The most dimensions a head may have: a row of it fits a buffer on the stack.
pub(crate) const MAX_HEAD_DIM: usize = 512;

/// A contiguous run of tiles of one kv head.
#[derive(Clone, Copy, Debug)]
pub struct Kv<'a> {
    /// The type that they are stored in.
    pub kind: KvType,
    /// Dimensions of the head, before padding.
    pub head_dim: usize,
    /// `(tiles, 32 · padded dims)` values of the kind, laid out as [`crate::format::kv`] says
    pub keys: &'a [u8],
    /// `(tiles, 32 · padded dims)` values of the kind, laid out likewise
    pub values: &'a [u8],
    /// `(tiles, padded dims / 32, 32)`, of int8 alone
    pub key_scales: &'a [f32],
    /// `(tiles, 32)`, of int8 alone
    pub value_scales: &'a [f32],
}

/// A contiguous run of tiles of one kv head, to be written.
#[derive(Debug)]
pub struct KvMut<'a> {
    /// The type that they are stored in.
    pub kind: KvType,
    /// Dimensions of the head, before padding.
    pub head_dim: usize,
    /// Keys, see [`Kv::keys`]
    pub keys: &'a mut [u8],
    /// Values, see [`Kv::values`]
    pub values: &'a mut [u8],
    /// Scales, see [`Kv::key_scales`]
    pub key_scales: &'a mut [f32],
    /// Scales, see [`Kv::value_scales`]
    pub value_scales: &'a mut [f32],
}

impl KvMut<'_> {
    /// Writes a token's key and value `(head_dim)` each, the key already rotated, to
    /// `slot` of the run.
    ///
    /// # Panics
    /// If there is no such slot, or a slice has another length.
    pub fn write(&mut self, isa: Isa, slot: usize, key: &[f32], value: &[f32]) {
        assert!(key.len() == self.head_dim && value.len() == self.head_dim);
        let row = padded(self.head_dim) * self.kind.bytes();
        assert!(self.keys.len().checked_div(row).is_some_and(|slots| slot < slots));
        isa.run(Write { kv: self, slot, key, value });
    }
}

struct Write<'a, 'k> {
    kv: &'a mut KvMut<'k>,
    slot: usize,
    key: &'a [f32],
    value: &'a [f32],
}

impl Op for Write<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { kv, slot, key, value } = self;
        let dims = padded(kv.head_dim);
        let row = dims * kv.kind.bytes();
        let at = slot * row..(slot + 1) * row;
        match kv.kind {
            KvType::Int8 => {
                let mut quants = [0_i8; MAX_HEAD_DIM];
                let quants = &mut quants[..dims];
                (kv.value_scales[slot], _) = quantize_run(s, value, quants);
                let tile = slot / TILE_KEYS * TILE_KEYS * row;
                let tile = tile..tile + TILE_KEYS * row;
                let values = &mut kv.values[tile.clone()];
                for (dim, q) in quants.iter().enumerate() {
                    values[int8_value_offset(slot % TILE_KEYS, dim)] = q.cast_unsigned();
                }
                let scales = int8_scale_offset(dims, slot, 0);
                let scales = kv.key_scales[scales..].iter_mut().step_by(TILE_KEYS);
                let blocks = key.chunks(BLOCK_COLS).zip(quants.chunks_exact_mut(BLOCK_COLS));
                for ((key, q), scale) in blocks.zip(scales) {
                    (*scale, _) = quantize_run(s, key, q);
                }
                let keys = &mut kv.keys[tile];
                for (group, q) in quants.chunks_exact(4).enumerate() {
                    let to = int8_key_offset(dims, slot % TILE_KEYS, 4 * group);
                    for (to, q) in keys[to..to + 4].iter_mut().zip(q) {
                        *to = q.cast_unsigned();
                    }
                }
            }
            KvType::F16 => {
                store_halves(s, &mut kv.keys[at.clone()], key);
                store_halves(s, &mut kv.values[at], value);
            }
            KvType::F32 => {
                store_floats(&mut kv.keys[at.clone()], key);
                store_floats(&mut kv.values[at], value);
            }
        }
    }
}

/// Writes `from` as f16, zeros behind it.
#[inline(always)]
fn store_halves<S: Simd>(s: S, to: &mut [u8], from: &[f32]) {
    for (i, to) in to.chunks_exact_mut(2 * WIDE).enumerate() {
        let v = load_wide(s, from.get(i * WIDE..).unwrap_or(&[]));
        for part in 0..S::PARTS {
            // SAFETY: the chunk holds 16 halves.
            unsafe { s.store_f16(to.as_mut_ptr().add(2 * part * S::LANES), v[part]) };
        }
    }
}

/// Writes `from`, zeros behind it.
#[inline(always)]
fn store_floats(to: &mut [u8], from: &[f32]) {
    let values = from.iter().copied().chain(core::iter::repeat(0.0));
    for (to, v) in to.chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&v.to_le_bytes());
    }
}
