//! The values of a converted model, by the words of the layout's documentation.

use oarlock::Model;
use oarlock::internal::format::layout::{
    WeightType, f32_offset, int8_offset, nibble_offset, sign_offset,
};
use oarlock::internal::format::{Role, TensorType};
use oarlock::internal::math::f16_to_f32;
use oarlock::internal::model::Tensor;
use oarlock_convert::{ConvertOptions, Weights};

pub fn options(weights: WeightType) -> ConvertOptions {
    ConvertOptions { weights: Some(Weights::As(weights)), ..ConvertOptions::default() }
}

/// The value of a packed matrix at `(row, col)`.
fn value(t: &Tensor<'_>, row: usize, col: usize) -> f32 {
    let TensorType::Matrix(kind) = t.kind else { panic!("{} is a vector", t.name) };
    let block = (row / 16 * t.cols.div_ceil(32) + col / 32) * kind.block_bytes();
    let (head, tiles) = t.bytes().split_at(kind.head_bytes());
    let (block, row, col) = (&tiles[block..], row % 16, col % 32);
    let f16 = |at: usize| f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
    let scale = || f16(kind.quant_bytes() + 2 * row);
    let nibble = || {
        let (at, shift) = nibble_offset(row, col);
        f32::from(block[at] >> shift & 15)
    };
    match kind {
        WeightType::F32 => {
            f32::from_le_bytes(block[f32_offset(row, col)..][..4].try_into().unwrap())
        }
        WeightType::Int8 => scale() * f32::from(block[int8_offset(row, col)] as i8),
        WeightType::Int4 => scale() * (nibble() - 8.0),
        WeightType::Int4a => scale() * nibble() + f16(kind.minimum_offset() + 2 * row),
        WeightType::Int4n => {
            let level = head[nibble() as usize].cast_signed();
            scale() * f32::from(level)
        }
        WeightType::Int5 => {
            let (at, bit) = sign_offset(row, col);
            scale() * (nibble() - 16.0 * f32::from(block[at] >> bit & 1))
        }
    }
}

pub fn values(t: &Tensor<'_>) -> Vec<f32> {
    (0..t.rows * t.cols).map(|i| value(t, i / t.cols, i % t.cols)).collect()
}

pub fn find<'m>(model: &Model<'m>, role: Role, layer: Option<usize>) -> Tensor<'m> {
    model.tensors().find(|t| (t.role, t.layer) == (role, layer)).unwrap()
}

pub fn verify(model: &Model<'_>) {
    for i in 0..model.n_tensors() {
        model.verify_tensor(i).unwrap();
    }
}
