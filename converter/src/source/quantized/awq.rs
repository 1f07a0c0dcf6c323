//! AWQ, as AutoAWQ lays it out for products of matrices: words of eight outputs each.

use super::codes::{Codes, Order};
use super::matrix::{Groups, Levels, Matrix, Zeros};
use super::numbers::{Numbers, Scales};
use super::parts::{AGAIN, FLOATS, Parts, group_size, wrong_shape};
use super::scheme::Grouped;
use crate::error::{Error, Result};

/// Outputs whose codes share a word.
const IN_WORD: usize = 8;

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>, settings: &Grouped) -> Result<()> {
    for module in parts.modules("qweight") {
        let matrix = matrix(parts, &module, settings)?;
        parts.put(&module, matrix)?;
    }
    Ok(())
}

fn matrix<'m>(parts: &mut Parts<'_, 'm>, module: &str, settings: &Grouped) -> Result<Matrix<'m>> {
    let (codes, [cols, words]) = parts.take_matrix(module, "qweight", &["I32"])?;
    let rows = words * IN_WORD;
    let (scales, [groups, n]) = parts.take_matrix(module, "scales", FLOATS)?;
    if n != rows {
        return Err(wrong_shape(module, "scales", &scales.shape, format_args!("[…, {rows}]")));
    }
    let zeros = parts.take_shaped(module, "qzeros", &["I32"], &[groups, words])?;
    let sizes: Vec<_> = settings.group.into_iter().collect();
    let size = group_size(cols, groups, &sizes).ok_or_else(|| {
        wrong_shape(module, "scales", &scales.shape, format_args!("groups of {cols} columns"))
    })?;
    let numbers = Numbers::new(scales.dtype, scales.data);
    let numbers = numbers.ok_or_else(|| Error::new(module, "its scales are no floats", AGAIN))?;
    let of = |data| Codes { data, bits: settings.bits, order: Order::Awq(rows), signed: false };
    Ok(Matrix {
        label: "AWQ of 4 bits",
        rows,
        cols,
        codes: of(codes.data),
        groups: Groups::Even(size),
        scales: Scales::by_groups(numbers, rows),
        levels: Levels::Zeros(Zeros { codes: of(zeros.data), by_groups: false, less_one: false }),
    })
}
