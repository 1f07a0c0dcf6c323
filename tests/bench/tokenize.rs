//! Measures the tokenizer on this machine, on one thread. Not a test: it prints the
//! megabytes a second of each pass and compares nothing; `tokenize.py` does.
//!
//! `cargo run --release -p oarlock-tests --example tokenize -- MODEL.oar PASSES FILE…`

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use oarlock::Model;
use oarlock::tokenizer::{Scratch, Special, Tokenizer};
use oarlock_tests::{Aligned, Room};

fn main() {
    let usage = "MODEL.oar PASSES FILE…";
    let mut args = std::env::args().skip(1);
    let file = Aligned::read(Path::new(&args.next().expect(usage)));
    let passes: usize = args.next().and_then(|n| n.parse().ok()).expect(usage);
    let model = Model::open(&file).expect("a model of this version");
    let tokenizer = Tokenizer::new(model.tokenizer_section()).expect("tables of this version");
    for path in args {
        let text = std::fs::read_to_string(&path).expect("a readable text");
        let mut room = Room::new(&tokenizer, &text);
        let speeds: Vec<_> = (0..passes).map(|_| pass(&tokenizer, &text, room.lend())).collect();
        println!("{}", serde_json::json!({ "file": path, "mb_s": speeds }));
    }
}

fn pass(tokenizer: &Tokenizer<'_>, text: &str, scratch: Scratch<'_>) -> f64 {
    let (start, mut ids) = (Instant::now(), Vec::new());
    let encoded = tokenizer.encode(text, Special::All, scratch, &mut |id| ids.push(id));
    encoded.expect("enough scratch");
    black_box(ids);
    text.len() as f64 / start.elapsed().as_secs_f64() / 1e6
}
