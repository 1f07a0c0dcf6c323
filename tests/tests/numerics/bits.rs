//! The same bits from every instruction set, number of threads and chunk size, while the
//! ring wraps; and the same again after tokens were taken back.

use oarlock::internal::format::layout::{WeightType, matrix_bytes};
use oarlock::internal::format::{Activation, Clamped, Config, Mlp, Norm, Norms, Positions, QkNorm};
use oarlock::internal::format::{Residual, Routing, Scale};
use oarlock::{Isa, KvType, Machine, Model, Options, Session, TruncateError};
use oarlock_tests::{Aligned, Random, Synthetic, Threads, isas};

/// Whether the CPU is not one (`.ci/arm` says so).
fn emulated() -> bool {
    std::env::var_os("OARLOCK_EMULATED").is_some()
}

fn model(kind: WeightType) -> Synthetic {
    let config = Config {
        vocab_size: 83,
        dim: 40,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 36,
        ffn_dim: 70,
        context: 4096,
        rot_dim: 36,
        norm_eps: 1e-5,
        score_scale: 0.167,
        tied: kind == WeightType::Int8,
        ..Config::default()
    };
    Synthetic::new(config, kind, 5)
}

fn tokens(n: usize) -> Vec<u32> {
    let mut random = Random::new(11);
    (0..n).map(|_| random.below(83) as u32).collect()
}

fn options(context: usize, sinks: usize, kv: KvType, chunk: usize) -> Options {
    Options { context, sinks, kv, chunk, draft: 0, logit_rows: 5, base_position: 0 }
}

/// A session in scratch that holds anything, handed to `f`.
fn with_session<T>(
    model: &Synthetic,
    options: Options,
    f: impl FnOnce(&mut Session<'_>) -> T,
) -> T {
    let opened = Model::open(&model.file).expect("a good file");
    let mut scratch = Aligned::zeroed(Session::bytes_needed(&opened, &options).expect("fits"));
    scratch.fill(0xFF);
    f(&mut Session::new(opened, options, &mut scratch).expect("enough scratch"))
}

/// The bits of the logits of every token.
fn all_logits(
    model: &Synthetic,
    options: Options,
    machine: Machine<'_>,
    tokens: &[u32],
) -> Vec<u32> {
    with_session(model, options, |session| {
        let mut bits = Vec::new();
        session
            .feed_each(&machine, tokens, &mut |_, logits| {
                bits.extend(logits.iter().map(|v| v.to_bits()));
            })
            .expect("tokens of the vocabulary");
        bits
    })
}

#[test]
fn isa_threads_and_chunk_leave_no_trace() {
    let caches = [KvType::F32, KvType::Int8, KvType::F16, KvType::Int8].into_iter().cycle();
    for (kind, kv) in WeightType::ALL.into_iter().zip(caches) {
        let model = model(kind);
        // An emulator starts threads slowly: there one ring of each type has to do.
        let rings = [(33, 1), (2, 0), (50, 4), (90, 45)];
        let rings = if emulated() { &rings[..1] } else { &rings[..] };
        for &(context, sinks) in rings {
            // Twice round the largest storage of these: window, slack and a tile.
            let tokens = tokens(2 * (context - sinks + 63 + 32));
            let plain = options(context, sinks, kv, 1);
            let expected = all_logits(&model, plain, Machine::SCALAR, &tokens);
            assert!(expected.iter().all(|&bits| f32::from_bits(bits).is_finite()));
            for isa in isas().into_iter().skip(usize::from(emulated())) {
                // One token at a time on threads of their own takes long: once is enough.
                let decode = if sinks == 1 { 3 } else { 1 };
                for (threads, chunk) in [(decode, 1), (1, 64), (2, 15), (3, 64)] {
                    let machine = Machine { isa, exec: &Threads(threads) };
                    let options = Options { chunk, ..plain };
                    assert!(
                        all_logits(&model, options, machine, &tokens) == expected,
                        "{} {threads} threads {options:?} {}",
                        isa.name(),
                        kind.name(),
                    );
                }
            }
        }
    }
}

/// Every option of a family at least once.
#[test]
fn options_of_families_leave_no_trace() {
    let base = *Model::open(&model(WeightType::Int4).file).expect("a good file").config();
    let (n_layers, n_experts, n_experts_used, expert_ffn_dim) = (3, 7, 3, 21);
    let experts = Config { n_layers, n_experts, n_experts_used, expert_ffn_dim, ..base };
    let families = [
        Config { norms: Norms::After, qk_norm: QkNorm::Whole, ..base },
        Config { qk_norm: QkNorm::Head, residual_scale: Scale(0.3), ..base },
        Config { norm: Norm::Layer, logit_scale: Scale(0.5), rot_dim: 12, ..base },
        Config {
            norm: Norm::Layer,
            residual: Residual::Parallel,
            embedding_scale: Scale(2.5),
            ..base
        },
        Config {
            norms: Norms::Both,
            activation: Activation::GeluTanh,
            score_cap: Some(2.0),
            logit_cap: Some(3.0),
            window: 17,
            local_rope: true,
            ..base
        },
        Config {
            norm: Norm::Layer,
            mlp: Mlp::Plain,
            activation: Activation::GeluErf,
            residual: Residual::ParallelTwoNorms,
            window: 32,
            output_bias: true,
            qkv_limit: Some(0.7),
            ..base
        },
        Config {
            norm: Norm::Layer,
            mlp: Mlp::Plain,
            activation: Activation::ReluSquared,
            positions: Positions::Alibi,
            rot_dim: 0,
            embedding_norm: true,
            ..base
        },
        Config {
            positions: Positions::Learned,
            rot_dim: 0,
            activation: Activation::Relu,
            window: 1,
            ..base
        },
        Config { sink_logits: true, window: 9, ..base },
        Config { differential: true, ..base },
        Config { routing: Routing::Chosen, ..experts },
        Config {
            shared_ffn_dim: 50,
            clamped: Some(Clamped { slope: 1.5, limit: 0.9 }),
            residual_scale: Scale(0.7),
            ..experts
        },
        Config { norms: Norms::After, mlp: Mlp::Plain, n_experts_used: 1, ..experts },
        // All of gpt-oss together; its second layer sees everything.
        Config {
            routing: Routing::Chosen,
            clamped: Some(Clamped { slope: 1.702, limit: 1.2 }),
            sink_logits: true,
            window: 9,
            ..experts
        },
        // More experts of a token than run together.
        Config { n_experts: 40, n_experts_used: 20, ..experts },
        // OLMoE.
        Config { qk_norm: QkNorm::Whole, qkv_limit: Some(0.7), ..experts },
        // Both types of cache at once, of layers with a window and without.
        Config { key_outliers: true, n_layers: 4, window: 9, ..base },
    ];
    for (config, kind) in
        families.into_iter().zip([WeightType::Int4, WeightType::F32].iter().cycle())
    {
        let (model, tokens) = (Synthetic::new(config, *kind, 5), tokens(150));
        let plain = options(33, 3, KvType::Int8, 1);
        let expected = all_logits(&model, plain, Machine::SCALAR, &tokens);
        assert!(expected.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        for isa in isas() {
            for (threads, chunk) in [(1, 1), (3, 64)] {
                let machine = Machine { isa, exec: &Threads(threads) };
                let got = all_logits(&model, Options { chunk, ..plain }, machine, &tokens);
                assert!(got == expected, "{} {threads} threads {config:?}", isa.name());
            }
        }
    }
}

/// Experts that no token goes through need not be in memory, which may be smaller than the model:
/// whatever lies where the others are makes no difference, and each that is used makes one.
#[test]
fn experts_that_no_token_goes_through_are_not_read() {
    let base = *Model::open(&model(WeightType::Int8).file).expect("a good file").config();
    let (n_layers, n_experts, n_experts_used, expert_ffn_dim) = (3, 7, 3, 21);
    let config = Config { n_layers, n_experts, n_experts_used, expert_ffn_dim, ..base };
    let machine = Machine { isa: isas().pop().unwrap_or(Isa::SCALAR), exec: &Threads(2) };
    for n in [1, 2] {
        let logits = |model: &Synthetic| {
            all_logits(model, options(33, 3, KvType::Int8, 2), machine, &tokens(n))
        };
        let good = Synthetic::new(config, WeightType::Int8, 5);
        let expected = logits(&good);
        // Of three layers two have experts.
        for layer in [0, 1] {
            let same = (0..n_experts).filter(|&expert| {
                let mut model = Synthetic::new(config, WeightType::Int8, 5);
                for range in expert_bytes(&good.file, layer, expert) {
                    model.file[range].fill(0xFF);
                }
                logits(&model) == expected
            });
            let unused = n_experts - n_experts_used;
            let same = same.count();
            let least = n_experts.saturating_sub(n * n_experts_used);
            assert!((least..=unused).contains(&same), "layer {layer}: {same} of {n_experts}");
        }
    }
}

/// Ranges of a file in which the matrices of an expert lie.
fn expert_bytes(file: &[u8], layer: usize, expert: usize) -> Vec<std::ops::Range<usize>> {
    let model = Model::open(file).expect("a good file");
    let stacks = model.tensors().filter(|t| t.experts.is_some() && t.layer == Some(layer));
    let matrices = stacks.filter(|t| !t.role.is_vector());
    let range = |t: oarlock::internal::model::Tensor<'_>| {
        let len = matrix_bytes(WeightType::Int8, t.rows, t.cols).expect("small");
        let first = t.extent.offset as usize + expert * len.next_multiple_of(64);
        first..first + len
    };
    matrices.map(range).collect()
}

#[test]
fn kv_splits_leave_no_trace() {
    let (model, tokens) = (model(WeightType::Int8), tokens(2500));
    let fastest = isas().pop().unwrap_or(Isa::SCALAR);
    let logits = |isa, threads, chunk| {
        let options = options(1100, 4, KvType::Int8, chunk);
        all_logits(&model, options, Machine { isa, exec: &Threads(threads) }, &tokens)
    };
    assert!(logits(fastest, 2, 64) == logits(fastest, 1, 1));
}

#[test]
fn tokens_taken_back_leave_no_trace() {
    let (model, tokens) = (model(WeightType::Int4a), tokens(200));
    for (context, sinks, chunk, draft) in
        [(2, 1, 1, 4), (33, 4, 7, 6), (64, 0, 16, 0), (40, 20, 1, 1)]
    {
        let options = Options { draft, ..options(context, sinks, KvType::Int8, chunk) };
        let slack = chunk.max(draft + 1) - 1;
        let straight = all_logits(&model, options, Machine::SCALAR, &tokens);
        let again = with_session(&model, options, |session| {
            let (mut bits, mut fed) = (Vec::new(), 0);
            while fed < tokens.len() {
                let back = slack.min(fed);
                session.truncate((fed - back) as u64).expect("within the slack");
                let end = (fed + 1).max(fed + slack).min(tokens.len());
                let part = &tokens[fed - back..end];
                let each = &mut |i: usize, logits: &[f32]| {
                    if i >= back {
                        bits.extend(logits.iter().map(|v| v.to_bits()));
                    }
                };
                session.feed_each(&Machine::SCALAR, part, each).expect("tokens of the vocabulary");
                // A draft that is rejected.
                let wrong: Vec<u32> = tokens.iter().rev().take(slack).copied().collect();
                session.feed(&Machine::SCALAR, &wrong).expect("tokens of the vocabulary");
                session.truncate(end as u64).expect("within the slack");
                fed = end;
            }
            bits
        });
        assert!(again == straight, "{options:?}");
    }
}

#[test]
fn what_is_forgotten_cannot_be_gone_back_to() {
    let (model, tokens) = (model(WeightType::Int8), tokens(400));
    let options = Options { draft: 3, ..options(64, 4, KvType::Int8, 8) };
    with_session(&model, options, |session| {
        session.feed(&Machine::SCALAR, &tokens).expect("tokens of the vocabulary");
        assert_eq!(session.truncate(401), Err(TruncateError::NotReached));
        assert_eq!(session.truncate(300), Err(TruncateError::Forgotten));
        assert_eq!(session.truncate(393), Ok(()));
        assert!(session.logits(&Machine::SCALAR).is_empty());
        // Twice the slack in two steps is as far as in one.
        assert_eq!(session.truncate(330), Err(TruncateError::Forgotten));
        assert_eq!(session.len(), 393);
        assert_eq!(session.truncate(2), Ok(()), "the sinks are always there");
        assert_eq!(session.visible().collect::<Vec<_>>(), tokens[..2]);
    });
}

#[test]
fn a_reset_session_is_a_new_one() {
    let (model, tokens) = (model(WeightType::Int8), tokens(150));
    let fresh = |sinks| {
        let options = options(48, sinks, KvType::Int8, 7);
        all_logits(&model, options, Machine::SCALAR, &tokens)
    };
    with_session(&model, options(48, 4, KvType::Int8, 7), |session| {
        for sinks in [24, 0, 4, 1] {
            session.reset(sinks).expect("at most half");
            assert!(session.is_empty() && session.visible().next().is_none());
            let mut bits = Vec::new();
            let each = &mut |_: usize, logits: &[f32]| {
                bits.extend(logits.iter().map(|v| v.to_bits()));
            };
            session.feed_each(&Machine::SCALAR, &tokens, each).expect("tokens of the vocabulary");
            assert!(bits == fresh(sinks), "{sinks} sinks");
            let window = tokens[150 - 48 + sinks..].iter();
            assert!(session.visible().eq(tokens[..sinks].iter().chain(window).copied()));
            let last: Vec<u32> =
                session.logits(&Machine::SCALAR).iter().map(|v| v.to_bits()).collect();
            assert!(bits.ends_with(&last) && last.len() == 83);
        }
        assert!(session.reset(25).is_err());
    });
}
