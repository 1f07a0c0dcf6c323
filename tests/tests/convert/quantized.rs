//! Quantized safetensors directories: what their tools read out of them, taken over or in f32.

use oarlock::Model;
use oarlock::internal::format::TensorType;
use oarlock::internal::format::layout::WeightType::{self, F32, Int4, Int4a, Int4n, Int8};
use oarlock_convert::{ConvertOptions, Weights};
use oarlock_tests::fixture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::source::{Source, converted};
use crate::values::{options, values, verify};

/// Half a step of 8 bits, and what rounding its scale to f16 adds.
const HALF_STEP: f32 = 0.006;

/// A fixture, the type that its matrices go to by default, and the most that a value is off then, in
/// parts of the largest of 32: none, that of an f16 minimum, half a step of 8 bits.
const CASES: &[(&str, WeightType, f32)] = &[
    ("gptq", Int4, 0.0),
    ("gptq-zeros", Int4a, 0.001),
    ("gptq-zeros-v1", Int4a, 0.001),
    ("gptq-order", Int8, HALF_STEP),
    ("gptq-8", Int8, 0.0),
    ("gptq-3", Int4, 0.0),
    ("awq", Int4a, 0.001),
    ("ct-int4", Int4, 0.0),
    ("ct-zeros", Int4a, 0.001),
    ("ct-int8", Int8, 0.0),
    ("ct-fp8", Int8, HALF_STEP),
    ("ct-nvfp4", Int8, HALF_STEP),
    ("ct-mxfp4", Int4n, 0.0),
    ("fp8-blocks", Int8, HALF_STEP),
    ("mlx-4", Int4a, 0.0),
    ("mlx-8", Int8, HALF_STEP),
    ("nf4", Int8, HALF_STEP),
    ("int8", Int8, 0.001),
];

/// What `golden_values.json` of a fixture says: SHA-256 of each quantized matrix in f32.
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
                () if name == "mlx-4" && matrix.contains("v_proj") => (Int8, HALF_STEP),
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
