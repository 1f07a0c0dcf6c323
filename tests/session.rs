//! What a session refuses, and what it leaves as it was.

use oarlock::format::Config;
use oarlock::layout::WeightType;
use oarlock::{FeedError, KvType, Machine, Model, Options, OptionsError, Session};
use oarlock_tests::{Aligned, Synthetic, with_session};

fn model() -> Synthetic {
    let config = Config {
        vocab_size: 50,
        dim: 32,
        n_layers: 1,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 16,
        ffn_dim: 48,
        context: 128,
        rot_dim: 16,
        norm_eps: 1e-5,
        score_scale: 0.25,
        tied: true,
        ..Config::default()
    };
    Synthetic::new(config, WeightType::Int8, 9)
}

#[test]
fn options_suit_the_model() {
    let (int8, f32) = (model(), Synthetic::new(model().config, WeightType::F32, 9));
    let of =
        |model: &Synthetic| Options::for_model(&Model::open(&model.file).expect("a good file"));
    assert_eq!((of(&int8).context, of(&int8).sinks, of(&int8).kv), (128, 4, KvType::Int8));
    assert_eq!(of(&f32).kv, KvType::F32);
}

#[test]
fn every_bad_option_has_its_error() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    let good = Options::for_model(&model);
    for (options, error) in [
        (Options { context: 1, sinks: 0, ..good }, OptionsError::ContextTooShort),
        (Options { context: 9, sinks: 5, ..good }, OptionsError::TooManySinks { most: 4 }),
        (Options { chunk: 0, ..good }, OptionsError::NoChunk),
        (Options { logit_rows: 0, ..good }, OptionsError::NoLogitRows),
        (Options { context: usize::MAX, ..good }, OptionsError::TooLarge),
        (Options { context: usize::MAX / 64, ..good }, OptionsError::TooLarge),
        (Options { chunk: usize::MAX, ..good }, OptionsError::TooLarge),
        (Options { draft: usize::MAX, ..good }, OptionsError::TooLarge),
        (Options { logit_rows: usize::MAX / 8, ..good }, OptionsError::TooLarge),
    ] {
        assert_eq!(Session::bytes_needed(&model, &options), Err(error));
        assert_eq!(Session::new(model, options, &mut []).err(), Some(error));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn the_bytes_needed_are_enough_at_any_alignment_and_one_less_is_not() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    for kv in [KvType::Int8, KvType::F16, KvType::F32] {
        let options =
            Options { context: 70, sinks: 33, kv, chunk: 5, ..Options::for_model(&model) };
        let needed = Session::bytes_needed(&model, &options).expect("fits");
        let mut memory = Aligned::zeroed(needed + 63);
        for offset in 0..64 {
            let scratch = &mut memory[offset..offset + needed];
            let mut session = Session::new(model, options, scratch).expect("enough scratch");
            session.feed(&Machine::SCALAR, &[1, 2, 3]).expect("tokens of the vocabulary");
        }
        let error = OptionsError::ScratchTooShort { needed, given: needed - 1 };
        assert_eq!(Session::new(model, options, &mut memory[..needed - 1]).err(), Some(error));
    }
}

#[test]
fn a_token_outside_the_vocabulary_feeds_nothing() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    let options = Options { chunk: 2, ..Options::for_model(&model) };
    with_session(&model, options, |session| {
        session.feed(&Machine::SCALAR, &[1, 2, 3]).expect("tokens of the vocabulary");
        let before = session.logits(&Machine::SCALAR).to_vec();
        let error = Err(FeedError::UnknownToken { id: 50, index: 3 });
        assert_eq!(session.feed(&Machine::SCALAR, &[4, 5, 6, 50, 7]), error);
        let each = &mut |_: usize, _: &[f32]| panic!("nothing was fed");
        assert_eq!(session.feed_each(&Machine::SCALAR, &[4, 5, 6, 50, 7], each), error);
        assert_eq!(session.len(), 3);
        assert_eq!(session.logits(&Machine::SCALAR), before);
        session.feed(&Machine::SCALAR, &[]).expect("no token is no error");
        assert_eq!(session.logits(&Machine::SCALAR), before);
    });
}
