//! Choice of tokens: the model's recommendation, and what the command line says instead.

use std::hash::{BuildHasher, RandomState};

use oarlock::Model;
use oarlock::{Sampler, Sampling};

use crate::args;
use crate::terminal::console::aside;
use crate::terminal::errors::{Outcome, fault};
use crate::terminal::input;

/// The sampler, whose seed is said if nobody chose it.
pub fn sampler(args: &args::Sampling, model: &Model<'_>) -> Sampler {
    let sampling = merge(args, model.sampling());
    Sampler::new(sampling, seed(args, &sampling))
}

/// The seed, which is said if nobody chose it and it matters.
pub fn seed(args: &args::Sampling, sampling: &Sampling) -> u64 {
    let seed = args.seed.unwrap_or_else(random_seed);
    if args.seed.is_none() && sampling.temp > 0.0 {
        aside!("seed {seed}");
    }
    seed
}

/// The stop strings.
pub fn stops(args: &args::Sampling) -> Outcome<Vec<String>> {
    let stop = |text| input::argument("--stop", text).map(str::to_owned);
    let stops: Vec<_> = args.stop.iter().map(|text| stop(text)).collect::<Outcome<_>>()?;
    if stops.iter().any(String::is_empty) {
        return Err(fault("--stop", "is empty", "give the text to stop before"));
    }
    Ok(stops)
}

/// Puts what the command line says in the place of what was recommended, or chosen earlier.
pub fn merge(args: &args::Sampling, model: Sampling) -> Sampling {
    Sampling {
        temp: args.temp.unwrap_or(model.temp),
        top_k: args.top_k.unwrap_or(model.top_k),
        top_p: args.top_p.unwrap_or(model.top_p),
        min_p: args.min_p.unwrap_or(model.min_p),
        repeat_penalty: args.repeat_penalty.unwrap_or(model.repeat_penalty),
    }
}

/// The standard library seeds its hash maps from the system's random numbers.
fn random_seed() -> u64 {
    // Short enough to be typed again.
    RandomState::new().hash_one(0) >> 32
}
