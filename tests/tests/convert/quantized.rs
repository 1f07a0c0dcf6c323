//! Quantized safetensors directories: what their tools read out of them, taken over or in f32.

use std::sync::Mutex;

use oarlock::Model;
use oarlock::internal::format::TensorType;
use oarlock::internal::format::layout::WeightType::{self, F32, Int4, Int4a, Int4n, Int8};
use oarlock_convert::{ConvertOptions, Progress, Weights, convert};
use oarlock_tests::{TempDir, fixture};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::source::{Source, Tensor, refusal};
use crate::values::{options, values, verify};

/// A step of 8 bits and a little: the least squared error may clip the largest weight by so much.
const STEP: f32 = 0.01;

/// A fixture, the type that its matrices go to by default, and the most that a value is off then, in
/// parts of the largest of 32: none, that of an f16 minimum, about a step of 8 bits.
const CASES: &[(&str, WeightType, f32)] = &[
    ("gptq", Int4, 0.0),
    ("gptq-zeros", Int4a, 0.001),
    ("gptq-zeros-v1", Int4a, 0.001),
    ("gptq-order", Int8, STEP),
    ("gptq-8", Int8, 0.0),
    ("gptq-3", Int4, 0.0),
    ("awq", Int4a, 0.001),
    ("ct-int4", Int4, 0.0),
    ("ct-zeros", Int4a, 0.001),
    ("ct-int8", Int8, 0.0),
    ("ct-fp8", Int8, STEP),
    ("ct-nvfp4", Int8, STEP),
    ("ct-mxfp4", Int4n, 0.0),
    ("fp8-blocks", Int8, STEP),
    ("mlx-4", Int4a, 0.0),
    ("mlx-8", Int8, STEP),
    ("nf4", Int8, STEP),
    ("int8", Int8, 0.001),
];

/// Values of a fixture, by `golden_values.json`: SHA-256 of each quantized matrix in f32.
fn hashes(name: &str) -> Vec<(String, String)> {
    let path = fixture("tiny").join(format!("quantized-{name}")).join("golden_values.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entries = json.as_object().unwrap().iter();
    entries.map(|(name, hash)| (name.clone(), hash.as_str().unwrap().to_owned())).collect()
}

fn hash(values: &[f32]) -> String {
    // Adding 0 makes 0 of −0.
    let bytes: Vec<u8> = values.iter().flat_map(|v| (v + 0.0).to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn f32_holds_what_the_tools_of_each_format_read() {
    for &(name, ..) in CASES {
        let source = Source::of(&format!("quantized-{name}"));
        let file = source.convert(&options(F32)).unwrap();
        let model = Model::open(&file).unwrap();
        let hashes = hashes(name);
        assert!(hashes.len() >= 7, "{name}");
        for (matrix, wanted) in hashes {
            let t = model.tensors().find(|t| t.name == matrix).unwrap();
            assert_eq!(hash(&values(&t)), wanted, "{name}: {matrix}");
        }
    }
}

#[test]
fn by_default_codes_are_taken_over_where_a_type_holds_them() {
    for &(name, kind, most) in CASES {
        let source = Source::of(&format!("quantized-{name}"));
        let exact = source.convert(&options(F32)).unwrap();
        let file = source.convert(&ConvertOptions::default()).unwrap();
        let (exact, model) = (Model::open(&exact).unwrap(), Model::open(&file).unwrap());
        verify(&model);
        for (matrix, _) in hashes(name) {
            let of = |model: &Model<'_>| {
                let t = model.tensors().find(|t| t.name == matrix).unwrap();
                (t.kind, t.cols, values(&t))
            };
            let ((_, cols, wanted), (is_kind, _, is)) = (of(&exact), of(&model));
            // One of MLX has six bits of its own.
            let (kind, most) = match () {
                () if name == "mlx-4" && matrix.contains("v_proj") => (Int8, STEP),
                () => (kind, most),
            };
            assert_eq!(is_kind, TensorType::Matrix(kind), "{name}: {matrix}");
            assert_eq!(cols % 32, 0);
            for (is, wanted) in is.chunks(32).zip(wanted.chunks(32)) {
                let peak = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                for (is, wanted) in is.iter().zip(wanted) {
                    let off = (is - wanted).abs();
                    assert!(off <= most * peak, "{name}: {matrix}: {is} for {wanted}");
                }
            }
        }
        // What is left as floats in a quantized model goes to 8 bits.
        let embedding = if name.starts_with("mlx-4") { Int4a } else { Int8 };
        assert_eq!(model.embedding().kind(), embedding, "{name}");
    }
}

/// The lines that a conversion warns with.
fn warnings(source: &Source) -> Vec<String> {
    let (folder, heard) = (TempDir::new(), Heard::default());
    let out = folder.join("model.oar");
    convert(source.path(), &out, &ConvertOptions::default(), &heard).unwrap();
    // Other lines are about the text.
    let lines = heard.0.into_inner().unwrap().into_iter();
    lines.filter(|line| line.contains("matrices")).collect()
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.into());
    }
}

const DOWN: &str = "model.layers.0.mlp.down_proj";

/// Changes a part of a matrix of a fixture.
fn spoil(source: &Source, part: &str, edit: impl FnOnce(&mut Tensor)) {
    let name = format!("{DOWN}.{part}");
    source.edit_tensors(|tensors| {
        edit(&mut tensors.iter_mut().find(|(n, _)| *n == name).unwrap().1);
    });
}

fn set_quantization(source: &Source, edit: impl FnOnce(&mut Map<String, Value>)) {
    source.edit_json("config.json", |config| {
        edit(config["quantization_config"].as_object_mut().unwrap());
    });
}

#[test]
fn what_is_not_exact_is_said() {
    assert!(warnings(&Source::of("quantized-gptq")).is_empty());
    let lines = warnings(&Source::of("quantized-gptq-order"));
    assert!(lines.len() == 1 && lines[0].starts_with("7 matrices share scales"), "{lines:?}");
    // A bf16 with a bit below the least of f16.
    let source = Source::of("quantized-ct-int4");
    spoil(&source, "weight_scale", |(_, _, bytes)| bytes[..2].copy_from_slice(&[0x81, 0x36]));
    let lines = warnings(&source);
    assert!(
        lines.len() == 1 && lines[0].starts_with("1 matrices keep their integers"),
        "{lines:?}"
    );
    let file = source.convert(&ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    let t = model.tensors().find(|t| t.name.starts_with(DOWN)).unwrap();
    assert_eq!(t.kind, TensorType::Matrix(Int4));
    // All of them: nothing would be left of the weights.
    spoil(&source, "weight_scale", |(_, _, bytes)| {
        bytes.chunks_exact_mut(2).for_each(|scale| scale.copy_from_slice(&[0x81, 0x32]));
    });
    let file = source.convert(&ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    let t = model.tensors().find(|t| t.name.starts_with(DOWN)).unwrap();
    assert_eq!(t.kind, TensorType::Matrix(F32));
}

#[test]
fn keep_takes_exact_matrices_over_or_refuses() {
    let keep = ConvertOptions { weights: Some(Weights::Keep), ..ConvertOptions::default() };
    let exact = Source::of("quantized-gptq");
    let [kept, auto] = [&keep, &ConvertOptions::default()].map(|o| exact.convert(o).unwrap());
    let of = |file: &[u8]| {
        let model = Model::open(file).unwrap();
        values(&model.tensors().find(|t| t.name.starts_with(DOWN)).unwrap())
    };
    assert_eq!(of(&kept), of(&auto));
    for name in ["quantized-awq", "quantized-nf4"] {
        let line = refusal(Source::of(name).path(), &keep);
        assert!(line.contains("no type here holds") && line.contains("--weights auto"), "{line}");
    }
}

#[test]
fn other_ways_to_say_the_same_are_read() {
    let same = |name: &str, other: &Source| {
        let [a, b] = [&Source::of(name), other].map(|s| s.convert(&options(F32)).unwrap());
        let (a, b) = (Model::open(&a).unwrap(), Model::open(&b).unwrap());
        assert!(a.tensors().zip(b.tensors()).all(|(a, b)| a.bytes() == b.bytes()), "{name}");
    };
    let beside = |name: &str, file: &str| {
        let source = Source::of(name);
        source.edit_json("config.json", |config| {
            let settings = config.remove("quantization_config").unwrap();
            std::fs::write(source.join(file), settings.to_string()).unwrap();
        });
        source
    };
    let old = beside("quantized-gptq", "quantize_config.json");
    old.edit_json("quantize_config.json", |q| drop(q.remove("quant_method")));
    // A bias of nothing, as every matrix of such files has.
    old.edit_tensors(|t| t.push((format!("{DOWN}.bias"), ("F16".into(), vec![64], vec![0; 128]))));
    same("quantized-gptq", &old);
    let old = beside("quantized-awq", "quant_config.json");
    old.edit_json("quant_config.json", |q| {
        *q = serde_json::from_value(
            json!({"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}),
        )
        .unwrap();
    });
    same("quantized-awq", &old);
    let bare = Source::of("quantized-gptq");
    bare.edit_tensors(|tensors| tensors.retain(|(name, _)| !name.ends_with("g_idx")));
    same("quantized-gptq", &bare);
    let mlx = Source::of("quantized-mlx-4");
    mlx.edit_json("config.json", |config| {
        let settings = config.remove("quantization").unwrap();
        config.insert("quantization_config".into(), settings);
    });
    same("quantized-mlx-4", &mlx);
    let round = Source::of("quantized-gptq");
    set_quantization(&round, |q| {
        q.insert("quant_method".into(), json!("auto-round"));
        q.insert("packing_format".into(), json!("auto_round:auto_gptq"));
    });
    same("quantized-gptq", &round);
    // Scales of activations and caches are left out.
    let served = Source::of("quantized-ct-fp8");
    served.edit_tensors(|tensors| {
        for name in ["mlp.down_proj.input_scale", "self_attn.k_scale"] {
            let one = ("F32".into(), vec![1], 1.0_f32.to_le_bytes().into());
            tensors.push((format!("model.layers.0.{name}"), one));
        }
    });
    same("quantized-ct-fp8", &served);
}

#[test]
fn methods_that_are_not_read_are_refused_by_name() {
    for (name, key, value, part) in [
        ("gptq", "quant_method", json!("hqq"), "method hqq is not read (known: gptq, awq"),
        (
            "gptq",
            "checkpoint_format",
            json!("marlin"),
            "checkpoint_format is \"marlin\", only gptq",
        ),
        ("gptq", "adapter", json!({"name": "lora"}), "adapter is not read"),
        ("gptq", "bits", json!(8), "4 bits, where quantization_config says 8"),
        ("gptq", "bits", json!(null), "bits is missing"),
        ("gptq", "bits", json!(u64::MAX), "bits is missing or no size"),
        ("awq", "version", json!("gemv"), "version is \"gemv\", only gemm"),
        ("ct-int4", "format", json!("marlin-24"), "format is \"marlin-24\""),
        ("ct-int4", "transform_config", json!({"config_groups": {"a": 1}}), "transform_config"),
        ("ct-int4", "sparsity_config", json!({"format": "sparse-24-bitmask"}), "sparsity_config"),
        ("fp8-blocks", "fmt", json!("e5m2"), "fmt is \"e5m2\""),
        ("fp8-blocks", "weight_block_size", json!([0, 128]), "a block of [0,128]"),
        ("fp8-blocks", "weight_block_size", json!([64, 64]), "weight_scale_inv: a shape of [1, 2]"),
    ] {
        let source = Source::of(&format!("quantized-{name}"));
        set_quantization(&source, |q| drop(q.insert(key.into(), value)));
        let line = source.refusal();
        assert!(line.contains(part), "{name}, {key}: {line}");
    }
    let source = Source::of("quantized-gptq");
    source.edit_json("config.json", |config| drop(config.remove("quantization_config")));
    let line = source.refusal();
    assert!(line.contains("config.json has no quantization_config"), "{line}");
}

#[test]
fn parts_that_are_missing_or_do_not_fit_are_refused_by_name() {
    for (name, part) in [
        ("gptq", "qzeros"),
        ("gptq", "scales"),
        ("awq", "scales"),
        ("ct-int4", "weight_scale"),
        ("ct-int4", "weight_shape"),
        ("fp8-blocks", "weight_scale_inv"),
        ("mlx-4", "biases"),
        ("nf4", "weight.quant_map"),
        ("nf4", "weight.nested_absmax"),
        ("nf4", "weight.quant_state.bitsandbytes__nf4"),
    ] {
        let source = Source::of(&format!("quantized-{name}"));
        source.edit_tensors(|tensors| tensors.retain(|(n, _)| *n != format!("{DOWN}.{part}")));
        let line = source.refusal();
        let missing = part == "weight_scale_inv" || line.contains(part);
        assert!(
            missing && line.contains("a part of a quantized matrix is missing"),
            "{part}: {line}"
        );
    }
    type Edit = fn(&mut Tensor);
    let cases: [(&str, &str, Edit, &str); 9] = [
        ("gptq", "scales", |t| t.1.reverse(), "a shape of [64, 6], where the quantized"),
        (
            "gptq",
            "qzeros",
            |t| t.1 = vec![3, 16],
            "scales: a shape of [6, 64], where the quantized matrix wants [3, 64]",
        ),
        ("gptq", "qweight", |t| t.0 = "F32".into(), "F32, where its method has I32"),
        ("gptq", "g_idx", |t| t.2[0] = 6, "a group beyond its 6"),
        ("gptq", "g_idx", |t| t.2[3] = 0x80, "a group beyond its 6"),
        ("awq", "qzeros", |t| t.1.reverse(), "wants [6, 8]"),
        ("ct-int4", "weight_shape", |t| t.2[8..].fill(255), "weight_packed: a shape of"),
        ("mlx-4", "scales", |t| t.1.reverse(), "down_proj.scales: a shape of [3, 64]"),
        ("nf4", "weight.absmax", |t| t.1 = vec![8, 24], "wants [192]"),
    ];
    for (name, part, edit, wanted) in cases {
        let source = Source::of(&format!("quantized-{name}"));
        spoil(&source, part, edit);
        let line = source.refusal();
        assert!(line.contains(wanted), "{name}, {part}: {line}");
    }
    for state in
        ["[]", "{\"blocksize\":0,\"shape\":[64,192]}", "{\"blocksize\":64,\"shape\":[9e9,9e9]}"]
    {
        let source = Source::of("quantized-nf4");
        spoil(&source, "weight.quant_state.bitsandbytes__nf4", |t| {
            (t.1, t.2) = (vec![state.len()], state.into());
        });
        let line = source.refusal();
        assert!(line.contains("not what bitsandbytes says of a matrix"), "{line}");
    }
    let source = Source::of("quantized-nf4");
    let state = format!("{{\"blocksize\":64,\"shape\":[{},{}]}}", 1_u64 << 40, 1_u64 << 40);
    spoil(&source, "weight.quant_state.bitsandbytes__nf4", |t| {
        (t.1, t.2) = (vec![state.len()], state.clone().into());
    });
    assert!(source.refusal().contains("wants half of"));
}
