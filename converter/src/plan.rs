//! Which source tensor becomes which tensor of the file, and how.

use std::collections::BTreeSet;

use oarlock::format::{Role, TensorType};
use oarlock::layout::WeightType;

use crate::config::Description;
use crate::error::{Error, Result};
use crate::source::{Raw, Tensors};
use crate::write::Spec;

/// How a matrix is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// As this type.
    As(WeightType),
    /// As the type that holds exactly what the source has.
    Keep,
}

impl Weights {
    fn of(self, raw: &Raw<'_>) -> WeightType {
        match self {
            Self::As(kind) => kind,
            Self::Keep => raw.dtype.keep(),
        }
    }
}

/// A tensor of the file and where it comes from.
#[derive(Debug)]
pub struct Planned<'t, 'm> {
    /// What will be written.
    pub spec: Spec,
    /// What it is made of.
    pub raw: &'t Raw<'m>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Which source row each row is.
    pub order: RowOrder,
}

/// Which source row a row of the file is; elements, for a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The same.
    Same,
    /// The source pairs rows (2i, 2i + 1) of a head for rotation, the file (i, i + half).
    Interleaved {
        /// Rows of a head.
        head_dim: usize,
        /// How many of them are rotated, its first.
        rot_dim: usize,
    },
}

impl RowOrder {
    /// The source row of `row`.
    pub const fn source(self, row: usize) -> usize {
        let Self::Interleaved { head_dim, rot_dim } = self else { return row };
        let (head, i, half) = (row / head_dim, row % head_dim, rot_dim / 2);
        let i = match i {
            i if i < half => 2 * i,
            i if i < rot_dim => 2 * (i - half) + 1,
            i => i,
        };
        head * head_dim + i
    }
}

/// Plans the whole file, in the order of the format; every tensor of the source has its
/// place or is known to be harmless.
pub fn plan<'t, 'm>(
    model: &Description,
    tensors: &'t Tensors<'m>,
    weights: Weights,
    head: Weights,
) -> Result<Vec<Planned<'t, 'm>>> {
    let planner = Planner { model, tensors, weights, head };
    let mut planned = vec![planner.need(Role::Embedding, None)?];
    for layer in 0..model.config.n_layers {
        for &role in Role::LAYER {
            planned.extend(planner.take(role, Some(layer))?);
        }
    }
    planned.push(planner.need(Role::OutputNorm, None)?);
    planned.extend(planner.take(Role::OutputNormBias, None)?);
    if !model.config.tied {
        planned.push(planner.need(Role::Output, None)?);
    }
    planner.refuse_the_rest(&planned)?;
    Ok(planned)
}

struct Planner<'p, 't, 'm> {
    model: &'p Description,
    tensors: &'t Tensors<'m>,
    weights: Weights,
    head: Weights,
}

impl<'t, 'm> Planner<'_, 't, 'm> {
    fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.model.names.of(role, layer).unwrap_or_default()
    }

    fn take(&self, role: Role, layer: Option<usize>) -> Result<Option<Planned<'t, 'm>>> {
        let found = || self.tensors.contains_key(&self.name(role, layer));
        let wanted = !role.is_bias() || self.model.biases.include(role, found());
        if wanted && role.is_in(&self.model.config) {
            self.need(role, layer).map(Some)
        } else {
            Ok(None)
        }
    }

    fn need(&self, role: Role, layer: Option<usize>) -> Result<Planned<'t, 'm>> {
        let name = self.name(role, layer);
        let raw = self.tensors.get(&name);
        let raw = raw.ok_or_else(|| {
            Error::new(&name, "the tensor is missing", "get the whole model again")
        })?;
        let (rows, cols) = role.shape(&self.model.config);
        let dims = if role.is_vector() { 1 } else { 2 };
        if raw.shape.len() != dims || raw.matrix_shape() != Some((rows, cols)) {
            let wanted = if role.is_vector() { vec![cols] } else { vec![rows, cols] };
            let what = format!("a shape of {:?}, where the config wants {wanted:?}", raw.shape);
            return Err(Error::new(&name, what, "get weights and config of the same model"));
        }
        let kind = if role.is_vector() {
            TensorType::Vector
        } else {
            TensorType::Matrix(self.choice(role).of(raw))
        };
        let layer = layer.map(|i| i as u32);
        let spec = Spec { name, role, layer, kind };
        Ok(Planned { spec, raw, rows, cols, order: self.order(role) })
    }

    /// The option that this matrix goes by.
    fn choice(&self, role: Role) -> Weights {
        match role {
            Role::Output => self.head,
            Role::Embedding if self.model.config.tied => self.head,
            _ => self.weights,
        }
    }

    fn order(&self, role: Role) -> RowOrder {
        use Role::{K, KBias, KNorm, Q, QBias, QNorm};
        let rotated = matches!(role, Q | QBias | QNorm | K | KBias | KNorm);
        if !(rotated && self.model.interleaved) {
            return RowOrder::Same;
        }
        let config = &self.model.config;
        RowOrder::Interleaved { head_dim: config.head_dim, rot_dim: config.rot_dim }
    }

    fn refuse_the_rest(&self, planned: &[Planned<'_, '_>]) -> Result<()> {
        let used: BTreeSet<&str> = planned.iter().map(|p| p.spec.name.as_str()).collect();
        for (name, raw) in self.tensors {
            if used.contains(name.as_str()) || self.model.names.is_harmless(name) {
                continue;
            }
            // Some tied models carry their output matrix all the same.
            let embedding = self.tensors.get(&self.name(Role::Embedding, None));
            let is_output = *name == self.name(Role::Output, None);
            if is_output && embedding.is_some_and(|e| e.data == raw.data) {
                continue;
            }
            let what = "an unexpected tensor: the model computes something that is not known";
            return Err(Error::new(name, what, "it cannot be left out"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the published GGUF converter does to q and k: reshape to (2, half), swap.
    #[test]
    fn rows_of_gguf_come_back_in_order() {
        let (heads, head_dim) = (3, 8);
        let half = head_dim / 2;
        let mut permuted = vec![0; heads * head_dim];
        for row in 0..heads * head_dim {
            let (head, i) = (row / head_dim, row % head_dim);
            permuted[head * head_dim + i % half * 2 + i / half] = row;
        }
        let order = RowOrder::Interleaved { head_dim, rot_dim: head_dim };
        let back: Vec<_> = (0..heads * head_dim).map(|row| permuted[order.source(row)]).collect();
        assert!(back.iter().enumerate().all(|(row, &source)| row == source));
        let order = RowOrder::Interleaved { head_dim: 8, rot_dim: 4 };
        let rows: Vec<_> = (8..16).map(|row| order.source(row)).collect();
        assert_eq!(rows, [8, 10, 9, 11, 12, 13, 14, 15]);
    }
}
