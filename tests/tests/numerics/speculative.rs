//! A stream with drafts is, bit for bit, the stream without.

use oarlock::internal::format::Config;
use oarlock::internal::format::layout::WeightType;
use oarlock::{Drafts, KvType, Machine, Model, Options, Sampler, Sampling, Session};
use oarlock_tests::{Random, Synthetic, with_session};

/// Few words, so that a text of random ones repeats itself.
fn model() -> Synthetic {
    let config = Config {
        vocab_size: 5,
        dim: 32,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 8,
        ffn_dim: 48,
        context: 128,
        rot_dim: 8,
        norm_eps: 1e-5,
        score_scale: 0.35,
        tied: false,
        ..Config::default()
    };
    Synthetic::new(config, WeightType::Int8, 5)
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|v| v.to_bits()).collect()
}

/// The logits after each of a few tokens.
fn scored(session: &mut Session<'_>) -> Vec<u32> {
    let mut all = vec![];
    let each = &mut |_: usize, row: &[f32]| all.extend(bits(row));
    session.feed_each(&Machine::SCALAR, &[0, 3, 2], each).expect("known tokens");
    all
}

/// A stream without drafts and one with them, to which the same is done.
struct Twins<'s, 'p, 'a> {
    plain: &'s mut Session<'p>,
    ahead: &'s mut Session<'a>,
    samplers: [Sampler; 2],
}

impl Twins<'_, '_, '_> {
    /// Does something to both that a conversation might.
    fn act(&mut self, random: &mut Random) {
        let machine = &Machine::SCALAR;
        match random.below(20) {
            0 => {
                let turn: Vec<u32> =
                    (0..random.below(12)).map(|_| random.below(5) as u32).collect();
                self.both(|session| session.feed(machine, &turn).expect("known tokens"));
            }
            1 => {
                let back = random.below(6).min(self.plain.len() as usize) as u64;
                self.both(|session| session.truncate(session.len() - back).expect("just fed"));
                self.both(|session| session.feed(machine, &[1]).expect("known tokens"));
            }
            2 => assert_eq!(scored(self.plain), scored(self.ahead)),
            _ => {
                let token = self.sample();
                let most = random.below(9);
                self.plain.feed(machine, &[token]).expect("a known token");
                self.ahead.feed_speculative(machine, token, most).expect("a known token");
            }
        }
    }

    fn both(&mut self, act: impl Fn(&mut Session<'_>)) {
        act(self.plain);
        act(self.ahead);
    }

    fn sample(&mut self) -> u32 {
        let [a, b] = &mut self.samplers;
        let token = self.plain.sample(&Machine::SCALAR, a);
        assert_eq!(self.ahead.sample(&Machine::SCALAR, b), token);
        token
    }

    fn compare(&mut self) {
        assert_eq!(self.plain.len(), self.ahead.len());
        assert!(self.plain.visible().eq(self.ahead.visible()));
        let plain = bits(self.plain.logits(&Machine::SCALAR));
        assert!(!plain.is_empty());
        assert_eq!(plain, bits(self.ahead.logits(&Machine::SCALAR)));
    }
}

/// Random walks through everything that can happen to a stream, round and round the ring.
#[test]
fn drafts_leave_no_trace() {
    let synthetic = model();
    let model = Model::open(&synthetic.file).expect("a good file");
    let mut all = Drafts::default();
    for (seed, context, sinks, chunk) in
        [(1, 9, 2, 6), (2, 40, 4, 7), (3, 33, 0, 9), (4, 70, 33, 64)]
    {
        for (kv, temp) in [(KvType::Int8, 0.0), (KvType::F32, 0.8)] {
            let options = Options { context, sinks, kv, chunk, ..Options::for_model(&model) };
            let drafting = Options { draft: 8, ..options };
            with_session(&model, options, |plain| {
                with_session(&model, drafting, |ahead| {
                    let sampling = Sampling { temp, repeat_penalty: 1.2, ..Sampling::default() };
                    let samplers = [Sampler::new(sampling, seed), Sampler::new(sampling, seed)];
                    let mut random = Random::new(seed);
                    let mut twins = Twins { plain, ahead, samplers };
                    twins.both(|s| s.feed(&Machine::SCALAR, &[1, 2, 3, 4, 1]).expect("known"));
                    for _ in 0..400 {
                        twins.act(&mut random);
                        twins.compare();
                    }
                    all.drafted += ahead.drafts().drafted;
                    all.accepted += ahead.drafts().accepted;
                });
            });
        }
    }
    assert!(all.accepted > 100 && all.drafted > all.accepted, "{all:?}");
}
