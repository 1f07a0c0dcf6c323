//! Damaged and hostile model files: an error, or wrong logits, never a panic.

use std::ops::Range;
use std::process::Command;

use oarlock::chat::Chat;
use oarlock::internal::format::metadata_crc;
use oarlock::tokenizer::{Special, Tokenizer};
use oarlock::{KvType, Machine, Model, Options, Sampler, Sampling, Serial, Session};
use oarlock_tests::{Aligned, Random, Room, TempDir, bin, isas, run, tiny};

/// Bytes in which the header keeps the checksum of all metadata (`docs/reference/format.md`).
const CRC: Range<usize> = 12..16;

/// Scratch that a hostile file may ask for before the test loses interest.
const MAX_SCRATCH: usize = 64 << 20;

fn metadata_len(file: &[u8]) -> usize {
    let offset = |t: oarlock::internal::model::Tensor<'_>| t.extent.offset as usize;
    Model::open(file).expect("a good file").tensors().map(offset).min().expect("tensors")
}

/// Makes the checksum right again, so that what lies behind it is reached.
fn repair(file: &mut [u8], metadata: usize) {
    let crc = metadata_crc(&file[..metadata]);
    file[CRC].copy_from_slice(&crc.to_le_bytes());
}

/// Everything that a board does with a model; returns whether it opened.
fn use_it(file: &[u8]) -> bool {
    let Ok(model) = Model::open(file) else { return false };
    for (i, tensor) in model.tensors().enumerate() {
        let _ = (tensor.name, model.verify_tensor(i));
    }
    let _ = (model.arch(), model.provenance(), model.sampling(), model.rope(false, 1 << 20));
    if let Ok(tokenizer) = Tokenizer::new(model.tokenizer_section()) {
        tokenize(&tokenizer);
    }
    if let Ok(chat) = Chat::new(model.chat_section()) {
        let _ = chat
            .first_turn(Some("system"), "message")
            .map(|pieces| pieces.into_iter().map(|piece| piece.text.len()).sum::<usize>());
    }
    for kv in [KvType::Int8, KvType::F16] {
        step(&model, kv);
    }
    true
}

fn tokenize(tokenizer: &Tokenizer<'_>) {
    let text = "Hello  world\n\t12345 <|im_start|>é 中文 \u{1F600}";
    let mut room = Room::new(tokenizer, text);
    for special in [Special::All, Special::None] {
        let _ = tokenizer.encode(text, special, room.lend(), &mut |id| {
            let _ = tokenizer.bytes(id);
        });
    }
    for id in [0, 1, 100, 1000, u32::MAX].into_iter().chain(tokenizer.prefix()).take(100) {
        let _ = (tokenizer.bytes(id), tokenizer.is_special(id), tokenizer.is_end(id));
    }
}

fn step(model: &Model<'_>, kv: KvType) {
    let options = Options { context: 40, sinks: 4, chunk: 5, kv, ..Options::for_model(model) };
    let needed = Session::bytes_needed(model, &options);
    let Ok(needed) = needed.map_err(drop).and_then(|n| (n <= MAX_SCRATCH).then_some(n).ok_or(()))
    else {
        return;
    };
    let mut scratch = Aligned::zeroed(needed);
    let isa = *isas().last().expect("at least scalar");
    let machine = Machine { isa, exec: &Serial };
    let Ok(mut session) = Session::new(*model, options, &mut scratch) else { return };
    let mut sampler = Sampler::new(Sampling::default(), 1);
    if session.feed(&machine, &[0, 1, 2, 3, 4, 5, 6, 7]).is_ok() {
        for _ in 0..2 {
            let token = session.sample(&machine, &mut sampler);
            let _ = session.feed(&machine, &[token]);
        }
    }
}

/// The metadata word by word, each with the values at which arithmetic goes wrong.
#[test]
fn no_word_of_the_metadata_can_do_harm() {
    // The tables of a tokenizer are long and alike: beyond the first words, every 16th.
    every_word(&tiny("gqa", "int4"), |at| at < 4096 || at % 64 == 0);
}

/// The same of options that came later, in header, config and the layers' entries.
#[test]
fn no_word_of_later_options_can_do_harm() {
    for name in ["diffllama", "gemma3", "bloom"] {
        every_word(&tiny(name, "int4"), |at| at < 768);
    }
    every_word(&with_key_outliers(), |at| at < 1024);
    // And in the directory.
    every_word(&tiny("qwen2-moe", "int4"), |at| at < 4096);
}

/// Gemma 3's tiny model, said to have outliers among the keys of its second layer.
fn with_key_outliers() -> Aligned {
    let mut file = tiny("gemma3", "int8");
    let metadata = metadata_len(&file);
    // Where `docs/reference/format.md` has them: an entry of the section table, then the flags.
    let section = |file: &[u8], i: usize| {
        let at = 64 + 24 * i + 8;
        u64::from_le_bytes(file[at..at + 8].try_into().expect("8 bytes")) as usize
    };
    let (config, layers) = (section(&file, 0), section(&file, 2));
    file[8] = 4;
    file[config + 56] |= 1 << 6;
    file[layers + 32 + 8] |= 1 << 3;
    repair(&mut file, metadata);
    assert!(Model::open(&file).expect("a good file").layer(1).key_outliers);
    file
}

fn every_word(good: &Aligned, tried: impl Fn(usize) -> bool) {
    let metadata = metadata_len(good);
    assert!(use_it(good));
    let mut opened = 0;
    for at in (0..metadata).step_by(4).filter(|at| tried(*at)) {
        let old = u32::from_le_bytes(good[at..at + 4].try_into().expect("4 bytes"));
        let values = [
            0,
            1,
            old.wrapping_add(1),
            old.wrapping_sub(1),
            old.wrapping_mul(2),
            old.wrapping_add(64),
            0x7FFF_FFFF,
            0x8000_0000,
            u32::MAX,
        ];
        for value in values {
            let mut bad = Aligned::copy_of(good);
            bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
            repair(&mut bad, metadata);
            opened += usize::from(use_it(&bad));
        }
    }
    println!("{opened} of the changed files opened");
}

/// Thousands of seeded mutations, several at a time.
#[test]
fn random_corruption_does_no_harm() {
    let kinds = ["int4", "int4a", "int8", "f32"];
    let mut files = Vec::from(kinds.map(|weights| tiny("rope-llama3", weights)));
    files.extend([tiny("diffllama", "int8"), with_key_outliers()]);
    files.extend(["int4", "f32"].map(|weights| tiny("mixtral", weights)));
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let good = &files[random.below(files.len())];
        let mut bad = Aligned::copy_of(good);
        let metadata = metadata_len(good);
        for _ in 0..=random.below(4) {
            mutate(&mut bad, metadata, &mut random);
        }
        repair(&mut bad, metadata);
        use_it(&bad);
    }
}

fn mutate(file: &mut [u8], metadata: usize, random: &mut Random) {
    // The records at the front decide most, tensors least.
    let end = match random.below(8) {
        0 => file.len(),
        1..4 => metadata,
        _ => metadata.min(2048),
    };
    let at = random.below(end);
    let len = (1 << random.below(4)).min(file.len() - at);
    let other = random.below(file.len() - len);
    match random.below(4) {
        0 => file[at] ^= 1 << random.below(8),
        1 => file[at..at + len].fill(0xFF),
        2 => file[at..at + len].fill(0),
        _ => file.copy_within(other..other + len, at),
    }
}

/// Nothing repaired: a flipped bit is seen at opening, or by `verify`.
#[test]
fn every_flipped_bit_is_found() {
    for weights in ["int4", "f32"] {
        let good = tiny("biases", weights);
        let mut bad = Aligned::copy_of(&good);
        let mut random = Random::new(3);
        for step in 0..6000 {
            // All of the front first, then anywhere.
            let at = if step < 3000 { step } else { random.below(good.len()) };
            bad[at] ^= 1 << random.below(8);
            let found = match Model::open(&bad) {
                Ok(model) => (0..model.n_tensors()).any(|i| model.verify_tensor(i).is_err()),
                Err(_) => true,
            };
            assert!(found, "{weights}: byte {at} of {}", good.len());
            bad[at] = good[at];
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let good = tiny("gqa", "int4");
    let metadata = metadata_len(&good);
    let near = [0, 1, 63, 64, metadata - 1, metadata, metadata + 1, good.len() - 1];
    for len in near.into_iter().chain((0..good.len()).step_by(97)) {
        assert!(Model::open(&good[..len]).is_err(), "{len} of {}", good.len());
    }
    let mut longer = Aligned::zeroed(good.len() + 64);
    longer[..good.len()].copy_from_slice(&good);
    assert_eq!(Model::open(&longer).expect("a longer slice will do").file_len(), good.len());
    assert!(Model::open(&longer[8..]).is_err(), "misaligned");
}

/// `error: <thing>: <what> (<what to do>)`, and nothing else.
fn assert_is_an_error(stderr: &str) {
    let line = stderr.strip_suffix('\n').unwrap_or(stderr);
    let formed = line.starts_with("error: ") && line.ends_with(')') && line.contains(" (");
    assert!(formed && !line.contains('\n'), "{stderr}");
}

/// The same through the command line: exit 1 or 2 and one line, whatever is asked.
#[test]
fn the_command_line_says_what_is_wrong() {
    let good = tiny("gqa", "int4");
    let metadata = metadata_len(&good);
    let folder = TempDir::new();
    let path = folder.join("bad.oar");
    let mut flipped_header = good.to_vec();
    flipped_header[metadata / 2] ^= 1;
    let mut flipped_tensor = good.to_vec();
    flipped_tensor[metadata + (good.len() - metadata) / 2] ^= 1;
    // What `inspect` answers; `verify` says no to all of them but the empty file.
    let cases: [(&str, &[u8], i32); 7] = [
        ("empty", b"", 2),
        ("not a model", b"hello, this is a text of some length, not a model at all......", 2),
        ("half", &good[..good.len() / 2], 2),
        ("a byte short", &good[..good.len() - 1], 2),
        ("longer", &[&good[..], &[0; 64]].concat(), 2),
        ("header", &flipped_header, 2),
        ("tensor", &flipped_tensor, 0),
    ];
    for (what, bytes, code) in cases {
        std::fs::write(&path, bytes).expect("a writable folder");
        let verified = run(Command::new(bin("oarlock")).arg("verify").arg(&path), 60);
        assert_eq!(verified.code(), if what == "empty" { 2 } else { 1 }, "{what}");
        assert_is_an_error(&verified.stderr);
        let inspected = run(Command::new(bin("oarlock")).arg("inspect").arg(&path), 60);
        assert_eq!(inspected.code(), code, "{what}: {}", inspected.stderr);
        if code == 2 {
            assert_is_an_error(&inspected.stderr);
        }
    }
    std::fs::write(&path, &*good).expect("a writable folder");
    run(Command::new(bin("oarlock")).arg("verify").arg(&path), 60).ok();
}
