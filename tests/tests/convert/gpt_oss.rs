//! Files as llama.cpp's converter makes them of gpt-oss: gates and ups apart, and all matrices as rows.

use crate::gguf::{Builder, F32, MXFP4};
use crate::published::{Tensors, floats};

/// Keys beside those of the tiny model's sizes.
pub const KEYS: &[(&str, &str)] = &[
    ("expert_count", "num_local_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "intermediate_size"),
    ("attention.sliding_window", "sliding_window"),
];

/// Names that mean something else than in Llama.
pub const NAMES: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("self_attn.sinks", "attn_sinks.weight"),
    ("mlp.router", "ffn_gate_inp"),
];

/// Writes the experts; gives the other tensors back.
pub fn experts(b: &mut Builder, tensors: Tensors) -> Tensors {
    let find = |name: &str| tensors.iter().find(|(other, _)| other == name);
    for (name, (dtype, shape, bytes)) in &tensors {
        let Some((before, kind)) = name.split_once(".mlp.experts.") else { continue };
        let layer = before.rsplit('.').next().unwrap();
        let (kind, part) = kind.split_at(kind.find("proj").unwrap() + "proj".len());
        let parts: &[(&str, usize, usize)] = match kind {
            "gate_up_proj" => &[("gate", 0, 2), ("up", 1, 2)],
            _ => &[("down", 0, 1)],
        };
        for &(what, first, step) in parts {
            let name = |end: &str| format!("blk.{layer}.ffn_{what}_exps.{end}");
            let (n, rows) = (shape[0], shape[1..].last().unwrap() / step);
            match part {
                "_bias" => {
                    let picked = floats(dtype, bytes).into_iter().skip(first).step_by(step);
                    b.tensors.push((name("bias"), F32, vec![n, rows], le(picked)));
                }
                "" => {
                    let (values, cols) = (floats(dtype, bytes), shape[1]);
                    let at = |i: usize| {
                        let (e, row, col) = (i / (rows * cols), i / cols % rows, i % cols);
                        values[(e * cols + col) * rows * step + row * step + first]
                    };
                    let shape = vec![n, rows, cols];
                    b.tensors.push((name("weight"), F32, shape, le((0..n * rows * cols).map(at))));
                }
                "_blocks" => {
                    let (_, (.., scales)) =
                        find(&format!("{before}.mlp.experts.{kind}_scales")).unwrap();
                    let (rows, groups) = (shape[1] / step, shape[2]);
                    let row = |i: usize| {
                        let row = i / rows * rows * step + i % rows * step + first;
                        let group = move |g| row * groups + g;
                        (0..groups).map(group)
                    };
                    let block = |g: usize| block(scales[g], &bytes[16 * g..][..16]);
                    let data = (0..n * rows).flat_map(row).flat_map(block).collect();
                    b.tensors.push((name("weight"), MXFP4, vec![n, rows, 32 * groups], data));
                }
                _ => {} // Scales.
            }
        }
    }
    tensors.into_iter().filter(|(name, _)| !name.contains(".experts.")).collect()
}

fn le(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

/// Numbers side by side, of which there every byte has one of the first half and one of the second.
fn block(scale: u8, bytes: &[u8]) -> Vec<u8> {
    let numbers: Vec<u8> = bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]).collect();
    let (low, high) = numbers.split_at(16);
    [scale].into_iter().chain(low.iter().zip(high).map(|(low, high)| low | high << 4)).collect()
}
