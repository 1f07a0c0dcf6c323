//! GPTQ: words of codes of one output each, one below the other (gptqmodel, AutoGPTQ, AutoRound).

use byteorder::{ByteOrder, LittleEndian};

use super::codes::{Codes, Order};
use super::matrix::{Groups, Levels, Matrix, Zeros};
use super::numbers::{Numbers, Scales};
use super::parts::{AGAIN, FLOATS, Parts, group_size, wrong_shape};
use super::scheme::Gptq;
use crate::error::{Error, Result};
use crate::source::tensor::Raw;

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>, settings: &Gptq) -> Result<()> {
    for module in parts.modules("qweight") {
        let matrix = matrix(parts, &module, settings)?;
        parts.put(&module, matrix)?;
    }
    Ok(())
}

fn matrix<'m>(parts: &mut Parts<'_, 'm>, module: &str, settings: &Gptq) -> Result<Matrix<'m>> {
    let (codes, [words, rows]) = parts.take_matrix(module, "qweight", &["I32"])?;
    let (zeros, [groups, zero_words]) = parts.take_matrix(module, "qzeros", &["I32"])?;
    let scales = parts.take_shaped(module, "scales", FLOATS, &[groups, rows])?;
    let bits = bits(module, rows, zero_words, &zeros, settings)?;
    let cols = words * 32 / bits;
    if cols * bits != words * 32 {
        return Err(wrong_shape(module, "qweight", &codes.shape, "whole words"));
    }
    let listed = parts.take_if_any(module, "g_idx", &["I32"])?;
    let groups = match listed {
        Some(listed) => listed_groups(module, &listed, cols, groups)?,
        None => {
            let sizes: Vec<_> = settings.common.group.into_iter().collect();
            let size = group_size(cols, groups, &sizes);
            Groups::Even(size.ok_or_else(|| {
                wrong_shape(
                    module,
                    "scales",
                    &scales.shape,
                    format_args!("groups of {cols} columns"),
                )
            })?)
        }
    };
    let numbers = Numbers::new(scales.dtype, scales.data);
    let numbers = numbers.ok_or_else(|| Error::new(module, "its scales are no floats", AGAIN))?;
    let lines = |data, order| Codes { data, bits, order, signed: false };
    let zeros = lines(zeros.data, Order::Lines(4 * zero_words));
    let zeros = Zeros { codes: zeros, by_groups: true, less_one: settings.less_one };
    Ok(Matrix {
        label: label(bits),
        rows,
        cols,
        codes: lines(codes.data, Order::Columns(rows)),
        groups,
        scales: Scales::by_groups(numbers, rows),
        levels: Levels::Zeros(zeros),
    })
}

const fn label(bits: usize) -> &'static str {
    match bits {
        2 => "GPTQ of 2 bits",
        3 => "GPTQ of 3 bits",
        8 => "GPTQ of 8 bits",
        _ => "GPTQ of 4 bits",
    }
}

/// Bits of a code, which follow from the zero points of a group.
fn bits(
    module: &str,
    rows: usize,
    words: usize,
    zeros: &Raw<'_>,
    settings: &Gptq,
) -> Result<usize> {
    let bits = words.saturating_mul(32) / rows;
    if bits * rows != words.saturating_mul(32) || ![2, 3, 4, 8].contains(&bits) {
        let wanted = format_args!("words of 2, 3, 4 or 8 bits for {rows} rows");
        return Err(wrong_shape(module, "qzeros", &zeros.shape, wanted));
    }
    let said = settings.common.bits;
    if bits != said && !settings.varies {
        let what = format!("{bits} bits, where quantization_config says {said}");
        return Err(Error::new(module, what, "get weights and config of the same model"));
    }
    Ok(bits)
}

/// The group of each column, as a size where they follow each other.
pub fn listed_groups<'m>(
    module: &str,
    listed: &Raw<'m>,
    cols: usize,
    groups: usize,
) -> Result<Groups<'m>> {
    if listed.shape != [cols] {
        return Err(wrong_shape(module, "g_idx", &listed.shape, format_args!("[{cols}]")));
    }
    let of = |col: usize| LittleEndian::read_u32(&listed.data[4 * col..]) as usize;
    if (0..cols).any(|col| of(col) >= groups) {
        let what = format!("a group beyond its {groups}");
        return Err(Error::new(format_args!("{module}.g_idx"), what, AGAIN));
    }
    let size = (0..cols).find(|&col| of(col) != of(0)).unwrap_or(cols);
    let is_even = (0..cols).all(|col| of(col) == col / size);
    Ok(if is_even { Groups::Even(size) } else { Groups::Listed(listed.data) })
}
