//! Requests that a session refuses, and the state that it leaves as it was.

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, Positions};
use oarlock::{FeedError, KvType, Machine, Model, Options, OptionsError, RestoreError, Session};
use oarlock_tests::{Aligned, Random, Synthetic, with_session};

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
    assert_eq!((of(&int8).context, of(&int8).sinks, of(&int8).kv), (128, 4, KvType::F16));
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

/// A limit that a ring cannot lift: each token needs a position that the model has learned.
#[test]
fn learned_positions_end() {
    let config =
        Config { positions: Positions::Learned, rot_dim: 0, context: 40, ..model().config };
    let synthetic = Synthetic::new(config, WeightType::Int8, 9);
    let model = Model::open(&synthetic.file).expect("a good file");
    let good = Options { context: 16, ..Options::for_model(&model) };
    for (context, base_position) in [(41, 0), (40, 1), (16, 25), (16, u64::MAX)] {
        let options = Options { context, base_position, ..good };
        let error = OptionsError::NoPositions { most: 40 };
        assert_eq!(Session::bytes_needed(&model, &options), Err(error));
    }
    for base_position in [0, 9] {
        let most = 40 - base_position;
        let tokens: Vec<u32> = (0..most as u32).collect();
        let options = Options { base_position, ..good };
        with_session(&model, options, |session| {
            let feed = |session: &mut Session<'_>, tokens| session.feed(&Machine::SCALAR, tokens);
            feed(session, &tokens[1..]).expect("positions enough");
            let before = session.logits(&Machine::SCALAR).to_vec();
            let error = FeedError::NoPositions { most };
            assert_eq!(feed(session, &[1, 2]), Err(error), "not even the first");
            assert_eq!(session.len(), most - 1);
            assert_eq!(session.logits(&Machine::SCALAR), before, "as if nothing had been asked");
            feed(session, &[1]).expect("the last position");
            assert_eq!(feed(session, &[1]), Err(error));
            session.truncate(most - 2).expect("within the slack");
            feed(session, &[3, 4]).expect("there is room again");
            session.reset(4).expect("as before");
            feed(session, &tokens).expect("a new stream has all of them");
        });
    }
}

#[test]
fn the_bytes_needed_are_enough_at_any_alignment_and_one_less_is_not() {
    let config = Config { key_outliers: true, n_layers: 2, ..model().config };
    let synthetic = Synthetic::new(config, WeightType::Int8, 9);
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

fn saved(session: &mut Session<'_>) -> Vec<u8> {
    let mut state = Vec::new();
    let done: Result<(), ()> = session.save(&mut |bytes| {
        state.extend_from_slice(bytes);
        Ok(())
    });
    done.expect("memory takes everything");
    state
}

/// Restores from bytes, of which none may be left over or missing.
fn restored(session: &mut Session<'_>, mut state: &[u8]) -> Result<(), RestoreError<()>> {
    session.restore(&mut |place| {
        let (now, later) = state.split_at_checked(place.len()).ok_or(())?;
        place.copy_from_slice(now);
        state = later;
        Ok(())
    })?;
    if state.is_empty() { Ok(()) } else { Err(RestoreError::Source(())) }
}

/// 40 tokens, one at a time: the bits of all logits.
fn bits_ahead(session: &mut Session<'_>) -> Vec<u32> {
    let mut bits = Vec::new();
    for token in 0..40 {
        session
            .feed_speculative(&Machine::SCALAR, token % 7, 9)
            .expect("a token of the vocabulary");
        bits.extend(session.logits(&Machine::SCALAR).iter().map(|v| v.to_bits()));
    }
    bits
}

#[test]
fn a_restored_session_goes_on_with_the_same_bits() {
    let config = Config { n_layers: 3, key_outliers: true, ..model().config };
    let synthetic = Synthetic::new(config, WeightType::Int8, 9);
    let model = Model::open(&synthetic.file).expect("a good file");
    for kv in [KvType::Int8, KvType::F16, KvType::F32] {
        let options = Options {
            context: 70,
            kv,
            chunk: 5,
            draft: 3,
            base_position: 1 << 40,
            ..Options::for_model(&model)
        };
        // Nothing, sinks only, half a ring, one that has wrapped several times.
        for (len, sinks) in [(0, 4), (3, 4), (50, 4), (333, 20)] {
            let tokens: Vec<u32> = (0..len).map(|i| i * i % 50).collect();
            let (state, right) = with_session(&model, options, |session| {
                session.reset(sinks).expect("few enough");
                session.feed(&Machine::SCALAR, &tokens).expect("tokens of the vocabulary");
                let state = saved(session);
                assert_eq!(saved(session), state, "saving changes nothing");
                (state, bits_ahead(session))
            });
            let needed = Session::bytes_needed(&model, &options).expect("fits");
            let mut scratch = Aligned::zeroed(needed);
            scratch.fill(0xAB); // whatever was there before
            let mut session = Session::new(model, options, &mut scratch).expect("enough");
            restored(&mut session, &state).expect("a state of the same session");
            assert_eq!((session.len(), session.options().sinks), (u64::from(len), sinks));
            assert!(session.logits(&Machine::SCALAR).is_empty());
            assert!(bits_ahead(&mut session) == right, "{kv:?}, {len} tokens, {sinks} sinks");
            assert!(restored(&mut session, &state[..state.len() - 1]).is_err());
        }
    }
}

/// Nothing of what was forgotten or taken back is saved, nor what lay in the scratch.
#[test]
fn a_stream_gives_the_same_state_whatever_went_before_it() {
    let config = Config { n_layers: 4, window: 40, key_outliers: true, ..model().config };
    let synthetic = Synthetic::new(config, WeightType::Int8, 9);
    let model = Model::open(&synthetic.file).expect("a good file");
    for kv in [KvType::Int8, KvType::F16, KvType::F32] {
        let options = Options { context: 70, kv, chunk: 5, draft: 3, ..Options::for_model(&model) };
        let tokens: Vec<u32> = (0..37).map(|i| i * i % 50).collect();
        let after = |fill: u8, before: &[u32], taken_back: &[u32]| {
            let needed = Session::bytes_needed(&model, &options).expect("fits");
            let mut scratch = Aligned::zeroed(needed);
            scratch.fill(fill);
            let mut session = Session::new(model, options, &mut scratch).expect("enough");
            for (fed, tokens) in [(before, &tokens[..20]), (taken_back, &tokens[20..])] {
                let len = session.len();
                session.feed(&Machine::SCALAR, fed).expect("tokens of the vocabulary");
                match len {
                    0 => session.reset(4).expect("few enough"),
                    _ => session.truncate(len).expect("it remembers"),
                }
                session.feed(&Machine::SCALAR, tokens).expect("tokens of the vocabulary");
            }
            saved(&mut session)
        };
        let plain = after(0, &[], &[]);
        let (secret, more) = ([49; 60], [48; 9]);
        assert!(after(0xAB, &[], &[]) == plain, "{kv:?}");
        assert!(after(0xAB, &secret, &[]) == plain, "{kv:?}");
        assert!(after(0xAB, &secret, &more) == plain, "{kv:?}");
    }
}

/// In place, over what the stream held since: layers with a window have long let go of what comes
/// back.
#[test]
fn a_session_goes_back_in_place_after_its_rings_have_come_round() {
    let config = Config { n_layers: 4, window: 9, key_outliers: true, ..model().config };
    let synthetic = Synthetic::new(config, WeightType::Int8, 9);
    let model = Model::open(&synthetic.file).expect("a good file");
    for kv in [KvType::Int8, KvType::F16, KvType::F32] {
        let options = Options { context: 70, kv, chunk: 5, draft: 3, ..Options::for_model(&model) };
        let other: Vec<u32> = (0..187).map(|i| (3 * i + 1) % 50).collect();
        for len in [0, 30, 333] {
            let before: Vec<u32> = (0..len).map(|i| i * i % 50).collect();
            let feed = |session: &mut Session<'_>, tokens: &[u32]| {
                session.feed(&Machine::SCALAR, tokens).expect("tokens of the vocabulary");
            };
            let right = with_session(&model, options, |session| {
                feed(session, &before);
                bits_ahead(session)
            });
            let found = with_session(&model, options, |session| {
                feed(session, &before);
                let state = saved(session);
                feed(session, &other);
                restored(session, &state).expect("its own state");
                bits_ahead(session)
            });
            assert!(found == right, "{kv:?}, {len} tokens before");
        }
    }
}

#[test]
fn states_of_other_sessions_are_refused() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    let ours = Options { context: 70, chunk: 5, draft: 3, ..Options::for_model(&model) };
    for (other, error) in [
        (Options { context: 71, ..ours }, RestoreError::Context(71)),
        (Options { kv: KvType::Int8, ..ours }, RestoreError::Kv(KvType::Int8)),
        (Options { chunk: 6, ..ours }, RestoreError::Slack { chunk: 6, draft: 3 }),
        (Options { base_position: 1, ..ours }, RestoreError::BasePosition(1)),
    ] {
        let state = with_session(&model, other, saved);
        with_session(&model, ours, |session| {
            session.feed(&Machine::SCALAR, &[1, 2, 3]).expect("tokens of the vocabulary");
            assert_eq!(restored(session, &state), Err(error));
            assert_eq!(session.len(), 3, "as it was");
        });
    }
    let same = with_session(&model, Options { chunk: 8, draft: 0, ..ours }, saved);
    assert_eq!(with_session(&model, ours, |session| restored(session, &same)), Ok(()));
}

/// Whatever is restored: an error, or a session that runs.
#[test]
fn damaged_states_are_harmless() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    let options = Options { context: 40, chunk: 5, ..Options::for_model(&model) };
    let mut random = Random::new(3);
    with_session(&model, options, |session| {
        session.feed(&Machine::SCALAR, &[9; 100]).expect("tokens of the vocabulary");
        let good = saved(session);
        for _ in 0..300 {
            let mut state = good.clone();
            for _ in 0..4 {
                // Mostly the header and the tokens behind it.
                let reach = if random.below(4) == 0 { state.len() } else { 200 };
                let at = random.below(reach);
                state[at] = random.bits() as u8;
            }
            state.truncate(state.len() - random.below(2) * random.below(good.len()));
            // Whether it was taken over is not the question.
            let _ = restored(session, &state);
            assert!(session.len() <= 1 << 62);
            session.feed_speculative(&Machine::SCALAR, 1, 0).expect("a token of the vocabulary");
            assert_eq!(session.logits(&Machine::SCALAR).len(), 50);
        }
    });
}
