//! Which source tensor becomes which tensor of the file, and how.

mod experts;

use std::borrow::Cow;
use std::collections::BTreeSet;

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, Role, TensorType};

use crate::config::{Description, Gains};
use crate::error::{Error, Result};
use crate::lambda;
use crate::mxfp4::Mxfp4;
use crate::names::{LAMBDA_HF, Names, Qkv};
use crate::source::{Dtype, Raw, Tensors, decode};
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
    fn of(self, dtype: Dtype) -> Option<WeightType> {
        match self {
            Self::As(kind) => Some(kind),
            Self::Keep => dtype.keep(),
        }
    }
}

/// A tensor of the file, or a stack of them, and where it comes from.
#[derive(Debug)]
pub struct Planned<'t, 'm> {
    /// What will be written.
    pub spec: Spec,
    /// What it is made of.
    pub from: Origin<'t, 'm>,
    /// Tensors in the stack; 1 for what is none.
    pub experts: usize,
    /// Rows, of each.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Which source row each row is, of all tensors of a stack; elements, for vectors.
    pub order: RowOrder,
    /// Which of those are pooled.
    pub pool: Pool,
    /// What is added to each element.
    pub add: f32,
}

/// What a tensor is made of.
#[derive(Debug)]
pub enum Origin<'t, 'm> {
    /// A tensor of the source.
    Tensor(&'t Raw<'m>),
    /// A matrix of the source whose columns are rows here.
    Columns(&'t Raw<'m>),
    /// A tensor of the source for each expert.
    Apart(Vec<&'t Raw<'m>>),
    /// A matrix in blocks of 32 numbers, whose scales are in a tensor of their own.
    Mxfp4(Mxfp4<'t, 'm>),
    /// The numbers of a vector.
    Values(Vec<f32>),
}

impl<'m> Planned<'_, 'm> {
    /// How the source stores its numbers.
    pub fn dtype(&self) -> Dtype {
        match &self.from {
            _ if self.pool.heads > 1 => Dtype::F32,
            Origin::Tensor(raw) | Origin::Columns(raw) => raw.dtype,
            Origin::Apart(raws) => raws[0].dtype,
            Origin::Mxfp4(_) => Dtype::Mxfp4,
            Origin::Values(_) => Dtype::F32,
        }
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

    fn source_row(&self, row: usize) -> Cow<'m, [u8]> {
        let of = |row| self.order.source(row);
        match &self.from {
            Origin::Tensor(raw) => raw.row(of(row), self.cols).into(),
            Origin::Columns(raw) => raw.column(of(row)).into(),
            Origin::Apart(raws) => raws[row / self.rows].row(of(row % self.rows), self.cols).into(),
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

/// The mean, which of one number is that number.
fn mean(numbers: impl ExactSizeIterator<Item = f32>) -> f32 {
    let n = numbers.len() as f64;
    (numbers.map(f64::from).reduce(|a, b| a + b).unwrap_or_default() / n) as f32
}

/// Heads that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many.
    pub heads: usize,
    /// Rows of a head.
    pub head_dim: usize,
}

impl Pool {
    const NONE: Self = Self { heads: 1, head_dim: 1 };

    /// The rows of the unpooled tensor that become row `row`.
    fn rows(self, row: usize) -> impl ExactSizeIterator<Item = usize> {
        let first = row / self.head_dim * self.heads * self.head_dim + row % self.head_dim;
        (0..self.heads).map(move |i| first + i * self.head_dim)
    }
}

/// Which source row a row of the file is; elements, for a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowOrder {
    /// Rows of a head, and how many of them are rotated, its first, where the source pairs rows
    /// (2i, 2i + 1) of a head for rotation, the file (i, i + half).
    pub interleaved: Option<[usize; 2]>,
    /// Where the rows are among others.
    pub place: Place,
}

/// Where rows are among the others of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Next to one another, from this one on.
    From(usize),
    /// In groups, of each of which these are some.
    Grouped {
        /// Rows of a group.
        group: usize,
        /// The first of them that is meant.
        first: usize,
        /// How many are.
        rows: usize,
    },
}

impl Default for Place {
    fn default() -> Self {
        Self::From(0)
    }
}

impl RowOrder {
    /// The source row of `row`.
    pub const fn source(self, row: usize) -> usize {
        let row = match self.interleaved {
            Some([head_dim, rot_dim]) => paired(row, head_dim, rot_dim),
            None => row,
        };
        match self.place {
            Place::From(first) => first + row,
            Place::Grouped { group, first, rows } => row / rows * group + first + row % rows,
        }
    }
}

const fn paired(row: usize, head_dim: usize, rot_dim: usize) -> usize {
    let (head, i, half) = (row / head_dim, row % head_dim, rot_dim / 2);
    let i = match i {
        i if i < half => 2 * i,
        i if i < rot_dim => 2 * (i - half) + 1,
        i => i,
    };
    head * head_dim + i
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
    let mut planned = Vec::new();
    for &role in Role::BEFORE {
        planned.extend(planner.take(role, None)?);
    }
    for layer in 0..model.config.n_layers {
        for &role in Role::LAYER {
            planned.extend(planner.take(role, Some(layer))?);
        }
    }
    for &role in Role::AFTER {
        planned.extend(planner.take(role, None)?);
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
        self.named(role, layer).0
    }

    /// What the source calls the tensor, and the family's names that have it so.
    fn named(&self, role: Role, layer: Option<usize>) -> (String, &'static Names) {
        let names = self.model.names;
        let name = names.of(role, layer).unwrap_or_default();
        if let Some(bare) = name.strip_prefix(names.prefix).filter(|bare| self.has(bare)) {
            return (bare.into(), names);
        }
        let others = names.others.and_then(|others| Some((others.of(role, layer)?, others)));
        others.filter(|(other, _)| !self.has(&name) && self.has(other)).unwrap_or((name, names))
    }

    /// Whether there is such a tensor, or one of the first expert.
    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(&name.replace("{}", "0"))
    }

    fn take(&self, role: Role, layer: Option<usize>) -> Result<Option<Planned<'t, 'm>>> {
        let found = || self.has(&self.name(role, layer));
        let wanted = !role.is_bias() || self.model.biases.include(role, found());
        let sparse = layer.and_then(|i| self.model.sparse.get(i)).copied().unwrap_or(false);
        if wanted && role.is_in(&self.model.config, sparse) {
            self.need(role, layer).map(Some)
        } else {
            Ok(None)
        }
    }

    fn need(&self, role: Role, layer: Option<usize>) -> Result<Planned<'t, 'm>> {
        let (rows, cols) = role.shape(&self.model.config);
        let made = |name: &str, values| {
            let kind = TensorType::Vector;
            let spec = Spec { name: name.into(), role, layer: layer.map(|i| i as u32), kind };
            let (from, order) = (Origin::Values(values), RowOrder::default());
            Planned { spec, from, experts: 1, rows, cols, order, pool: Pool::NONE, add: 0.0 }
        };
        if role.is_expert() {
            return self.stack(role, layer);
        }
        if role == Role::Slopes {
            return Ok(made("slopes", self.model.slopes.clone()));
        }
        if role == Role::Lambda {
            let layer = layer.unwrap_or(0);
            return Ok(made(&format!("lambda of layer {layer}"), vec![self.lambda(layer)?]));
        }
        if role == Role::DifferenceNorm {
            let factor = 1.0 - lambda::initial(layer.unwrap_or(0));
            return Ok(made("1 - initial lambda", vec![factor; cols]));
        }
        if role.is_norm() && self.model.gains == Gains::Ones {
            return Ok(made("ones", vec![1.0; cols]));
        }
        let name = self.name(role, layer);
        let transposed = self.model.names.transposed && layer.is_some() && !role.is_vector();
        // The one row of a router may be written down as a vector.
        let is_row = role.is_router() && self.any(&name)?.shape == [cols];
        let shape = if is_row { vec![cols] } else { self.source_shape(role, transposed) };
        let raw = self.raw(&name, &shape)?;
        if transposed && raw.dtype.block() > 1 {
            let todo = "get the model in f32, f16 or bf16";
            return Err(Error::new(&name, "quantized along what are rows here", todo));
        }
        let kind = self.kind(role, &name, raw.dtype)?;
        let spec = Spec { name, role, layer: layer.map(|i| i as u32), kind };
        let from = if transposed { Origin::Columns(raw) } else { Origin::Tensor(raw) };
        let less_one = role.is_norm() && self.model.gains == Gains::LessOne;
        let add = if less_one { 1.0 } else { 0.0 };
        let (order, pool) = (self.order(role), self.pool(role));
        Ok(Planned { spec, from, experts: 1, rows, cols, order, pool, add })
    }

    /// The source's tensor of this name and shape, which holds numbers.
    fn raw(&self, name: &str, wanted: &[usize]) -> Result<&'t Raw<'m>> {
        let raw = self.shaped(name, wanted)?;
        if raw.dtype == Dtype::U8 {
            let todo = "get the model in f32, f16 or bf16";
            return Err(Error::new(name, "bytes, which are no weights by themselves", todo));
        }
        Ok(raw)
    }

    fn shaped(&self, name: &str, wanted: &[usize]) -> Result<&'t Raw<'m>> {
        let raw = self.any(name)?;
        if raw.shape != wanted {
            let what = format!("a shape of {:?}, where the config wants {wanted:?}", raw.shape);
            return Err(Error::new(name, what, "get weights and config of the same model"));
        }
        Ok(raw)
    }

    /// λ of a layer, of the vectors that its source has instead.
    fn lambda(&self, layer: usize) -> Result<f32> {
        let head_dim = self.model.config.head_dim;
        let vector = |name: &str| {
            let raw = self.raw(&name.replace("{}", &layer.to_string()), &[head_dim])?;
            let mut floats = vec![0.0; head_dim];
            decode(raw.dtype, raw.data, &mut floats);
            Ok(floats)
        };
        let [q1, k1, q2, k2] = LAMBDA_HF.map(vector);
        Ok(lambda::lambda([&q1?, &k1?, &q2?, &k2?], layer))
    }

    /// The model as its source has it, before heads are pooled.
    fn source_config(&self) -> Config {
        let config = self.model.config;
        Config { n_kv_heads: config.n_kv_heads * self.model.pooled_heads, ..config }
    }

    fn pool(&self, role: Role) -> Pool {
        match role {
            Role::K | Role::KBias | Role::V | Role::VBias => {
                Pool { heads: self.model.pooled_heads, head_dim: self.model.config.head_dim }
            }
            _ => Pool::NONE,
        }
    }

    fn any(&self, name: &str) -> Result<&'t Raw<'m>> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::new(name, "the tensor is missing", "get the whole model again"))
    }

    /// The shape of the tensor that holds this one, maybe among others.
    fn source_shape(&self, role: Role, transposed: bool) -> Vec<usize> {
        use Role::{Gate, GateBias, K, KBias, Q, QBias, Up, UpBias, V, VBias};
        let (config, names) = (&self.source_config(), self.model.names);
        let (rows, cols) = role.shape(config);
        let outputs = if role.is_vector() { cols } else { rows };
        let outputs = match role {
            Q | K | V | QBias | KBias | VBias if names.qkv != Qkv::Apart => {
                (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
            }
            Gate | Up | GateBias | UpBias if names.gate_up => 2 * config.ffn_dim,
            Role::Positions => rows + names.position_offset,
            _ => outputs,
        };
        match (role.is_vector(), transposed) {
            (true, _) => vec![outputs],
            (false, false) => vec![outputs, cols],
            (false, true) => vec![cols, outputs],
        }
    }

    /// How the tensor is stored.
    fn kind(&self, role: Role, name: &str, dtype: Dtype) -> Result<TensorType> {
        if role.is_vector() {
            return Ok(TensorType::Vector);
        }
        let (option, choice) = self.choice(role);
        if choice == Weights::Keep && dtype.block() > 1 && self.pool(role).heads > 1 {
            let what = format!("the mean of heads in {} is not exact in it", dtype.name());
            return Err(Error::new(name, what, format!("give {option} beside --kv-heads")));
        }
        let kind = choice.of(dtype).ok_or_else(|| {
            let what = format!("no type here holds {} exactly", dtype.name());
            Error::new(name, what, format!("give {option} int8, int4a, int4 or f32"))
        })?;
        Ok(TensorType::Matrix(kind))
    }

    /// The option that this matrix goes by.
    fn choice(&self, role: Role) -> (&'static str, Weights) {
        match role {
            Role::Output | Role::Positions => ("--head", self.head),
            Role::Embedding if self.model.config.tied => ("--head", self.head),
            _ if role.is_router() => ("--weights", Weights::As(WeightType::F32)),
            _ => ("--weights", self.weights),
        }
    }

    fn order(&self, role: Role) -> RowOrder {
        use Role::{K, KBias, KNorm, Q, QBias, QNorm};
        let config = &self.model.config;
        let rotated = matches!(role, Q | QBias | QNorm | K | KBias | KNorm);
        let interleaved = rotated && self.model.interleaved;
        RowOrder {
            interleaved: interleaved.then_some([config.head_dim, config.rot_dim]),
            place: self.place(role),
        }
    }

    fn place(&self, role: Role) -> Place {
        use Role::{K, KBias, Q, QBias, Up, UpBias, V, VBias};
        let (config, names) = (&self.source_config(), self.model.names);
        let Config { head_dim, n_heads, n_kv_heads, .. } = *config;
        // Which of q, k and v it is.
        let part = match role {
            Q | QBias => 0,
            K | KBias => 1,
            V | VBias => 2,
            Up | UpBias if names.gate_up => return Place::From(config.ffn_dim),
            Role::Positions => return Place::From(names.position_offset),
            _ => return Place::From(0),
        };
        let queries = config.group() * head_dim;
        let first = [0, queries, queries + head_dim][part];
        match names.qkv {
            Qkv::Apart => Place::From(0),
            Qkv::Stacked => Place::From([0, n_heads, n_heads + n_kv_heads][part] * head_dim),
            Qkv::Grouped => Place::Grouped {
                group: queries + 2 * head_dim,
                first,
                rows: if part == 0 { queries } else { head_dim },
            },
        }
    }

    fn refuse_the_rest(&self, planned: &[Planned<'_, '_>]) -> Result<()> {
        let used: BTreeSet<_> = planned.iter().flat_map(Planned::sources).collect();
        for (name, raw) in self.tensors {
            if used.contains(name) || self.model.names.is_harmless(name) {
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
        let paired = |head_dim, rot_dim| RowOrder {
            interleaved: Some([head_dim, rot_dim]),
            ..RowOrder::default()
        };
        let order = paired(head_dim, head_dim);
        let back: Vec<_> = (0..heads * head_dim).map(|row| permuted[order.source(row)]).collect();
        assert!(back.iter().enumerate().all(|(row, &source)| row == source));
        let order = paired(8, 4);
        let rows: Vec<_> = (8..16).map(|row| order.source(row)).collect();
        assert_eq!(rows, [8, 10, 9, 11, 12, 13, 14, 15]);
    }
}
