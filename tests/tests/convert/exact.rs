//! Values that a conversion takes over, exactly or nearly.

use oarlock::Model;
use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Role, TensorType};
use oarlock_convert::{ConvertOptions, OutputMatrix, Weights};
use oarlock_tests::{fixture, tiny_names};
use serde_json::json;

use crate::source::{Source, converted};
use crate::values::{find, options, values, verify};

#[test]
fn every_fixture_converts_to_every_type() {
    for name in tiny_names() {
        for kind in WeightType::ALL {
            let file = converted(&fixture("tiny").join(&name), &options(kind)).unwrap();
            let model = Model::open(&file).unwrap();
            verify(&model);
            let config = std::fs::read_to_string(fixture("tiny").join(&name).join("config.json"));
            // Those with pictures name what is around the text model.
            let named = config.unwrap().contains(&format!("\"{}\"", model.arch()));
            assert!(named || name.ends_with("-pictures"), "{name}");
            let up = if model.layer(0).sparse { Role::ExpertUp } else { Role::Up };
            assert_eq!(find(&model, up, Some(0)).kind, TensorType::Matrix(kind));
            let head = if kind == WeightType::F32 { kind } else { WeightType::Int8 };
            assert_eq!(model.output().weight.kind(), head, "{name}");
            assert_eq!(model.is_f32(), kind == WeightType::F32);
            let embedding = if model.config().tied { head } else { kind };
            assert_eq!(model.embedding().kind(), embedding, "{name}");
        }
    }
}

#[test]
fn f32_holds_exactly_what_the_source_has() {
    let source = Source::of("gqa");
    let file = source.convert(&options(WeightType::F32)).unwrap();
    let model = Model::open(&file).unwrap();
    let tensors = source.tensors();
    for t in model.tensors() {
        let (_, (_, _, bytes)) = tensors.iter().find(|(name, _)| name == t.name).unwrap();
        let wanted: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match t.kind {
            TensorType::Vector => assert_eq!(t.bytes(), bytes, "{}", t.name),
            TensorType::Matrix(_) => assert_eq!(values(&t), wanted, "{}", t.name),
        }
    }
}

#[test]
fn the_same_source_and_options_give_the_same_bytes() {
    let source = Source::of("rope-llama3");
    for kind in WeightType::ALL {
        let [a, b] = [0, 1].map(|_| source.convert(&options(kind)).unwrap());
        assert!(a[..] == b[..], "{kind:?}");
    }
}

#[test]
fn quantized_weights_are_near_and_search_beats_the_textbook() {
    let source = Source::of("gqa");
    let exact = source.convert(&options(WeightType::F32)).unwrap();
    let exact = Model::open(&exact).unwrap();
    let wanted = values(&find(&exact, Role::Q, Some(0)));
    let error =
        |got: &[f32]| -> f32 { got.iter().zip(&wanted).map(|(a, b)| (a - b) * (a - b)).sum() };
    let of = |kind| {
        let file = source.convert(&options(kind)).unwrap();
        error(&values(&find(&Model::open(&file).unwrap(), Role::Q, Some(0))))
    };
    let cols = find(&exact, Role::Q, Some(0)).cols;
    let mut plain = wanted.clone();
    for row in plain.chunks_exact_mut(cols) {
        for group in row.chunks_mut(32) {
            let scale = group.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 7.0;
            group.iter_mut().for_each(|v| *v = (*v / scale).round() * scale);
        }
    }
    assert!(of(WeightType::Int4) < 0.85 * error(&plain));
    assert!(of(WeightType::Int4a) < of(WeightType::Int4));
    assert!(of(WeightType::Int8) < 0.01 * of(WeightType::Int4a));
}

#[test]
fn head_sets_the_output_and_a_tied_embedding() {
    for (name, tied) in [("gqa", true), ("rope-llama3", false)] {
        let source = Source::of(name);
        for (output_matrix, wanted) in [
            (Some(OutputMatrix::Same), WeightType::Int4a),
            (Some(OutputMatrix::Own(Weights::As(WeightType::F32))), WeightType::F32),
            (None, WeightType::Int8),
        ] {
            let options = ConvertOptions { output_matrix, ..options(WeightType::Int4a) };
            let file = source.convert(&options).unwrap();
            let model = Model::open(&file).unwrap();
            assert_eq!(model.output().weight.kind(), wanted);
            let embedding = if tied { wanted } else { WeightType::Int4a };
            assert_eq!(model.embedding().kind(), embedding);
        }
    }
}

#[test]
fn sampling_and_provenance_come_from_the_source() {
    let source = Source::of("gqa");
    source.edit_json("generation_config.json", |g| {
        g.insert("temperature".into(), json!(0.6));
        g.insert("top_p".into(), json!(0.9));
        g.insert("repetition_penalty".into(), json!(1.1));
    });
    let file = source.convert(&ConvertOptions::default()).unwrap();
    let model = Model::open(&file).unwrap();
    let s = model.sampling();
    assert_eq!((s.temp, s.top_p, s.top_k, s.repeat_penalty), (0.6, 0.9, 40, 1.1));
    let text = model.provenance();
    assert!(text.starts_with("converter oarlock-convert ") && text.contains("\nweights auto\n"));
    for name in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
        let line = text.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap();
        let hash = line.split(' ').nth(1).unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    }
    source
        .edit_json("generation_config.json", |g| drop(g.insert("do_sample".into(), json!(false))));
    let file = source.convert(&ConvertOptions::default()).unwrap();
    assert_eq!(Model::open(&file).unwrap().sampling().temp, 0.0);
}

#[test]
fn a_tied_model_may_carry_its_output_all_the_same() {
    let source = Source::of("gqa");
    source.edit_tensors(|t| {
        let (_, embedding) = t.iter().find(|(name, _)| name.contains("embed")).unwrap().clone();
        t.push(("lm_head.weight".into(), embedding));
        let buffer = ("F32".into(), vec![6], vec![0; 24]);
        t.push(("model.layers.1.self_attn.rotary_emb.inv_freq".into(), buffer));
    });
    let file = source.convert(&ConvertOptions::default()).unwrap();
    assert!(Model::open(&file).unwrap().config().tied);
}

/// Large values of `v` make `o` keep their column better.
#[test]
fn int4_loses_least_in_the_columns_that_matter() {
    const CHANNEL: usize = 5;
    let louder = |name: &str, times: f32| {
        let source = Source::of("gqa");
        source.edit_tensors(|tensors| {
            let (_, (dtype, shape, bytes)) =
                tensors.iter_mut().find(|(n, _)| n.ends_with(name)).unwrap();
            assert_eq!(dtype, "F32");
            let row = if shape.len() == 1 { 1 } else { shape[1] };
            for v in &mut bytes.as_chunks_mut::<4>().0[CHANNEL * row..(CHANNEL + 1) * row] {
                *v = (f32::from_le_bytes(*v) * times).to_le_bytes();
            }
        });
        source
    };
    let lost = |source: &Source, role: Role| -> f64 {
        let [exact, int4] =
            [WeightType::F32, WeightType::Int4].map(|kind| source.convert(&options(kind)).unwrap());
        let [exact, int4] = [&exact, &int4].map(|file| {
            let model = Model::open(file).unwrap();
            let t = find(&model, role, Some(0));
            (values(&t), t.cols)
        });
        let column = exact.0.iter().zip(&int4.0).skip(CHANNEL).step_by(exact.1);
        column.map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    let of = |maker, role| (lost(&louder(maker, 10.0), role), lost(&louder(maker, 0.1), role));
    let (loud, quiet) = of("0.self_attn.v_proj.weight", Role::O);
    assert!(loud < 0.5 * quiet, "{loud} against {quiet}");
    // Of no other matrix has it been found that the weights tell.
    for (maker, role) in [
        ("0.input_layernorm.weight", Role::Q),
        ("0.post_attention_layernorm.weight", Role::Up),
        ("0.mlp.gate_proj.weight", Role::Down),
        ("0.mlp.up_proj.weight", Role::Down),
    ] {
        let (loud, quiet) = of(maker, role);
        assert_eq!(loud, quiet, "{maker}");
    }
}
