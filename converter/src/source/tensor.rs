//! Tensors as they lie in a source file.

use std::collections::BTreeMap;

use super::dtype::Dtype;
use crate::error::{Error, Result};

/// A tensor of a source file.
#[derive(Clone, Debug)]
pub struct Raw<'m> {
    /// The type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions, the slowest first.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub data: &'m [u8],
}

impl<'m> Raw<'m> {
    /// `(rows, cols)`; a vector is one row.
    pub fn matrix_shape(&self) -> Option<(usize, usize)> {
        match *self.shape {
            [cols] => Some((1, cols)),
            [rows, cols] => Some((rows, cols)),
            _ => None,
        }
    }

    /// Bytes of row `row`.
    pub fn row(&self, row: usize, cols: usize) -> &'m [u8] {
        let len = self.dtype.row_bytes(cols).unwrap_or(0);
        &self.data[row * len..(row + 1) * len]
    }

    /// Bytes of column `col` of a matrix of a type without blocks; the columns of several are
    /// counted one after another.
    pub fn column(&self, col: usize) -> Vec<u8> {
        let (len, cols) = (self.dtype.block_bytes(), self.shape.last().copied().unwrap_or(1));
        let before = self.shape.len().saturating_sub(2);
        let bytes = self.shape[before..].iter().product::<usize>() * len;
        let (matrix, col) = (col / cols, col % cols);
        let rows = self.data[matrix * bytes..][..bytes].chunks_exact((cols * len).max(1));
        rows.flat_map(|row| &row[col * len..(col + 1) * len]).copied().collect()
    }

    /// The bytes that a tensor of this type and shape has, or `None` if that overflows or
    /// its rows are no whole number of blocks.
    pub fn bytes_needed(dtype: Dtype, shape: &[usize]) -> Option<usize> {
        let (&cols, rows) = shape.split_last()?;
        let rows = rows.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
        dtype.row_bytes(cols)?.checked_mul(rows)
    }
}

/// The tensors of a model, by name.
pub type Tensors<'m> = BTreeMap<String, Raw<'m>>;

/// Adds a tensor that must not be there yet.
pub fn insert<'m>(to: &mut Tensors<'m>, name: &str, raw: Raw<'m>) -> Result<()> {
    match to.insert(name.into(), raw) {
        None => Ok(()),
        Some(_) => Err(Error::new(name, "the tensor is there twice", "get the model again")),
    }
}
