//! compressed-tensors, which vLLM's tools write: integers, packed or not, and floats.

use byteorder::{ByteOrder, LittleEndian};

use super::codes::{Codes, Order};
use super::floats::{E4M3, OF_ACTIVATIONS, eight, four, one};
use super::matrix::{Groups, Levels, Matrix, Zeros};
use super::numbers::Factor;
use super::parts::{AGAIN, FLOATS, Parts, Sharing, scales, wrong_shape};
use super::scheme::CompressedTensors;
use crate::error::{Error, Result};
use crate::source::tensor::Raw;

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>, settings: &CompressedTensors) -> Result<()> {
    parts.leave_out(OF_ACTIVATIONS);
    let sharing = Sharing { groups: &settings.groups, block: settings.block };
    for module in parts.modules("weight_packed") {
        let matrix = if parts.is(&module, "weight_packed", "U8") {
            floats(parts, &module)?
        } else {
            packed(parts, &module, settings, sharing)?
        };
        parts.put(&module, matrix)?;
    }
    for module in parts.modules("weight_scale") {
        let matrix = if parts.is(&module, "weight", E4M3) {
            zero_points(parts, &module)?;
            eight(parts, &module, sharing)?
        } else {
            bytes(parts, &module, sharing)?
        };
        parts.put(&module, matrix)?;
    }
    Ok(())
}

/// Floats of 4 bits, whose scales have a divisor of their own in NVFP4.
fn floats<'m>(parts: &mut Parts<'_, 'm>, module: &str) -> Result<Matrix<'m>> {
    let whole = parts.take_if_any(module, "weight_global_scale", &["F32"])?;
    let factor = match whole {
        Some(whole) => Factor::Over(one(module, "weight_global_scale", &whole)?),
        None => Factor::Times(1.0),
    };
    four(parts, module, "weight_packed", factor)
}

/// Takes the zero points of floats, which are none.
fn zero_points(parts: &mut Parts<'_, '_>, module: &str) -> Result<()> {
    let zeros = parts.take_if_any(module, "weight_zero_point", &[E4M3, "I8"])?;
    if zeros.is_some_and(|raw| raw.data.iter().any(|byte| byte & 127 != 0)) {
        let name = format!("{module}.weight_zero_point");
        return Err(Error::new(name, "zero points of floats", AGAIN));
    }
    Ok(())
}

/// Integers in words of 32 bits.
fn packed<'m>(
    parts: &mut Parts<'_, 'm>,
    module: &str,
    settings: &CompressedTensors,
    sharing: Sharing<'_>,
) -> Result<Matrix<'m>> {
    let (codes, [rows, words]) = parts.take_matrix(module, "weight_packed", &["I32"])?;
    let shape = parts.take(module, "weight_shape", &["I64", "I32"])?;
    let cols = cols(module, &shape, rows)?;
    // Codes of other than 2, 4 and 8 bits lie across the ends of words, but not in old files.
    let words_for = |n: usize, bits: usize| n.checked_mul(bits).map(|n| n.div_ceil(32));
    let fits = |&&bits: &&usize| (2..=8).contains(&bits) && words_for(cols, bits) == Some(words);
    let bits = *settings.bits.iter().find(fits).ok_or_else(|| {
        let wanted = format_args!("[{rows}, {cols}] in as many bits as quantization_config says");
        wrong_shape(module, "weight_packed", &codes.shape, wanted)
    })?;
    let raw = parts.take(module, "weight_scale", FLOATS)?;
    let (scales, mut groups) = scales(module, "weight_scale", &raw, [rows, cols], sharing)?;
    let n = count(&groups, cols);
    let words_of_rows = words_for(rows, bits).unwrap_or(0);
    let zeros = parts.take_if_any(module, "weight_zero_point", &["I32"])?;
    let levels = match zeros {
        None => Levels::Zero(1 << (bits - 1)),
        Some(raw) if raw.shape == [words_of_rows, n] => {
            let codes = Codes { data: raw.data, bits, order: Order::Columns(n), signed: false };
            Levels::Zeros(Zeros { codes, by_groups: true, less_one: false })
        }
        Some(raw) => {
            let wanted = format_args!("[{words_of_rows}, {n}]");
            return Err(wrong_shape(module, "weight_zero_point", &raw.shape, wanted));
        }
    };
    if let Some(listed) = parts.take_if_any(module, "weight_g_idx", &["I32"])? {
        groups = super::gptq::listed_groups(module, &listed, cols, n)?;
    }
    let codes = Codes { data: codes.data, bits, order: Order::Lines(4 * words), signed: false };
    let label = label(bits, matches!(levels, Levels::Zero(_)));
    Ok(Matrix { label, rows, cols, codes, groups, scales, levels })
}

/// Integers in bytes.
fn bytes<'m>(parts: &mut Parts<'_, 'm>, module: &str, sharing: Sharing<'_>) -> Result<Matrix<'m>> {
    let (codes, [rows, cols]) = parts.take_matrix(module, "weight", &["I8"])?;
    let raw = parts.take(module, "weight_scale", FLOATS)?;
    let (scales, groups) = scales(module, "weight_scale", &raw, [rows, cols], sharing)?;
    let n = count(&groups, cols);
    let eight = |data, len| Codes { data, bits: 8, order: Order::Lines(len), signed: true };
    let zeros = parts.take_if_any(module, "weight_zero_point", &["I8"])?;
    let levels = match zeros.filter(|raw| raw.data.iter().any(|byte| *byte != 0)) {
        None => Levels::Zero(128),
        Some(raw) if raw.data.len() == rows * n && scales.row_block == 1 => {
            let codes = eight(raw.data, n);
            Levels::Zeros(Zeros { codes, by_groups: false, less_one: false })
        }
        Some(raw) => {
            let wanted = format_args!("[{rows}, {n}]");
            return Err(wrong_shape(module, "weight_zero_point", &raw.shape, wanted));
        }
    };
    let codes = eight(codes.data, cols);
    let label = label(8, matches!(levels, Levels::Zero(_)));
    Ok(Matrix { label, rows, cols, codes, groups, scales, levels })
}

const fn label(bits: usize, is_symmetric: bool) -> &'static str {
    match (bits, is_symmetric) {
        (4, true) => "symmetric int4",
        (4, false) => "asymmetric int4",
        (8, true) => "symmetric int8",
        (8, false) => "asymmetric int8",
        (_, true) => "symmetric integers of few bits",
        (_, false) => "asymmetric integers of few bits",
    }
}

/// Groups of a row.
const fn count(groups: &Groups<'_>, cols: usize) -> usize {
    match groups {
        Groups::Even(n) => cols.div_ceil(*n),
        Groups::Listed(_) | Groups::Flat(_) => 0,
    }
}

/// The columns that a tensor of two numbers says, where the rows are known.
fn cols(module: &str, shape: &Raw<'_>, rows: usize) -> Result<usize> {
    let numbers: Vec<u64> = match shape.data.len() {
        16 => shape.data.chunks_exact(8).map(LittleEndian::read_u64).collect(),
        8 => shape.data.chunks_exact(4).map(|v| LittleEndian::read_u32(v).into()).collect(),
        _ => Vec::new(),
    };
    let cols = match *numbers {
        [lines, cols] if lines == rows as u64 => usize::try_from(cols).ok(),
        _ => None,
    };
    cols.filter(|&cols| cols > 0).ok_or_else(|| {
        let name = format!("{module}.weight_shape");
        Error::new(name, format!("not the shape of a matrix of {rows} rows"), AGAIN)
    })
}
