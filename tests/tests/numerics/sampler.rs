//! The sampler against `transformers`' processors, and its draws against the probabilities.

use std::hint::black_box;

use oarlock::{Candidate, Sampler, Sampling};
use oarlock_tests::{Random, fixture};
use serde_json::Value;

const VOCAB: usize = 49_152;

/// Nothing is kept out and nothing changed.
const OFF: Sampling = Sampling { temp: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0 };

fn candidates(sampling: Sampling, logits: &[f32], visible: &[u32]) -> Vec<Candidate> {
    let mut slots = vec![Candidate::default(); logits.len()];
    let sampler = Sampler::new(sampling, 0);
    sampler.candidates(logits, visible.iter().copied(), &mut slots).to_vec()
}

fn ids(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
    candidates(sampling, logits, &[]).iter().map(|c| c.id).collect()
}

fn sample(sampling: Sampling, seed: u64, logits: &[f32], visible: &[u32]) -> u32 {
    let mut slots = vec![Candidate::default(); logits.len()];
    Sampler::new(sampling, seed).sample(logits, visible.iter().copied(), &mut slots)
}

/// `tests/golden/sampler.py` says how the logits of a case come from its seed.
fn golden_logits(case: &Value) -> Vec<f32> {
    let number = |key: &str| case[key].as_u64().unwrap_or_else(|| panic!("{key} in {case}"));
    let mut random = Random::new(number("seed"));
    let (drop, scale) = (number("drop"), 2.0_f64.powi(-(number("shift") as i32)));
    let logit = |bits: u64| {
        let fields: i64 = [0, 16, 32, 48].map(|at| (bits >> at & 0xFFFF) as i64).iter().sum();
        (((fields - 131_070) >> drop << drop) as f64 * scale) as f32
    };
    (0..VOCAB).map(|_| logit(random.bits())).collect()
}

fn fnv1a(ids: &[u32]) -> u64 {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    })
}

#[test]
fn keeps_what_transformers_keeps() {
    let text = std::fs::read_to_string(fixture("sampler.json")).expect("a readable fixture");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(cases.len(), 1000);
    for case in &cases {
        let number = |key: &str| case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"));
        let sampling = Sampling {
            temp: number("temperature"),
            top_k: number("top_k") as u32,
            top_p: number("top_p"),
            min_p: number("min_p"),
            repeat_penalty: number("penalty"),
        };
        let seen = case["seen"].as_array().expect("a list").iter();
        let seen: Vec<u32> = seen.map(|id| id.as_u64().expect("an id") as u32).collect();
        let kept = candidates(sampling, &golden_logits(case), &seen);
        assert!(kept.is_sorted_by(|a, b| a.weight >= b.weight));
        let mut ids: Vec<u32> = kept.iter().map(|c| c.id).collect();
        ids.sort_unstable();
        let fnv = format!("{:016x}", fnv1a(&ids));
        assert_eq!(
            (ids.len() as u64, fnv.as_str()),
            (number("count") as u64, case["fnv"].as_str().unwrap()),
            "{sampling:?}, seed {}",
            case["seed"]
        );
    }
}

/// 100,000 draws with one seed; the statistic of a wrong distribution grows with their number.
#[test]
fn draws_by_probability() {
    let mut random = Random::new(7);
    let logits: Vec<f32> = (0..1000).map(|_| (2.0 * random.normal()) as f32).collect();
    for sampling in [
        Sampling { temp: 1.5, top_k: 40, ..OFF },
        Sampling { temp: 0.8, top_p: 0.9, ..OFF },
        Sampling { min_p: 0.02, repeat_penalty: 1.2, ..OFF },
    ] {
        let visible: Vec<u32> = (0..500).collect();
        let kept = candidates(sampling, &logits, &visible);
        let total: f64 = kept.iter().map(|c| c.weight).sum();
        let mut counts = vec![0_u32; logits.len()];
        let mut slots = vec![Candidate::default(); logits.len()];
        let mut sampler = Sampler::new(sampling, 42);
        for _ in 0..100_000 {
            counts[sampler.sample(&logits, visible.iter().copied(), &mut slots) as usize] += 1;
        }
        let chi_square: f64 = kept
            .iter()
            .map(|c| {
                let expected = 100_000.0 * c.weight / total;
                (f64::from(counts[c.id as usize]) - expected).powi(2) / expected
            })
            .sum();
        let drawn: u32 = kept.iter().map(|c| counts[c.id as usize]).sum();
        assert_eq!(drawn, 100_000, "a token was drawn that is not kept");
        // The mean is the degrees of freedom, the variance twice that; 4 σ.
        let freedom = kept.len() as f64 - 1.0;
        let limit = freedom + 4.0 * (2.0 * freedom).sqrt();
        assert!(chi_square < limit, "χ² {chi_square} of {freedom}, {sampling:?}");
    }
}

/// The weights themselves, against the textbook softmax of the host's `exp`.
#[test]
fn weights_are_the_softmax() {
    let mut random = Random::new(8);
    let logits: Vec<f32> = (0..1000).map(|_| (5.0 * random.normal()) as f32).collect();
    let sampling = Sampling { temp: 0.6, ..OFF };
    let kept = candidates(sampling, &logits, &[]);
    assert_eq!(kept.len(), logits.len());
    let most = f64::from(logits[kept[0].id as usize]);
    for c in kept {
        let right = ((f64::from(logits[c.id as usize]) - most) / 0.6).exp();
        assert!((c.weight - right).abs() <= 1e-15 * right, "{} for {right}", c.weight);
    }
}

#[test]
fn the_same_seed_draws_the_same_tokens() {
    let mut random = Random::new(9);
    let logits: Vec<f32> = (0..1000).map(|_| random.normal() as f32).collect();
    let mut slots = vec![Candidate::default(); 1000];
    let mut run = |seed| {
        let mut sampler = Sampler::new(Sampling::default(), seed);
        [(); 32].map(|()| sampler.sample(&logits, [].into_iter(), &mut slots))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    // Everything that the draws rest on is defined, so these hold on every machine.
    assert_eq!(run(1)[..8], GOLDEN_DRAWS);
}

const GOLDEN_DRAWS: [u32; 8] = [868, 678, 387, 678, 637, 746, 565, 377];

#[test]
fn greedy_takes_the_lower_id_and_the_penalty() {
    let greedy = Sampling { temp: 0.0, ..OFF };
    assert_eq!(sample(greedy, 0, &[1.0, 3.0, 3.0, 2.0], &[]), 1);
    let penalized = Sampling { repeat_penalty: 2.0, ..greedy };
    assert_eq!(sample(penalized, 0, &[1.0, 3.0, 2.0, 2.0], &[1]), 2);
    // Seen twice, paid once.
    assert_eq!(sample(penalized, 0, &[1.0, 3.0], &[1, 1]), 1);
    // A negative logit moves down as well.
    assert_eq!(sample(penalized, 0, &[-1.0, -1.5], &[0]), 1);
}

#[test]
fn top_k_keeps_ties_with_the_last() {
    let k = |top_k| Sampling { top_k, ..OFF };
    let logits = [1.0, 2.0, 2.0, 3.0, 2.0, 0.0];
    assert_eq!(ids(k(1), &logits), [3]);
    assert_eq!(ids(k(2), &logits), [3, 1, 2, 4]);
    assert_eq!(ids(k(5), &logits), [3, 1, 2, 4, 0]);
    assert_eq!(ids(k(9), &logits), [3, 1, 2, 4, 0, 5]);
    // So many ties that nothing can be cut.
    assert_eq!(ids(k(3), &vec![0.5; VOCAB]).len(), VOCAB);
    assert_eq!(ids(k(1), &[0.0, -0.0]), [0, 1]);
}

/// Ascending logits defeat the pass that keeps what is large so far: each is the largest.
#[test]
fn top_k_stands_any_order() {
    let rising: Vec<f32> = (0..VOCAB).map(|i| i as f32 / 1000.0).collect();
    let falling: Vec<f32> = rising.iter().rev().copied().collect();
    for top_k in [1, 2, 255, 256, 257, 5000] {
        let sampling = Sampling { top_k, ..OFF };
        let last = VOCAB as u32;
        assert!(ids(sampling, &rising).into_iter().eq((last - top_k..last).rev()));
        assert!(ids(sampling, &falling).into_iter().eq(0..top_k));
    }
}

#[test]
fn steps_that_are_off_keep_everything() {
    let logits = [0.1, -5.0, 2.0];
    assert_eq!(ids(OFF, &logits).len(), 3);
    assert_eq!(ids(Sampling { top_p: 0.0, ..OFF }, &logits), [2]);
    assert_eq!(ids(Sampling { min_p: 1.0, ..OFF }, &logits), [2]);
}

#[test]
fn survives_what_is_not_a_number() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for temp in [0.0, 1e-300, 1.0] {
        for repeat_penalty in [1.0, 1.5] {
            let sampling = Sampling { temp, repeat_penalty, ..Sampling::default() };
            for seed in 0..20 {
                assert_eq!(sample(sampling, seed, &[nan, 1.0, nan, -inf], &[0, 1]), 1);
                assert_eq!(sample(sampling, seed, &[1.0, inf, nan], &[0, 2]), 1);
                assert_eq!(sample(sampling, seed, &[nan, -inf], &[0, 1, 7, u32::MAX]), 0);
                assert_eq!(sample(sampling, seed, &[], &[0]), 0);
            }
        }
    }
    // Settings out of their range are refused by `check`, and harmless without it.
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        for sampling in [
            Sampling { temp: wrong, ..OFF },
            Sampling { top_p: wrong, ..OFF },
            Sampling { min_p: wrong, ..OFF },
            Sampling { repeat_penalty: wrong, ..OFF },
        ] {
            assert!(sampling.check().is_err());
            assert!(sample(sampling, 1, &[0.0, 1.0, nan], &[1]) < 3);
        }
    }
    assert!(OFF.check().is_ok() && Sampling::default().check().is_ok());
}

/// One draw for each token, whatever was kept: the stream of a seed does not depend on it.
#[test]
fn every_sampled_token_costs_one_draw() {
    let logits = [0.0, 0.1, 0.2, 0.3];
    let mut slots = [Candidate::default(); 4];
    let after = |first: &[f32], slots: &mut [Candidate]| {
        let mut sampler = Sampler::new(OFF, 5);
        black_box(sampler.sample(first, [].into_iter(), slots));
        [(); 16].map(|()| sampler.sample(&logits, [].into_iter(), slots))
    };
    let one = after(&[1.0], &mut slots);
    assert_eq!(one, after(&logits, &mut slots));
}
