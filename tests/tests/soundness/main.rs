//! The library called as nobody should, by safe code alone: with arguments that disagree, that are no
//! numbers, or that are as long as nothing is, on executors that do as they like, with every kernel on
//! every instruction set of the CPU.
//!
//! Nothing may be read or written that is not the call's, by two threads at once, or before it was
//! written: `.ci/safety` runs the same under sanitizers. Nothing may panic either, but functions of
//! `internal` by the assertion of their shapes, as their pages say, and no sum may overflow even
//! there. `OARLOCK_ROUNDS=100` takes a hundred times as many rounds.
#![forbid(unsafe_code)]

mod attention;
mod conversations;
mod executors;
mod files;
mod hostile;
mod models;
mod products;
mod reached;
mod sessions;
mod texts;
mod vectors;

use hostile::Hostile;

/// Runs `round` with `rounds` seeds.
fn rounds(rounds: u64, mut round: impl FnMut(&mut Hostile)) {
    oarlock::set_control_word();
    hostile::silence();
    let times = std::env::var("OARLOCK_ROUNDS").ok().and_then(|times| times.parse().ok());
    for seed in 0..rounds * times.unwrap_or(1) {
        let mut hostile = Hostile::new(seed);
        round(&mut hostile);
        if let Some(fault) = hostile.fault {
            panic!("seed {seed}: {fault}");
        }
    }
}

#[test]
fn products() {
    rounds(2000, products::round);
}

#[test]
fn attention_and_its_cache() {
    rounds(1500, attention::round);
}

#[test]
fn functions_of_vectors() {
    rounds(4000, vectors::round);
}

#[test]
fn sessions() {
    let models = models::all();
    rounds(300, |hostile| sessions::round(hostile, &models));
}

#[test]
fn tokenizers_chats_and_samplers() {
    let models = models::all();
    rounds(1000, |hostile| texts::round(hostile, &models));
}

#[test]
fn conversations() {
    let models = models::all();
    rounds(400, |hostile| conversations::round(hostile, &models));
}

#[test]
fn records_of_files() {
    let models = models::all();
    rounds(1000, |hostile| files::round(hostile, &models));
}
