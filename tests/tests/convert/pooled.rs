//! `--kv-heads`: key and value heads that are means of several.

use oarlock::Model;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Role, TensorType};
use oarlock::internal::model::Tensor;
use oarlock_convert::{ConvertOptions, Progress, Weights, convert};
use oarlock_tests::TempDir;
use serde_json::json;

use crate::gguf::Q8_0;
use crate::kept::widened;
use crate::source::{Source, refusal};
use crate::values::{options, values, verify};

fn pooled(heads: usize) -> ConvertOptions {
    ConvertOptions { kv_heads: Some(heads), ..options(WeightType::F32) }
}

/// `n` consecutive heads of `head_dim` rows of `cols` each, to their means.
fn means(all: &[f32], n: usize, head_dim: usize, cols: usize) -> Vec<f32> {
    let head = head_dim * cols;
    let mean = |group: &[f32], i: usize| {
        let sum: f64 = (0..n).map(|h| f64::from(group[h * head + i])).sum();
        (sum / n as f64) as f32
    };
    all.chunks_exact(n * head).flat_map(|group| (0..head).map(move |i| mean(group, i))).collect()
}

fn floats(t: &Tensor<'_>) -> Vec<f32> {
    match t.kind {
        TensorType::Matrix(_) => values(t),
        TensorType::Vector => {
            t.bytes().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        }
    }
}

/// The same file as of a checkpoint whose heads were pooled before.
#[test]
fn pooling_is_the_mean_of_heads_in_the_checkpoint() {
    let source = Source::of("mha-dim20");
    let by_us = source.convert(&pooled(1)).unwrap();
    let config = std::fs::read(source.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let heads = config["num_attention_heads"].as_u64().unwrap() as usize;
    source.set("num_key_value_heads", json!(1));
    source.edit_tensors(|tensors| {
        for (name, (dtype, shape, bytes)) in tensors {
            if name.contains("k_proj") || name.contains("v_proj") {
                assert_eq!(dtype, "F32");
                let all: Vec<f32> =
                    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                shape[0] /= heads;
                let cols = shape.get(1).copied().unwrap_or(1);
                *bytes = means(&all, heads, shape[0], cols)
                    .into_iter()
                    .flat_map(f32::to_le_bytes)
                    .collect();
            }
        }
    });
    let by_hand = source.convert(&options(WeightType::F32)).unwrap();
    let (a, b) = (Model::open(&by_us).unwrap(), Model::open(&by_hand).unwrap());
    assert_eq!(a.config(), b.config());
    for (a, b) in a.tensors().zip(b.tensors()) {
        assert_eq!((a.role, a.layer, a.rows), (b.role, b.layer, b.rows));
        assert!(a.bytes() == b.bytes(), "{} differs", a.name);
    }
}

/// Fused by head, stacked, stored as columns, with biases and without: whatever the layout,
/// means of what the file would have had, and no other tensor changed.
#[test]
fn every_layout_pools() {
    for (name, heads) in
        [("gpt2", 2), ("gpt-neox", 1), ("phi2", 2), ("phi3-long", 2), ("falcon-40b", 1), ("gqa", 1)]
    {
        let source = Source::of(name);
        let whole = source.convert(&options(WeightType::F32)).unwrap();
        let fewer = source.convert(&pooled(heads)).unwrap();
        let (whole, fewer) = (Model::open(&whole).unwrap(), Model::open(&fewer).unwrap());
        verify(&fewer);
        let (before, after) = (whole.config(), fewer.config());
        assert_eq!(after.n_kv_heads, heads, "{name}");
        let n = before.n_kv_heads / heads;
        for (a, b) in whole.tensors().zip(fewer.tensors()) {
            let wanted = match a.role {
                Role::K | Role::V => means(&floats(&a), n, before.head_dim, a.cols),
                Role::KBias | Role::VBias => means(&floats(&a), n, before.head_dim, 1),
                _ => floats(&a),
            };
            assert!(floats(&b) == wanted, "{name}: {} differs", a.name);
        }
    }
}

#[test]
fn heads_that_do_not_pool_are_refused() {
    let cases = [
        ("mha-dim20", 0, "--kv-heads 0: the model's"),
        ("gqa", 3, "2 key and value heads do not pool into 3"),
        ("diffllama", 1, "DiffLlamaForCausalLM takes one half of its heads off the other"),
        ("olmo2", 1, "Olmo2ForCausalLM normalises the keys of all heads as one vector"),
        ("olmoe", 1, "OlmoeForCausalLM normalises the keys of all heads as one vector"),
    ];
    for (name, heads, part) in cases {
        let line = refusal(Source::of(name).path(), &pooled(heads));
        assert!(line.contains(part), "{name}: {line}");
    }
    let mut builder = widened(64, 96);
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    for (name, kind, shape, bytes) in &mut builder.tensors {
        if name.contains("attn_k") {
            (*kind, *bytes) = (Q8_0, vec![0; shape.iter().product::<usize>() / 32 * 34]);
        }
    }
    builder.write(&path);
    let keep = ConvertOptions { weights: Some(Weights::Keep), ..pooled(1) };
    let line = refusal(&path, &keep);
    assert!(line.contains("blk.0.attn_k.weight: the mean of heads in Q8_0 is not exact"), "{line}");
    assert!(line.contains("give --weights"), "{line}");
}

/// Lines that were said of it.
#[derive(Default)]
struct Said(std::sync::Mutex<Vec<String>>);

impl Progress for Said {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.into());
    }
}

#[test]
fn pooling_warns_and_as_many_heads_as_there_are_do_not() {
    let source = Source::of("gqa");
    for (heads, warns) in [(1, true), (2, false)] {
        let (folder, said) = (TempDir::new(), Said::default());
        convert(source.path(), &folder.join("m.oar"), &pooled(heads), &said).unwrap();
        let said = said.0.into_inner().unwrap();
        let warned = said.iter().any(|line| line.contains("quality drops without further"));
        assert_eq!(warned, warns, "{said:?}");
    }
}
