//! Layers whose keys have outliers, as their biases tell, and what an int8 cache makes of them.

use oarlock::internal::format::layout::WeightType;
use oarlock::{KvType, Machine, Model, Options, Session};
use oarlock_tests::Aligned;

use crate::source::Source;
use crate::values::options;

/// A tiny Qwen2 whose layer 0 has, in the first element of its second kv head, a key bias of this
/// size.
fn biased(size: f32) -> Aligned {
    const HEAD_DIM: usize = 12;
    let source = Source::of("qwen2");
    source.edit_tensors(|tensors| {
        let name = "model.layers.0.self_attn.k_proj.bias";
        let (_, tensor) = tensors.iter_mut().find(|(found, _)| found == name).unwrap();
        assert_eq!((tensor.0.as_str(), &tensor.1[..]), ("F32", &[2 * HEAD_DIM][..]));
        tensor.2[4 * HEAD_DIM..][..4].copy_from_slice(&size.to_le_bytes());
    });
    source.convert(&options(WeightType::F32)).unwrap()
}

fn outliers(file: &Aligned) -> [bool; 2] {
    let model = Model::open(file).unwrap();
    [0, 1].map(|i| model.layer(i).key_outliers)
}

fn logits(file: &Aligned, kv: KvType) -> Vec<f32> {
    let model = Model::open(file).unwrap();
    let options = Options { kv, ..Options::for_model(&model) };
    let mut scratch = Aligned::zeroed(Session::bytes_needed(&model, &options).unwrap());
    let mut session = Session::new(model, options, &mut scratch).unwrap();
    let mut all = Vec::new();
    let tokens: Vec<u32> = (0..40).map(|i| i * i % 256).collect();
    session.feed_each(&Machine::SCALAR, &tokens, &mut |_, logits| all.extend(logits)).unwrap();
    all
}

#[test]
fn biases_tell_which_layers_an_int8_cache_keeps_in_f16() {
    assert_eq!(outliers(&biased(1.0)), [false, false]);
    assert_eq!(outliers(&biased(200.0)), [true, false]);
    assert_eq!(outliers(&biased(-200.0)), [true, false]);
    let plain = biased(1.0);
    assert_eq!(plain[8], 1, "a model without outliers is a file of the first version");
}

/// The other layer's int8 keys and values cost what they always do.
#[test]
fn an_int8_cache_stays_near_an_exact_one_beside_outliers() {
    let off = |file: &Aligned| {
        let (exact, int8) = (logits(file, KvType::F32), logits(file, KvType::Int8));
        exact.iter().zip(&int8).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let (plain, with_outliers) = (off(&biased(1.0)), off(&biased(200.0)));
    assert!(with_outliers < 2.0 * plain, "{with_outliers} against {plain}");
}
