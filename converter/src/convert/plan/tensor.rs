//! A tensor of the file as it is planned: what it is, and the rows that it is made of.

use std::borrow::Cow;

use oarlock::internal::format::layout::WeightType;

use super::rows::{HeadPool, RowOrder};
use crate::convert::write::Spec;
use crate::source::decode::decode;
use crate::source::dtype::Dtype;
use crate::source::mxfp4::{self, Mxfp4};
use crate::source::tensor::Raw;

/// A stand-in for the number of an expert in the name of a stack.
pub(super) const ANY: &str = "*";

/// A tensor of the file, or a stack of them, and where it comes from.
#[derive(Debug)]
pub struct Planned<'t, 'm> {
    /// Name, role, layer and type of the tensor in the file.
    pub spec: Spec,
    /// The tensors of the source, or the numbers, that it is made of.
    pub from: Origin<'t, 'm>,
    /// Tensors in the stack; 1 for what is none.
    pub experts: usize,
    /// Rows, of each.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// The source row of each row, of all tensors of a stack; elements, for vectors.
    pub order: RowOrder,
    /// The source rows that become one.
    pub pool: HeadPool,
    /// A number that is added to each element of a vector.
    pub add: f32,
}

/// Origins of a tensor's numbers.
#[derive(Debug)]
pub enum Origin<'t, 'm> {
    /// A tensor of the source.
    Tensor(&'t Raw<'m>),
    /// A matrix of the source whose columns are rows here.
    Columns(&'t Raw<'m>),
    /// A tensor of the source for each expert.
    Separate(Vec<&'t Raw<'m>>),
    /// A matrix in blocks of 32 numbers, whose scales are in a tensor of their own.
    Mxfp4(Mxfp4<'t, 'm>),
    /// The numbers of a vector.
    Values(Vec<f32>),
}

impl<'m> Planned<'_, 'm> {
    /// The type in which [`Planned::row`] gives its numbers.
    pub fn dtype(&self) -> Dtype {
        match &self.from {
            _ if self.pool.heads > 1 => Dtype::F32,
            Origin::Tensor(raw) | Origin::Columns(raw) => raw.dtype,
            Origin::Separate(raws) => common(raws).unwrap_or(raws[0].dtype),
            Origin::Mxfp4(_) => Dtype::Mxfp4,
            Origin::Values(_) => Dtype::F32,
        }
    }

    /// The name of the source's type.
    pub fn type_name(&self) -> &'static str {
        match &self.from {
            _ if self.pool.heads > 1 => Dtype::F32.name(),
            Origin::Tensor(raw) => raw.type_name(),
            Origin::Separate(raws) => raws[0].type_name(),
            _ => self.dtype().name(),
        }
    }

    /// Whether codes are taken over as this type, but for scales that f16 does not hold.
    pub fn rounds_scales(&self, kind: WeightType) -> bool {
        let raws: &[&Raw<'_>] = match &self.from {
            Origin::Tensor(raw) => &[*raw],
            Origin::Separate(raws) => raws,
            _ => &[],
        };
        let takes_over = self.dtype().counterpart() == Some(kind) && self.dtype().keep().is_none();
        let rounds = |raw: &&Raw<'_>| raw.quantized.as_ref().is_some_and(|m| !m.has_half_scales());
        takes_over && raws.iter().any(rounds)
    }

    /// The bytes of row `row`, as [`Planned::dtype`] says; rows of all tensors of a stack are
    /// counted one after another.
    pub fn row(&self, row: usize) -> Cow<'m, [u8]> {
        if self.pool.heads == 1 {
            return self.source_row(row);
        }
        self.pooled(row).iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// The mean of the rows that are pooled into row `row`.
    fn pooled(&self, row: usize) -> Vec<f32> {
        let (Origin::Tensor(raw) | Origin::Columns(raw)) = &self.from else { return Vec::new() };
        let mut rows = vec![Vec::new(); self.pool.heads];
        for (floats, row) in rows.iter_mut().zip(self.pool.rows(row)) {
            floats.resize(self.cols, 0.0);
            decode(raw.dtype, &self.source_row(row), floats);
        }
        (0..self.cols).map(|col| mean(rows.iter().map(|row| row[col]))).collect()
    }

    /// The names of the tensors that it is made of.
    pub fn source_names(&self) -> Vec<String> {
        let name = &self.spec.name;
        match self.from {
            Origin::Separate(_) => {
                (0..self.experts).map(|expert| name.replace(ANY, &expert.to_string())).collect()
            }
            Origin::Mxfp4(_) => vec![name.clone(), mxfp4::scales_name(name)],
            _ => vec![name.clone()],
        }
    }

    fn source_row(&self, row: usize) -> Cow<'m, [u8]> {
        let of = |row| self.order.source(row);
        match &self.from {
            Origin::Tensor(raw) => raw.row(of(row), self.cols, raw.dtype),
            Origin::Columns(raw) => raw.column(of(row)).into(),
            Origin::Separate(raws) => {
                raws[row / self.rows].row(of(row % self.rows), self.cols, self.dtype())
            }
            Origin::Mxfp4(blocks) => blocks.row(of(row)).into(),
            Origin::Values(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    /// The numbers of row `row`; of a vector, the only one, or that of this number in a stack.
    pub fn floats(&self, row: usize) -> Vec<f32> {
        let mut floats = vec![0.0; self.cols];
        match &self.from {
            Origin::Tensor(raw) if self.spec.role.is_vector() => {
                let mut all = vec![0.0; raw.shape.iter().product()];
                decode(raw.dtype, raw.data, &mut all);
                for (i, out) in floats.iter_mut().enumerate() {
                    let pooled =
                        self.pool.rows(row * self.cols + i).map(|i| all[self.order.source(i)]);
                    *out = mean(pooled) + self.add;
                }
            }
            Origin::Values(values) => floats.copy_from_slice(values),
            _ => decode(self.dtype(), &self.row(row), &mut floats),
        }
        floats
    }
}

/// The type in which rows of all of these are given.
pub(super) fn common(raws: &[&Raw<'_>]) -> Option<Dtype> {
    let mut types = raws.iter().map(|raw| raw.dtype);
    let first = types.next()?;
    types.try_fold(first, Dtype::common)
}

/// The mean, which of one number is that number.
fn mean(numbers: impl ExactSizeIterator<Item = f32>) -> f32 {
    let n = numbers.len() as f64;
    (numbers.map(f64::from).reduce(|a, b| a + b).unwrap_or_default() / n) as f32
}
