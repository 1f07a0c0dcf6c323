//! The matrices of a layer's experts, which sources keep in one tensor each or all in one.

use oarlock::internal::format::{Role, TensorType};

use super::planner::Planner;
use super::rows::{HeadPool, RowOrder, RowPlace};
use super::tensor::{ANY, Origin, Planned};
use crate::config::names::{Names, Stacks};
use crate::convert::write::Spec;
use crate::error::{Error, Result};
use crate::source::dtype::Dtype;
use crate::source::mxfp4::{self, Mxfp4};
use crate::source::tensor::Raw;

/// The tensors of this role of all experts.
pub(super) fn stack<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    layer: Option<usize>,
) -> Result<Planned<'t, 'm>> {
    let (name, names) = planner.named(role, layer);
    let from = if name.contains("{}") {
        separate(planner, role, &name)?
    } else {
        stacked(planner, role, &name, names)?
    };
    let config = &planner.model.config;
    let ((rows, cols), experts) = (role.shape(config), config.n_experts);
    let order = RowOrder { interleaved: None, place: place_among(planner, role, names) };
    let (kind, layer) = (TensorType::Vector, layer.map(|i| i as u32));
    let spec = Spec { name: name.replace("{}", ANY), role, layer, kind };
    let mut planned =
        Planned { spec, from, experts, rows, cols, order, pool: HeadPool::NONE, add: 0.0 };
    planned.spec.kind = planner.kind(role, &planned.spec.name, planned.dtype())?;
    Ok(planned)
}

/// A tensor for each expert.
fn separate<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    name: &str,
) -> Result<Origin<'t, 'm>> {
    let (rows, cols) = role.shape(&planner.model.config);
    let wanted = if role.is_vector() { vec![cols] } else { vec![rows, cols] };
    let mut raws: Vec<&'t Raw<'m>> = Vec::new();
    for expert in 0..planner.model.config.n_experts {
        let name = name.replace("{}", &expert.to_string());
        let raw = planner.raw(&name, &wanted)?;
        let fits = |first: &&Raw<'_>| match (&first.quantized, &raw.quantized) {
            (None, None) => first.dtype == raw.dtype,
            (first, raw) => first.is_some() && raw.is_some(),
        };
        if !raws.first().is_none_or(fits) {
            let what = "not of the type of the experts before it";
            return Err(Error::new(&name, what, "get the model in one type"));
        }
        raws.push(raw);
    }
    Ok(Origin::Separate(raws))
}

/// All in one tensor, the experts one after another.
fn stacked<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    name: &str,
    names: &Names,
) -> Result<Origin<'t, 'm>> {
    let (rows, cols) = role.shape(&planner.model.config);
    let (n, fused) = (planner.model.config.n_experts, if is_half(role, names) { 2 } else { 1 });
    let wanted = match (names.stacks, role.is_vector()) {
        (_, true) => vec![n, fused * cols],
        (Stacks::Mxfp4, false) => return blocks(planner, name, [n, fused * rows, cols]),
        (Stacks::Interleaved, false) => vec![n, cols, fused * rows],
        (Stacks::Separate | Stacks::Halves, false) => vec![n, fused * rows, cols],
    };
    let raw = planner.raw(name, &wanted)?;
    let columns = names.stacks == Stacks::Interleaved && !role.is_vector();
    Ok(if columns { Origin::Columns(raw) } else { Origin::Tensor(raw) })
}

/// Matrices in blocks, whose scales have a name of their own.
fn blocks<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    name: &str,
    [n, rows, cols]: [usize; 3],
) -> Result<Origin<'t, 'm>> {
    let (scales_name, groups) = (mxfp4::scales_name(name), cols.div_ceil(mxfp4::BLOCK));
    let blocks = planner.shaped(name, &[n, rows, groups, mxfp4::BLOCK / 2])?;
    let scales = planner.shaped(&scales_name, &[n, rows, groups])?;
    let is_whole = cols.is_multiple_of(mxfp4::BLOCK);
    if !is_whole || [blocks, scales].iter().any(|raw| raw.dtype != Dtype::U8) {
        let what = "no bytes, or rows that are no whole number of blocks";
        return Err(Error::new(name, what, "get the model again"));
    }
    Ok(Origin::Mxfp4(Mxfp4 { blocks, scales, groups }))
}

/// The place of the rows (of vectors the elements) among those of all experts, and of gate and up.
fn place_among(planner: &Planner<'_, '_, '_>, role: Role, names: &Names) -> RowPlace {
    let rows = planner.model.config.expert_ffn_dim;
    let is_up = matches!(role, Role::ExpertUp | Role::ExpertUpBias);
    match names.stacks {
        _ if !is_half(role, names) => RowPlace::default(),
        Stacks::Halves => {
            RowPlace::Grouped { group: 2 * rows, first: if is_up { rows } else { 0 }, rows }
        }
        _ => RowPlace::Grouped { group: 2, first: usize::from(is_up), rows: 1 },
    }
}

/// Whether gate and up are in one tensor, of which this is one.
fn is_half(role: Role, names: &Names) -> bool {
    use Role::{ExpertGate, ExpertGateBias, ExpertUp, ExpertUpBias};
    names.stacks != Stacks::Separate
        && matches!(role, ExpertGate | ExpertGateBias | ExpertUp | ExpertUpBias)
}
