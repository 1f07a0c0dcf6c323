//! Lookups that every plan of a tensor needs: its name, its shape, its type.

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Role, TensorType};

use super::rows::HeadPool;
use super::tensor::Planned;
use crate::config::description::ModelDescription;
use crate::config::names::Names;
use crate::convert::options::{Storage, Weights};
use crate::error::{Error, Result};
use crate::source::dtype::Dtype;
use crate::source::rounding::Rounding;
use crate::source::tensor::{Raw, Tensors};

/// The option that the output matrix goes by.
const OUTPUT_MATRIX: &str = "--head";

/// A model, its source's tensors and the user's choices.
pub(super) struct Planner<'p, 't, 'm> {
    pub model: &'p ModelDescription,
    pub tensors: &'t Tensors<'m>,
    pub storage: Storage,
}

impl<'t, 'm> Planner<'_, 't, 'm> {
    /// The source's name of the tensor.
    pub fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.named(role, layer).0
    }

    /// The source's name of the tensor, and the family's names that have it so.
    pub fn named(&self, role: Role, layer: Option<usize>) -> (String, &'static Names) {
        let names = self.model.names;
        let name = names.tensor(role, layer).unwrap_or_default();
        if let Some(bare) = name.strip_prefix(names.prefix).filter(|bare| self.has(bare)) {
            return (bare.into(), names);
        }
        let others = names.others.and_then(|others| Some((others.tensor(role, layer)?, others)));
        others.filter(|(other, _)| !self.has(&name) && self.has(other)).unwrap_or((name, names))
    }

    /// Whether there is such a tensor, or one of the first expert.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(&name.replace("{}", "0"))
    }

    /// The source's tensor of this name.
    pub fn any(&self, name: &str) -> Result<&'t Raw<'m>> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::new(name, "the tensor is missing", "get the whole model again"))
    }

    /// The source's tensor of this name and shape.
    pub fn shaped(&self, name: &str, wanted: &[usize]) -> Result<&'t Raw<'m>> {
        let raw = self.any(name)?;
        if raw.shape != wanted {
            let what = format!("a shape of {:?}, where the config wants {wanted:?}", raw.shape);
            return Err(Error::new(name, what, "get weights and config of the same model"));
        }
        Ok(raw)
    }

    /// The source's tensor of this name and shape, which holds numbers.
    pub fn raw(&self, name: &str, wanted: &[usize]) -> Result<&'t Raw<'m>> {
        let raw = self.shaped(name, wanted)?;
        let todo = "get the model in f32, f16 or bf16";
        match raw.dtype {
            Dtype::U8 => Err(Error::new(name, "bytes, which are no weights by themselves", todo)),
            Dtype::Other(kind, _) => {
                Err(Error::new(name, format!("weights in {kind}, which are not read"), todo))
            }
            _ => Ok(raw),
        }
    }

    /// The heads that become one in the tensor of this role.
    pub fn pool(&self, role: Role) -> HeadPool {
        match role {
            Role::K | Role::KBias | Role::V | Role::VBias => {
                HeadPool { heads: self.model.pooled_heads, head_dim: self.model.config.head_dim }
            }
            _ => HeadPool::NONE,
        }
    }

    /// The type that the tensor is stored as; `dtype` is what the source has.
    pub fn kind(&self, role: Role, name: &str, dtype: Dtype) -> Result<TensorType> {
        if role.is_vector() {
            return Ok(TensorType::Vector);
        }
        let (option, choice) = self.choice(role);
        if choice == Weights::Keep && dtype.is_quantized() && self.pool(role).heads > 1 {
            let what = format!("the mean of heads in {} is not exact in it", dtype.name());
            return Err(Error::new(name, what, format!("give {option} beside --kv-heads")));
        }
        // The mean of heads is floats, whatever they were.
        let dtype = if self.pool(role).heads > 1 { Dtype::F32 } else { dtype };
        let floats = self.floats(role, option);
        let kind = choice.kind_for(dtype, floats).ok_or_else(|| {
            let what = format!("no type here holds {} exactly", dtype.name());
            Error::new(
                name,
                what,
                format!("give {option} auto, int8, int5, int4a, int4n, int4 or f32"),
            )
        })?;
        Ok(TensorType::Matrix(kind))
    }

    /// The type of floats where [`Weights::Auto`] decides.
    fn floats(&self, role: Role, option: &str) -> WeightType {
        let config = &self.model.config;
        // A few per cent of all weights, which every query head of a group depends on: in 8 bits
        // they take a fifth of the whole error away.
        let is_shared = config.n_heads >= 4 * config.n_kv_heads;
        match role {
            Role::V if is_shared => WeightType::Int8,
            _ => self.storage.floats(option == OUTPUT_MATRIX),
        }
    }

    /// Leaves a tensor as floats where a type that was chosen by its source would lose too much.
    pub fn fall_back(&self, planned: &mut Planned<'t, 'm>) {
        let TensorType::Matrix(kind) = planned.spec.kind else { return };
        let (dtype, (_, choice)) = (planned.dtype(), self.choice(planned.spec.role));
        let rounds = dtype.counterpart() == Some(kind) && dtype.keep() != Some(kind);
        if choice != Weights::Auto || !rounds {
            return;
        }
        let mut rounding = Rounding::default();
        (0..planned.experts * planned.rows).for_each(|row| rounding.add(dtype, &planned.row(row)));
        if !rounding.is_small() {
            planned.spec.kind = TensorType::Matrix(WeightType::F32);
        }
    }

    /// The option that this matrix goes by, and the choice.
    fn choice(&self, role: Role) -> (&'static str, Weights) {
        match role {
            Role::Output | Role::Positions => (OUTPUT_MATRIX, self.storage.output_matrix),
            Role::Embedding if self.model.config.tied => {
                (OUTPUT_MATRIX, self.storage.output_matrix)
            }
            _ if role.is_router() => ("--weights", Weights::As(WeightType::F32)),
            _ => ("--weights", self.storage.weights),
        }
    }
}
