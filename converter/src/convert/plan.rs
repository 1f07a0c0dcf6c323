//! The tensors of the file, and the tensors of the source that each is made of.

mod derived;
mod experts;
mod fused;
mod planner;
mod rows;
mod tensor;

use std::collections::BTreeSet;

use oarlock::internal::format::Role;

use super::options::Storage;
use super::write::Spec;
use crate::config::description::{Gains, ModelDescription};
use crate::error::{Error, Result};
use crate::source::tensor::Tensors;
use planner::Planner;
use tensor::Origin;
pub use tensor::Planned;

/// Plans the whole file, in the order of the format; every tensor of the source has its
/// place or is known to be harmless.
pub fn plan<'t, 'm>(
    model: &ModelDescription,
    tensors: &'t Tensors<'m>,
    storage: Storage,
) -> Result<Vec<Planned<'t, 'm>>> {
    let planner = Planner { model, tensors, storage };
    let mut planned = Vec::new();
    for &role in Role::BEFORE {
        planned.extend(tensor_if_any(&planner, role, None)?);
    }
    for layer in 0..model.config.n_layers {
        for &role in Role::LAYER {
            planned.extend(tensor_if_any(&planner, role, Some(layer))?);
        }
    }
    for &role in Role::AFTER {
        planned.extend(tensor_if_any(&planner, role, None)?);
    }
    refuse_the_rest(&planner, &planned)?;
    planned.iter_mut().for_each(|tensor| planner.fall_back(tensor));
    Ok(planned)
}

/// Plans the tensor of this role, if the model has one.
fn tensor_if_any<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    layer: Option<usize>,
) -> Result<Option<Planned<'t, 'm>>> {
    let found = || planner.has(&planner.name(role, layer));
    let wanted = !role.is_bias() || planner.model.biases.include(role, found());
    let sparse = layer.and_then(|i| planner.model.sparse.get(i)).copied().unwrap_or(false);
    if !wanted || !role.is_in(&planner.model.config, sparse) {
        return Ok(None);
    }
    if role.is_expert() {
        return experts::stack(planner, role, layer).map(Some);
    }
    match derived::tensor(planner, role, layer)? {
        Some(made) => Ok(Some(made)),
        None => single(planner, role, layer).map(Some),
    }
}

/// Plans a tensor that one of the source holds, maybe among others.
fn single<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    layer: Option<usize>,
) -> Result<Planned<'t, 'm>> {
    let (rows, cols) = role.shape(&planner.model.config);
    let name = planner.name(role, layer);
    let in_order = planner.any(&name)?.quantized.is_some();
    // Quantizers make ordinary matrices of those that are stored as columns.
    let transposed =
        planner.model.names.transposed && layer.is_some() && !role.is_vector() && !in_order;
    // The one row of a router may be written down as a vector.
    let is_row = role.is_router() && planner.any(&name)?.shape == [cols];
    let shape =
        if is_row { vec![cols] } else { fused::source_shape(planner.model, role, transposed) };
    let raw = planner.raw(&name, &shape)?;
    if transposed && raw.dtype.block() > 1 {
        let todo = "get the model in f32, f16 or bf16";
        return Err(Error::new(&name, "quantized along what are rows here", todo));
    }
    let kind = planner.kind(role, &name, raw.dtype)?;
    let spec = Spec { name, role, layer: layer.map(|i| i as u32), kind };
    let from = if transposed { Origin::Columns(raw) } else { Origin::Tensor(raw) };
    let less_one = role.is_norm() && planner.model.gains == Gains::LessOne;
    let add = if less_one { 1.0 } else { 0.0 };
    let (order, pool) = (fused::order(planner.model, role), planner.pool(role));
    Ok(Planned { spec, from, experts: 1, rows, cols, order, pool, add })
}

/// Refuses tensors of the source that no planned one is made of, and that are not harmless.
fn refuse_the_rest(planner: &Planner<'_, '_, '_>, planned: &[Planned<'_, '_>]) -> Result<()> {
    let used: BTreeSet<_> = planned.iter().flat_map(Planned::source_names).collect();
    for (name, raw) in planner.tensors {
        if used.contains(name) || planner.model.names.is_harmless(name) {
            continue;
        }
        // Some tied models carry their output matrix all the same.
        let embedding = planner.tensors.get(&planner.name(Role::Embedding, None));
        let is_output = *name == planner.name(Role::Output, None);
        if is_output && embedding.is_some_and(|e| e.is_same(raw)) {
            continue;
        }
        if is_empty_bias(planner.tensors, name) {
            continue;
        }
        let what = "an unexpected tensor: the model computes something that is not known";
        return Err(Error::new(name, what, "it cannot be left out"));
    }
    Ok(())
}

/// Whether this is a bias of nothing but zeros, which quantizers give to every matrix.
fn is_empty_bias(tensors: &Tensors<'_>, name: &str) -> bool {
    let matrix =
        name.strip_suffix(".bias").and_then(|module| tensors.get(&format!("{module}.weight")));
    matrix.is_some_and(|matrix| matrix.quantized.is_some())
        && tensors.get(name).is_some_and(|bias| bias.data.iter().all(|byte| *byte == 0))
}
