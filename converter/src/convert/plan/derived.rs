//! Tensors that the source does not have: their numbers follow from the description.

use oarlock::internal::format::{Role, TensorType};

use super::planner::Planner;
use super::rows::{HeadPool, RowOrder};
use super::tensor::{Origin, Planned};
use crate::config::description::Gains;
use crate::config::hf::names::LAMBDA_HF;
use crate::convert::write::Spec;
use crate::error::Result;
use crate::math::lambda;
use crate::source::decode::decode;

/// Plans the tensor of this role, if it is one that the source does not have.
pub(super) fn tensor<'t, 'm>(
    planner: &Planner<'_, 't, 'm>,
    role: Role,
    layer: Option<usize>,
) -> Result<Option<Planned<'t, 'm>>> {
    let (rows, cols) = role.shape(&planner.model.config);
    let index = layer.unwrap_or(0);
    let (name, values) = match role {
        Role::Slopes => ("slopes".into(), planner.model.slopes.clone()),
        Role::Lambda => (format!("lambda of layer {index}"), vec![layer_lambda(planner, index)?]),
        Role::DiffNorm => ("1 - initial lambda".into(), vec![1.0 - lambda::initial(index); cols]),
        _ if role.is_norm() && planner.model.gains == Gains::Ones => {
            ("ones".into(), vec![1.0; cols])
        }
        _ => return Ok(None),
    };
    let spec = Spec { name, role, layer: layer.map(|i| i as u32), kind: TensorType::Vector };
    let (from, order) = (Origin::Values(values), RowOrder::default());
    let pool = HeadPool::NONE;
    Ok(Some(Planned { spec, from, experts: 1, rows, cols, order, pool, add: 0.0 }))
}

/// λ of a layer, from the four vectors `(head_dim)` that its source has instead.
fn layer_lambda(planner: &Planner<'_, '_, '_>, layer: usize) -> Result<f32> {
    let head_dim = planner.model.config.head_dim;
    let vector = |name: &str| {
        let raw = planner.raw(&name.replace("{}", &layer.to_string()), &[head_dim])?;
        let mut floats = vec![0.0; head_dim];
        decode(raw.dtype, raw.data, &mut floats);
        Ok(floats)
    };
    let [q1, k1, q2, k2] = LAMBDA_HF.map(vector);
    Ok(lambda::lambda([&q1?, &k1?, &q2?, &k2?], layer))
}
