//! Small models of random weights, made through the converter's writer.

use oarlock::internal::format::layout::{
    INT4_ZERO, SIGNS, TILE_ROWS, WeightType, blocks, f32_offset, matrix_bytes, tile_bytes,
};
use oarlock::internal::format::{Config, Role, TensorType};
use oarlock_convert::write::{Metadata, RopeTable, Spec, to_bytes};

use crate::aligned::Aligned;
use crate::random::Random;

/// A model of random weights, as a file and, where they are f32, as plain numbers.
pub struct Synthetic {
    /// Its dimensions.
    pub config: Config,
    /// Turns per position of each rotary pair, in units of 2⁻⁶⁴.
    pub phases: Vec<u64>,
    /// Multiplies sine and cosine.
    pub attention_factor: f32,
    /// The `.oar` file.
    pub file: Aligned,
    tensors: Vec<(Role, Option<usize>, Vec<f32>)>,
}

impl Synthetic {
    /// A model of these dimensions whose matrices are of `kind`. Layers 0, 2, … have
    /// biases, the others none.
    pub fn new(config: Config, kind: WeightType, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (phases, attention_factor) = (phases(config.rot_dim / 2), 1.125);
        let (mut tensors, mut packed) = (Vec::new(), Vec::new());
        for (role, layer) in roles(&config) {
            let (rows, cols) = role.shape(&config);
            let experts = if role.is_expert() { config.n_experts } else { 1 };
            let values = values(role, experts * rows * cols, cols, &mut random);
            let matrix = TensorType::Matrix(if role.is_router() { WeightType::F32 } else { kind });
            let kind = if role.is_vector() { TensorType::Vector } else { matrix };
            let bytes = match kind {
                TensorType::Vector => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                TensorType::Matrix(WeightType::F32) => values
                    .chunks_exact(rows * cols)
                    .flat_map(|values| pack_f32(rows, cols, values))
                    .collect(),
                TensorType::Matrix(kind) => {
                    (0..experts).flat_map(|_| random_tiles(kind, rows, cols, &mut random)).collect()
                }
            };
            let name = format!("{} {layer:?}", role.name());
            packed.push((Spec { name, role, layer: layer.map(|l| l as u32), kind }, bytes));
            tensors.push((role, layer, values));
        }
        let metadata = Metadata {
            config,
            arch: "Synthetic".into(),
            ropes: ropes(&config, &phases, attention_factor),
            // Every other one, so that both kinds are there.
            local: (0..config.n_layers).map(|i| config.window > 0 && i % 2 == 0).collect(),
            sparse: (0..config.n_layers).map(|i| is_sparse(&config, i)).collect(),
            key_outliers: (0..config.n_layers).map(|i| has_key_outliers(&config, i)).collect(),
            ..Metadata::default()
        };
        let file = to_bytes(metadata, packed).expect("a small model fits in memory");
        Self { config, phases, attention_factor, file: Aligned::copy_of(&file), tensors }
    }

    /// The values of a tensor, `(rows, cols)`, of a model in f32; of biases and norms in any.
    pub fn tensor(&self, role: Role, layer: Option<usize>) -> Option<&[f32]> {
        let found = self.tensors.iter().find(|(r, l, _)| (*r, *l) == (role, layer));
        found.map(|(_, _, values)| values.as_slice())
    }
}

/// Says whether a layer has outliers: the second and third of four, so that some with a window of
/// their own do and some without.
pub fn has_key_outliers(config: &Config, layer: usize) -> bool {
    config.key_outliers && matches!(layer % 4, 1 | 2)
}

/// Says whether a layer has experts: the third of three has none.
fn is_sparse(config: &Config, layer: usize) -> bool {
    config.n_experts > 0 && layer % 3 != 2
}

/// Roles in the order of the file. Every second layer does without biases.
fn roles(config: &Config) -> Vec<(Role, Option<usize>)> {
    let outside = |roles: &[Role]| {
        let here = roles.iter().filter(|role| role.is_in(config, false));
        here.map(|&role| (role, None)).collect::<Vec<_>>()
    };
    let mut all = outside(Role::BEFORE);
    for layer in 0..config.n_layers {
        let here = Role::LAYER
            .iter()
            .filter(|role| role.is_in(config, is_sparse(config, layer)))
            .filter(|role| layer % 2 == 0 || !role.is_bias());
        all.extend(here.map(|&role| (role, Some(layer))));
    }
    all.extend(outside(Role::AFTER));
    all
}

/// The tables of a model: each turns half as fast as that before.
fn ropes(config: &Config, phases: &[u64], attention_factor: f32) -> Vec<RopeTable> {
    let slower = |n: usize| phases.iter().map(|phase| phase >> n).collect();
    let table = |n| RopeTable { phases: slower(n), attention_factor };
    (0..config.rope_tables()).map(table).collect()
}

/// About 10000^(−pair / pairs) radians a position, as turns in units of 2⁻⁶⁴.
fn phases(pairs: usize) -> Vec<u64> {
    let turns = |pair| (-9.2 * pair as f64 / pairs as f64).exp() / std::f64::consts::TAU;
    (0..pairs).map(|pair| (turns(pair) * 18_446_744_073_709_551_616.0) as u64).collect()
}

/// Norms near 1, biases near 0, and matrices that keep the size of what they multiply.
fn values(role: Role, n: usize, cols: usize, random: &mut Random) -> Vec<f32> {
    let (middle, deviation) = match (role.is_vector(), role.is_bias()) {
        (true, true) => (0.0, 0.3),
        // Of a few tokens' distance the exponential leaves something.
        (true, false) if role == Role::Slopes => (0.2, 0.05),
        // Below the scores in one head, above them in another.
        (true, false) if role == Role::SinkLogits => (0.0, 2.0),
        (true, false) if role == Role::Lambda => (0.5, 0.2),
        (true, false) => (1.0, 0.3),
        (false, _) => (0.0, 1.0 / (cols as f64).sqrt()),
    };
    normals(random, n, middle, deviation)
}

fn normals(random: &mut Random, n: usize, middle: f64, deviation: f64) -> Vec<f32> {
    (0..n).map(|_| (middle + deviation * random.normal()) as f32).collect()
}

fn pack_f32(rows: usize, cols: usize, values: &[f32]) -> Vec<u8> {
    let kind = WeightType::F32;
    let mut out = vec![0; matrix_bytes(kind, rows, cols).expect("small")];
    for (i, v) in values.iter().enumerate() {
        let (row, col) = (i / cols, i % cols);
        let tile = row / TILE_ROWS * tile_bytes(kind, cols).expect("small");
        let at = tile + col / 32 * kind.block_bytes() + f32_offset(row % TILE_ROWS, col % 32);
        out[at..at + 4].copy_from_slice(&v.to_le_bytes());
    }
    out
}

/// Random quants with scales that keep the products near 1; padding as the layout wants it.
fn random_tiles(kind: WeightType, rows: usize, cols: usize, random: &mut Random) -> Vec<u8> {
    let mut out = vec![0; matrix_bytes(kind, rows, cols).expect("small")];
    let per_row = blocks(cols);
    let step = match kind {
        WeightType::Int8 | WeightType::Int4n => 70.0,
        WeightType::Int5 => 9.0,
        _ => 5.0,
    };
    let (head, tiles) = out.split_at_mut(kind.head_bytes());
    head.iter_mut().zip(0..16).for_each(|(level, i)| *level = (15 * i - 112) as u8);
    for (index, block) in tiles.chunks_exact_mut(kind.block_bytes()).enumerate() {
        let (tile, column) = (index / per_row, index % per_row * 32);
        for (at, quant) in block.iter_mut().take(kind.quant_bytes()).enumerate() {
            let col = |group: usize| column + group * 4 + at % 4;
            let byte = random.bits() as u8;
            let zero = if kind == WeightType::Int4 { INT4_ZERO } else { 0 };
            let nibble = |v: u8, group| if col(group) < cols { v } else { zero };
            let group = at / 64;
            *quant = match kind {
                WeightType::Int8 if col(group) < cols => byte,
                WeightType::Int8 => 0,
                WeightType::Int5 if at >= SIGNS => byte,
                _ => nibble(byte & 15, group) | nibble(byte >> 4, group + 4) << 4,
            };
        }
        for lane in 0..TILE_ROWS {
            let inside = tile * TILE_ROWS + lane < rows;
            let scale = (0.5 + random.unit()) / step / (cols as f64).sqrt();
            let scale = if inside { scale as f32 } else { 0.0 };
            let half = |v: f32| oarlock::internal::math::f32_to_f16(v).to_le_bytes();
            let at = kind.quant_bytes() + 2 * lane;
            block[at..at + 2].copy_from_slice(&half(scale));
            if kind == WeightType::Int4a {
                let at = kind.minimum_offset() + 2 * lane;
                block[at..at + 2].copy_from_slice(&half(-7.5 * scale));
            }
        }
    }
    out
}
