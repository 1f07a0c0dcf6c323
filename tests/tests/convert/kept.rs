//! Parts of a GGUF that a conversion takes over.

use std::path::Path;

use oarlock::Model;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Role, TensorType};
use oarlock::internal::math::f16_to_f32;
use oarlock::internal::model::Tensor;
use oarlock_convert::{ConvertOptions, Weights};
use oarlock_tests::{TempDir, fixture};
use serde_json::{Value, json};

use crate::gguf::{BF16, Builder, F16, F32, Q4_0, Q4_1, Q8_0};
use crate::published::{from_directory, permute};
use crate::source::{Source, converted, refusal};
use crate::values::{find, options, values, verify};

fn keep() -> ConvertOptions {
    ConvertOptions { weights: Some(Weights::Keep), ..ConvertOptions::default() }
}

/// The same model by both roads: names, shapes, q and k rows back in order.
#[test]
fn gguf_gives_the_tensors_of_the_directory_it_was_made_from() {
    let kept = keep();
    for family in [
        "gqa",
        "qwen2",
        "qwen3",
        "granite",
        "olmo",
        "olmo2",
        "stablelm",
        "cohere",
        "cohere2",
        "gemma",
        "gemma3",
        "phi2",
        "phi3",
        "phi3-long",
        "gpt-neox",
        "gpt-neox-sequential",
        "gpt2",
        "gpt-bigcode",
        "falcon-7b",
        "falcon-40b",
        "mpt",
        "bloom",
        "nemotron",
        "glm",
        "glm4",
        "qwen2-moe",
        "qwen3-moe",
        "olmoe",
    ] {
        same_by_both_roads(&Source::of(family), &kept);
    }
    // What GGUF has no key for, as in published models.
    let gemma2 = Source::of("gemma2");
    gemma2.set("query_pre_attn_scalar", json!(16));
    same_by_both_roads(&gemma2, &kept);
    let mixtral = Source::of("mixtral");
    mixtral.set("sliding_window", json!(null));
    same_by_both_roads(&mixtral, &kept);
    let starcoder2 = Source::of("starcoder2");
    starcoder2.set("sliding_window", json!(null));
    same_by_both_roads(&starcoder2, &kept);
    let gpt_oss = Source::of("gpt-oss");
    gpt_oss.set("swiglu_limit", json!(7.0));
    same_by_both_roads(&gpt_oss, &kept);
    // In blocks of 4 bits, which become the same floats on both roads.
    let mxfp4 = Source::of("gpt-oss-mxfp4");
    mxfp4.set("swiglu_limit", json!(7.0));
    same_by_both_roads(&mxfp4, &options(WeightType::F32));
}

fn same_by_both_roads(source: &Source, from_gguf: &ConvertOptions) {
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    from_directory(source).write(&path);
    let a = source.convert(&options(WeightType::F32)).unwrap();
    let b = converted(&path, from_gguf).unwrap();
    let (a, b) = (Model::open(&a).unwrap(), Model::open(&b).unwrap());
    assert_eq!(a.config(), b.config());
    let longest = a.config().context;
    for (local, context) in [(false, 2), (true, 2), (false, longest)] {
        let (a, b) = (a.rope(local, context), b.rope(local, context));
        assert_eq!((a.phases.len(), a.factor), (b.phases.len(), b.factor));
        // Phi-3's factors are in single precision there.
        let near = |(a, b): (&u64, &u64)| a.abs_diff(*b) as f64 <= *a as f64 * 1e-7;
        assert!(a.phases.iter().zip(b.phases).all(near));
    }
    for i in 0..a.config().n_layers {
        let (a, b) = (a.layer(i), b.layer(i));
        assert_eq!((a.local, a.no_rope), (b.local, b.no_rope), "layer {i}");
        assert_eq!(a.sparse, b.sparse, "layer {i}");
    }
    assert_eq!(a.n_tensors(), b.n_tensors());
    for (a, b) in a.tensors().zip(b.tensors()) {
        assert_eq!((a.role, a.layer, a.kind), (b.role, b.layer, b.kind));
        assert!(a.bytes() == b.bytes(), "{} and {} differ", a.name, b.name);
    }
}

/// Blocks of a GGUF type with every nibble and sign, and what each value is.
fn blocks(kind: u32, n: usize, seed: usize) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for i in 0..n / 32 {
        let byte = |k: usize| ((i * 131 + k * 29 + seed * 7) % 256) as u8;
        let scale = 0x2400_u16 + ((i * 37 + seed) % 1000) as u16;
        let minimum = 0xA800_u16 + ((i * 11 + seed) % 1000) as u16;
        bytes.extend(scale.to_le_bytes());
        let (s, m) = (f16_to_f32(scale), f16_to_f32(minimum));
        match kind {
            Q8_0 => {
                bytes.extend((0..32).map(byte));
                values.extend((0..32).map(|k| s * f32::from(byte(k) as i8)));
            }
            Q4_0 | Q4_1 => {
                let affine = kind == Q4_1;
                if affine {
                    bytes.extend(minimum.to_le_bytes());
                }
                bytes.extend((0..16).map(byte));
                let nibbles = (0..16).map(|k| byte(k) & 15).chain((0..16).map(|k| byte(k) >> 4));
                values.extend(
                    nibbles.map(|q| {
                        if affine { s * f32::from(q) + m } else { s * (f32::from(q) - 8.0) }
                    }),
                );
            }
            _ => unreachable!(),
        }
    }
    (bytes, values)
}

/// The smallest model as a GGUF with rows of `dim` and of `ffn`, all numbers zero.
pub fn widened(dim: usize, ffn: usize) -> Builder {
    let source = Source::of("gqa");
    source.edit_json("config.json", |c| {
        for (key, v) in [("hidden_size", dim), ("intermediate_size", ffn), ("head_dim", dim / 4)] {
            c.insert(key.into(), json!(v));
        }
    });
    let mut builder = from_directory(&source);
    for (_, _, shape, bytes) in &mut builder.tensors {
        for n in &mut *shape {
            *n = match *n {
                48 => dim,
                80 => ffn,
                24 => dim / 2,
                n => n,
            };
        }
        *bytes = vec![0; 4 * shape.iter().product::<usize>()];
    }
    builder
}

#[test]
fn keep_changes_no_value_of_a_gguf() {
    let mut builder = widened(64, 96);
    let mut wanted = Vec::new();
    let kinds = [Q4_0, Q4_1, Q8_0];
    let matrices = builder.tensors.iter_mut().filter(|(_, _, shape, _)| shape.len() > 1);
    for (i, (name, kind, shape, bytes)) in matrices.enumerate() {
        *kind = kinds[i % 3];
        let values;
        (*bytes, values) = blocks(*kind, shape.iter().product(), i);
        wanted.push((name.clone(), *kind, values));
    }
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    builder.write(&path);
    let file = converted(&path, &ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    verify(&model);
    for t in model.tensors().filter(|t| t.kind != TensorType::Vector) {
        let (_, kind, wanted) = wanted.iter().find(|(name, ..)| name == t.name).unwrap();
        let holds = match *kind {
            Q4_0 => WeightType::Int4,
            Q4_1 => WeightType::Int4a,
            _ => WeightType::Int8,
        };
        assert_eq!(t.kind, TensorType::Matrix(holds));
        let wanted: Vec<u8> = wanted.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(as_in_gguf(&model, &t) == wanted, "{}", t.name);
    }
}

/// The values of a matrix as f32, rows of q and k in GGUF's order.
fn as_in_gguf(model: &Model<'_>, t: &Tensor<'_>) -> Vec<u8> {
    let heads = model.config().n_heads * usize::from(t.role == Role::Q)
        + model.config().n_kv_heads * usize::from(t.role == Role::K);
    let bytes: Vec<u8> = values(t).iter().flat_map(|v| v.to_le_bytes()).collect();
    if heads > 0 { permute(&bytes, t.rows, heads) } else { bytes }
}

/// A GGUF of matrices of all types in the fixture in turn, each with its name there, its bits per
/// weight and its floats: those that the `gguf` package gives.
fn of_every_type(path: &Path) -> Vec<(String, String, Vec<u8>)> {
    let text = std::fs::read_to_string(fixture("quants.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let cases = cases.as_object().unwrap();
    let mut builder = widened(256, 256);
    let mut wanted = Vec::new();
    let matrices = builder.tensors.iter_mut().filter(|(_, _, shape, _)| shape.len() > 1);
    for ((name, kind, shape, bytes), (called, case)) in matrices.zip(cases.iter().cycle()) {
        // A fixture is 512 values; the vocabulary is odd.
        let (n, repeat) = (shape.iter().product::<usize>(), |part: &[u8], len| {
            part.iter().copied().cycle().take(len).collect::<Vec<_>>()
        });
        let (blocks, floats) = (hex(&case["blocks"]), hex(&case["floats"]));
        *kind = case["code"].as_u64().unwrap() as u32;
        *bytes = repeat(&blocks, blocks.len() * n / 512);
        wanted.push((name.clone(), called.clone(), repeat(&floats, 4 * n)));
    }
    assert!(wanted.len() > cases.len(), "each type is there");
    builder.write(path);
    wanted
}

/// A row of types: name in GGUF, the type that holds it, the largest error in parts of the largest
/// of 32 weights: none, that of an f16 scale, half a step of 8 bits.
const NEAREST: [(&str, WeightType, f32); 10] = [
    ("Q5_0", WeightType::Int5, 0.0),
    ("IQ4_NL", WeightType::Int4n, 0.0),
    ("MXFP4", WeightType::Int4n, 0.0),
    ("Q4_K", WeightType::Int4a, 0.001),
    ("IQ4_XS", WeightType::Int4n, 0.001),
    ("Q5_1", WeightType::Int8, 0.0042),
    ("Q5_K", WeightType::Int8, 0.0042),
    ("Q6_K", WeightType::Int8, 0.0042),
    ("Q2_K", WeightType::Int8, 0.0042),
    ("Q3_K", WeightType::Int8, 0.0042),
];

#[test]
fn by_default_each_tensor_goes_to_the_type_that_holds_it() {
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    let wanted = of_every_type(&path);
    let file = converted(&path, &ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    verify(&model);
    for t in model.tensors().filter(|t| t.kind != TensorType::Vector) {
        let (_, called, wanted) = wanted.iter().find(|(name, ..)| name == t.name).unwrap();
        let (_, kind, most) = NEAREST.into_iter().find(|(name, ..)| name == called).unwrap();
        assert_eq!(t.kind, TensorType::Matrix(kind), "{called}");
        let (is, wanted) = (floats(&as_in_gguf(&model, &t)), floats(wanted));
        for (is, wanted) in is.chunks(32).zip(wanted.chunks(32)) {
            let peak = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            for (is, wanted) in is.iter().zip(wanted) {
                // The fixture has powers of two below the least f16, whose products become 0.
                let lost = if called == "MXFP4" { 1e-6 } else { 0.0 };
                let most = most * peak + lost;
                assert!((is - wanted).abs() <= most, "{called}: {is} for {wanted}, {peak}");
            }
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|v| f32::from_le_bytes(v.try_into().unwrap())).collect()
}

/// Types that nothing here holds exactly.
#[test]
fn other_types_are_read_to_the_bit() {
    let folder = TempDir::new();
    let path = folder.join("model.gguf");
    let wanted = of_every_type(&path);
    let file = converted(&path, &options(WeightType::F32)).unwrap();
    let model = Model::open(&file).unwrap();
    for t in model.tensors().filter(|t| t.kind != TensorType::Vector) {
        let (.., wanted) = wanted.iter().find(|(name, ..)| name == t.name).unwrap();
        assert!(as_in_gguf(&model, &t) == *wanted, "{}", t.name);
    }
    let line = refusal(&path, &keep());
    assert!(line.contains("weight: no type here holds"), "{line}");
    assert!(line.contains("exactly (give --weights auto"), "{line}");
    for kind in WeightType::ALL {
        verify(&Model::open(&converted(&path, &options(kind)).unwrap()).unwrap());
    }
}

/// The blocks of 4 bits of gpt-oss are taken over by default: the same values as in floats.
#[test]
fn mxfp4_is_taken_over() {
    let source = Source::of("gpt-oss-mxfp4");
    let (exact, file) = (options(WeightType::F32), ConvertOptions::default());
    let (exact, file) = (source.convert(&exact).unwrap(), source.convert(&file).unwrap());
    let (exact, model) = (Model::open(&exact).unwrap(), Model::open(&file).unwrap());
    verify(&model);
    for role in [Role::ExpertGate, Role::ExpertUp, Role::ExpertDown] {
        let (exact, is) = (find(&exact, role, Some(0)), find(&model, role, Some(0)));
        assert_eq!(is.kind, TensorType::Matrix(WeightType::Int4n));
        let experts = 0..is.experts.unwrap();
        assert!(experts.len() > 1);
        assert_eq!(values(&exact), values(&is));
    }
}

fn hex(digits: &Value) -> Vec<u8> {
    let pairs = digits.as_str().unwrap().as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn keep_takes_half_floats_as_f32() {
    let source = Source::of("gqa");
    let mut builder = from_directory(&source);
    for (kind, name) in [(F16, "blk.0.ffn_up.weight"), (BF16, "blk.0.ffn_down.weight")] {
        let tensor = builder.tensor(name);
        let n: usize = tensor.2.iter().product();
        tensor.1 = kind;
        tensor.3 = (0..n).flat_map(|i| (0x3C00_u16 + (i % 128) as u16).to_le_bytes()).collect();
    }
    let folder = TempDir::new();
    builder.write(&folder.join("m.gguf"));
    let file = converted(&folder.join("m.gguf"), &keep()).unwrap();
    let model = Model::open(&file).unwrap();
    let (up, down) = (find(&model, Role::Up, Some(0)), find(&model, Role::Down, Some(0)));
    assert_eq!(up.kind, TensorType::Matrix(WeightType::F32));
    for (i, v) in values(&up).into_iter().enumerate() {
        assert_eq!(v, 1.0 + (i % 128) as f32 / 1024.0);
    }
    for (i, v) in values(&down).into_iter().enumerate() {
        assert_eq!(v, f32::from_bits((0x3C00 + (i % 128) as u32) << 16));
    }
}

/// Llama 3's rope scaling is a tensor there.
#[test]
fn gguf_rope_divisors_are_obeyed() {
    let source = Source::of("gqa");
    let mut builder = from_directory(&source);
    let folder = TempDir::new();
    let path = folder.join("m.gguf");
    let divisors = [1.0_f32, 1.0, 1.5, 2.0, 8.0, 8.0];
    let bytes = divisors.iter().flat_map(|v| v.to_le_bytes()).collect();
    builder.tensors.push(("rope_freqs.weight".into(), F32, vec![6], bytes));
    builder.write(&path);
    let plain = source.convert(&options(WeightType::F32)).unwrap();
    let scaled = converted(&path, &ConvertOptions::default()).unwrap();
    let plain = Model::open(&plain).unwrap();
    let scaled = Model::open(&scaled).unwrap();
    for ((a, b), d) in
        plain.rope(false, 2).phases.iter().zip(scaled.rope(false, 2).phases).zip(divisors)
    {
        assert!((*a as f64 / f64::from(d) - *b as f64).abs() <= 1e-12 * *a as f64);
    }
}
