//! Floats of 8 bits as DeepSeek, Qwen, FBGEMM and ModelOpt publish them, and of 4 bits (NVFP4).

use super::codes::{Codes, Order};
use super::matrix::{Levels, Matrix};
use super::numbers::{Factor, e4m3};
use super::parts::{AGAIN, Parts, Sharing, scales, wrong_shape};
use super::scheme::Floats;
use crate::error::{Error, Result};
use crate::source::tensor::Raw;

/// Scales of activations and of caches, which no weight depends on.
pub const OF_ACTIVATIONS: &[&str] = &[
    "activation_scale",
    "input_global_scale",
    "input_scale",
    "input_scale_ub",
    "input_zero_point",
    "k_scale",
    "k_zero_point",
    "kv_scale",
    "output_scale",
    "output_zero_point",
    "q_scale",
    "v_scale",
    "v_zero_point",
];

/// The type of floats of 8 bits.
pub const E4M3: &str = "F8_E4M3";

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>, settings: &Floats) -> Result<()> {
    parts.leave_out(OF_ACTIVATIONS);
    let sharing = Sharing { groups: &[16], block: settings.block };
    for module in parts.modules("weight") {
        if parts.is(&module, "weight", E4M3) {
            let matrix = eight(parts, &module, sharing)?;
            parts.put(&module, matrix)?;
        } else if parts.is(&module, "weight", "U8") {
            let whole = parts.take(&module, "weight_scale_2", &["F32"])?;
            let factor = Factor::Times(one(&module, "weight_scale_2", &whole)?);
            let matrix = four(parts, &module, "weight", factor)?;
            parts.put(&module, matrix)?;
        }
    }
    Ok(())
}

/// Floats of 8 bits and scales of any arrangement.
pub fn eight<'m>(
    parts: &mut Parts<'_, 'm>,
    module: &str,
    sharing: Sharing<'_>,
) -> Result<Matrix<'m>> {
    let (codes, [rows, cols]) = parts.take_matrix(module, "weight", &[E4M3])?;
    let inverse = parts.get(module, "weight_scale_inv").is_some();
    let part = if inverse { "weight_scale_inv" } else { "weight_scale" };
    let raw = parts.take(module, part, &["F32", "F16", "BF16", "F8_E8M0", "U8"])?;
    let (scales, groups) = scales(module, part, &raw, [rows, cols], sharing)?;
    let levels = Levels::Table((0..=255).map(e4m3).collect());
    let codes = Codes { data: codes.data, bits: 8, order: Order::Lines(cols), signed: false };
    Ok(Matrix { label: "FP8", rows, cols, codes, groups, scales, levels })
}

/// Floats of 4 bits, and scales for 16 or 32 of them.
pub fn four<'m>(
    parts: &mut Parts<'_, 'm>,
    module: &str,
    part: &str,
    factor: Factor,
) -> Result<Matrix<'m>> {
    let (codes, [rows, bytes]) = parts.take_matrix(module, part, &["U8"])?;
    let cols = bytes.checked_mul(2);
    let cols = cols.ok_or_else(|| wrong_shape(module, part, &codes.shape, "fewer columns"))?;
    let raw = parts.take(module, "weight_scale", &[E4M3, "F8_E8M0", "U8"])?;
    let sharing = Sharing { groups: &[16, 32], block: None };
    let (mut scales, groups) = scales(module, "weight_scale", &raw, [rows, cols], sharing)?;
    scales.factor = factor;
    let label = if scales.numbers.are_powers() { "MXFP4" } else { "NVFP4" };
    let codes = Codes { data: codes.data, bits: 4, order: Order::Lines(bytes), signed: false };
    Ok(Matrix { label, rows, cols, codes, groups, scales, levels: Levels::E2m1 })
}

/// The number that a tensor is.
pub fn one(module: &str, part: &str, raw: &Raw<'_>) -> Result<f32> {
    let bytes: Option<[u8; 4]> = raw.data.try_into().ok();
    let number = bytes.map(f32::from_le_bytes).filter(|v| v.is_finite() && *v != 0.0);
    number.ok_or_else(|| {
        Error::new(format_args!("{module}.{part}"), "not one number other than 0", AGAIN)
    })
}
