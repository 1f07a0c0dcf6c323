//! Tensors as they lie in a source file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::dtype::Dtype;
use super::quantized::matrix::Matrix;
use crate::error::{Error, Result};

/// A tensor of a source file.
#[derive(Clone, Debug)]
pub struct Raw<'m> {
    /// The type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions, the slowest first.
    pub shape: Vec<usize>,
    /// Its bytes; of what is put together of several, those of the codes.
    pub data: &'m [u8],
    /// The matrix that several tensors make together.
    pub quantized: Option<Arc<Matrix<'m>>>,
}

impl<'m> Raw<'m> {
    /// A tensor that lies as it is.
    pub const fn new(dtype: Dtype, shape: Vec<usize>, data: &'m [u8]) -> Self {
        Self { dtype, shape, data, quantized: None }
    }

    /// A tensor that is put together of several.
    pub fn quantized(matrix: Matrix<'m>) -> Self {
        let matrix = matrix.simplified();
        let (dtype, shape, data) =
            (matrix.dtype(), vec![matrix.rows, matrix.cols], matrix.codes.data);
        Self { dtype, shape, data, quantized: Some(Arc::new(matrix)) }
    }

    /// The name of its type in messages.
    pub fn type_name(&self) -> &'static str {
        self.quantized.as_ref().map_or_else(|| self.dtype.name(), |matrix| matrix.label)
    }

    /// Whether the other has the same numbers, stored in the same way.
    pub fn is_same(&self, other: &Self) -> bool {
        self.data == other.data && self.quantized == other.quantized
    }

    /// `(rows, cols)`; a vector is one row.
    pub fn matrix_shape(&self) -> Option<(usize, usize)> {
        match *self.shape {
            [cols] => Some((1, cols)),
            [rows, cols] => Some((rows, cols)),
            _ => None,
        }
    }

    /// Bytes of row `row`, in a type that it has in common with others, or its own.
    pub fn row(&self, row: usize, cols: usize, dtype: Dtype) -> Cow<'m, [u8]> {
        if let Some(matrix) = &self.quantized {
            return matrix.row(row, dtype).into();
        }
        let len = self.dtype.row_bytes(cols).unwrap_or(0);
        self.data[row * len..(row + 1) * len].into()
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
