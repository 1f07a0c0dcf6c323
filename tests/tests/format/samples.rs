//! Models of a few hundred bytes, made to be read back and to be spoilt.

use std::ops::Range;

use oarlock::Model;
use oarlock::Sampling;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Clamped, Config, Header, Role, Routing, TensorType, metadata_crc};
use oarlock_convert::write::{Metadata, RopeTable, Spec, to_bytes};
use oarlock_tests::Aligned;

pub const CRC: Range<usize> = 12..16;

/// A model of two layers whose second has biases, matrices of every type.
pub fn specs(config: &Config) -> Vec<Spec> {
    let mut specs = Vec::new();
    let mut add = |role: Role, layer: Option<u32>| {
        let kind = match role {
            role if role.is_vector() => TensorType::Vector,
            Role::Embedding | Role::Output => TensorType::Matrix(WeightType::Int8),
            Role::Q | Role::K => TensorType::Matrix(WeightType::Int4a),
            Role::V => TensorType::Matrix(WeightType::F32),
            role if role.is_router() => TensorType::Matrix(WeightType::F32),
            _ => TensorType::Matrix(WeightType::Int4),
        };
        let name = format!("{}.{}", role.name(), layer.map_or(-1, i64::from));
        specs.push(Spec { name, role, layer, kind });
    };
    let outside = |role: &&Role| role.is_in(config, false);
    Role::BEFORE.iter().filter(outside).for_each(|&role| add(role, None));
    for layer in 0..config.n_layers as u32 {
        let sparse = config.n_experts > 0 && layer == 1;
        for &role in Role::LAYER
            .iter()
            .filter(|role| role.is_in(config, sparse) && (layer == 1 || !role.is_bias()))
        {
            add(role, Some(layer));
        }
    }
    Role::AFTER.iter().filter(outside).for_each(|&role| add(role, None));
    specs
}

pub fn config(tied: bool) -> Config {
    Config {
        vocab_size: 20,
        dim: 24,
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 10,
        ffn_dim: 33,
        context: 128,
        rot_dim: 6,
        norm_eps: 1e-5,
        score_scale: 0.25,
        tied,
        ..Config::default()
    }
}

pub fn metadata(config: Config) -> Metadata {
    Metadata {
        config,
        arch: "TestForCausalLM".into(),
        ropes: vec![RopeTable { phases: vec![1 << 61, 12345, u64::MAX], attention_factor: 1.25 }],
        no_rope: vec![false, true],
        local: Vec::new(),
        sparse: vec![false, config.n_experts > 0],
        key_outliers: Vec::new(),
        tokenizer: (0..=255).collect(),
        chat: b"turns".into(),
        sampling: Sampling { temp: 0.5, top_k: 7, top_p: 0.9, min_p: 0.05, repeat_penalty: 1.1 },
        provenance: "converter a test\nsource äöü\n".into(),
    }
}

/// Contents without a float that is not finite: bytes below 0x78.
fn contents(config: &Config, spec: &Spec, seed: usize) -> Vec<u8> {
    let (rows, cols) = spec.role.shape(config);
    let experts = if spec.role.is_expert() { config.n_experts } else { 1 };
    let len = experts * spec.kind.bytes(rows, cols).unwrap();
    (0..len).map(|i| ((i * 31 + seed * 17 + i / 64) % 0x78) as u8).collect()
}

pub fn tensors(config: &Config) -> Vec<(Spec, Vec<u8>)> {
    let specs = specs(config).into_iter().enumerate();
    specs.map(|(i, spec)| (spec.clone(), contents(config, &spec, i))).collect()
}

pub fn file(tied: bool) -> Aligned {
    let config = config(tied);
    Aligned::copy_of(&to_bytes(metadata(config), tensors(&config)).unwrap())
}

/// A model whose second layer has experts, a shared one among them, with biases.
pub fn sparse_config() -> Config {
    Config {
        n_experts: 5,
        n_experts_used: 2,
        expert_ffn_dim: 18,
        shared_ffn_dim: 7,
        routing: Routing::Chosen,
        clamped: Some(Clamped { slope: 1.702, limit: 7.0 }),
        ..config(true)
    }
}

pub fn sparse_file() -> Aligned {
    let config = sparse_config();
    Aligned::copy_of(&to_bytes(metadata(config), tensors(&config)).unwrap())
}

pub fn header(file: &[u8]) -> Header {
    Header::read(file).unwrap()
}

/// Makes the metadata's checksum right again.
pub fn repair(file: &mut [u8], metadata_len: usize) {
    let crc = metadata_crc(&file[..metadata_len]);
    file[CRC].copy_from_slice(&crc.to_le_bytes());
}

pub fn verifies(model: &Model<'_>) -> bool {
    (0..model.n_tensors()).all(|i| model.verify_tensor(i).is_ok())
}
