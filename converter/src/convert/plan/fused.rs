//! Tensors that a source keeps fused: queries, keys and values in one, gate and up in one.

use oarlock::internal::format::{Config, Role};

use super::rows::{RowOrder, RowPlace};
use crate::config::description::ModelDescription;
use crate::config::names::Qkv;

/// The model's dimensions as its source has them, before heads are pooled.
fn source_config(model: &ModelDescription) -> Config {
    let config = model.config;
    Config { n_kv_heads: config.n_kv_heads * model.pooled_heads, ..config }
}

/// The shape of the source's tensor that holds this one, maybe among others.
pub(super) fn source_shape(model: &ModelDescription, role: Role, transposed: bool) -> Vec<usize> {
    use Role::{Gate, GateBias, K, KBias, Q, QBias, Up, UpBias, V, VBias};
    let (config, names) = (&source_config(model), model.names);
    let (rows, cols) = role.shape(config);
    let outputs = if role.is_vector() { cols } else { rows };
    let outputs = match role {
        Q | K | V | QBias | KBias | VBias if names.qkv != Qkv::Separate => {
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

/// The source rows of the tensor of this role, in the order of the file's.
pub(super) fn order(model: &ModelDescription, role: Role) -> RowOrder {
    use Role::{K, KBias, KNorm, Q, QBias, QNorm};
    let config = &model.config;
    let rotated = matches!(role, Q | QBias | QNorm | K | KBias | KNorm);
    let interleaved = rotated && model.interleaved;
    RowOrder {
        interleaved: interleaved.then_some([config.head_dim, config.rot_dim]),
        place: place(model, role),
    }
}

fn place(model: &ModelDescription, role: Role) -> RowPlace {
    use Role::{K, KBias, Q, QBias, Up, UpBias, V, VBias};
    let (config, names) = (&source_config(model), model.names);
    let Config { head_dim, n_heads, n_kv_heads, .. } = *config;
    // 0, 1 and 2 for q, k and v.
    let part = match role {
        Q | QBias => 0,
        K | KBias => 1,
        V | VBias => 2,
        Up | UpBias if names.gate_up => return RowPlace::From(config.ffn_dim),
        Role::Positions => return RowPlace::From(names.position_offset),
        _ => return RowPlace::From(0),
    };
    let queries = config.group() * head_dim;
    let first = [0, queries, queries + head_dim][part];
    match names.qkv {
        Qkv::Separate => RowPlace::From(0),
        Qkv::Stacked => RowPlace::From([0, n_heads, n_heads + n_kv_heads][part] * head_dim),
        Qkv::Grouped => RowPlace::Grouped {
            group: queries + 2 * head_dim,
            first,
            rows: if part == 0 { queries } else { head_dim },
        },
    }
}
