//! Vocabularies of every kind, real models' among them, against Hugging Face's tokenizers: the
//! same ids for hard strings, and the same text back. `tests/golden/vocabularies.py` says what the goldens hold.

use std::ops::Range;
use std::path::Path;

use oarlock::tokenizer::{Charsmap, Special, Tokenizer, Utf8Stream, rewrite, tables};
use oarlock_convert::tokenizer::{GgufTokenizer, from_gguf, from_json};
use oarlock_tests::{Package, Random, Room, fixture};
use serde_json::Value;

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(fixture(path)).expect(path);
    serde_json::from_str(&text).expect(path)
}

/// Those that all are compared on, and some vocabularies' own.
fn strings(more: Option<&str>) -> Vec<String> {
    let mut lists = ["tokenizer/strings.json", "vocabularies/strings.json"].map(read).to_vec();
    lists.extend(more.map(|more| read(&format!("vocabularies/{more}.json"))));
    let strings = lists.iter().flat_map(|list| list.as_array().expect("a list"));
    strings.map(|string| string.as_str().expect("a string").to_owned()).collect()
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str, special: Special<'_>) -> Vec<u32> {
    let (mut room, mut ids) = (Room::new(tokenizer, text), Vec::new());
    let encoded = tokenizer.encode(text, special, room.lend(), &mut |id| ids.push(id));
    encoded.expect("scratch of the announced length");
    ids
}

fn decode(tokenizer: &Tokenizer<'_>, ids: &[u32]) -> String {
    let (mut stream, mut text) = (Utf8Stream::new(), String::new());
    for (i, &id) in ids.iter().enumerate() {
        let bytes = if i == 0 { tokenizer.first_bytes(id) } else { tokenizer.bytes(id) };
        stream.push(bytes, &mut |piece| text.push_str(piece));
    }
    stream.finish(&mut |piece| text.push_str(piece));
    text
}

fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// The golden's line of one string.
fn digest(tokenizer: &Tokenizer<'_>, text: &str) -> String {
    let meant = encode(tokenizer, text, Special::All);
    let plain = encode(tokenizer, text, Special::None);
    let numbers = meant.iter().chain(&[u32::MAX]).chain(&plain).chain(&[u32::MAX]);
    let bytes = numbers.flat_map(|id| id.to_le_bytes());
    format!("{:08x}", fnv1a(bytes.chain(decode(tokenizer, &meant).bytes())) as u32)
}

fn check(name: &str) {
    let golden = read(&format!("vocabularies/{name}.json"));
    let text = |key: &str| golden[key].as_str().expect("text");
    let file = if golden["package"].is_null() {
        std::fs::read(fixture(&format!("vocabularies/{name}/tokenizer.json"))).ok()
    } else {
        let (name, version) = (text("package"), text("version"));
        let package = Package { name, version, path: golden["path"].as_str() };
        package.vocabulary(Path::new(env!("CARGO_TARGET_TMPDIR")))
    };
    let Some(file) = file else { return };
    assert_eq!(format!("{:016x}", fnv1a(file.iter().copied())), text("file"), "another file");
    let compiled =
        from_json(&with_charsmap(&file), None, &[]).unwrap_or_else(|why| panic!("{name}: {why}"));
    let strings = strings(golden["more"].as_str());
    compare(name, &compiled.section, &strings, text("hashes"));
    if name == "llama2" {
        compare("llama2 as GGUF", &as_gguf(&file), &strings, text("hashes"));
    }
    if name.ends_with("falcon") {
        let gguf = bytes_as_gguf(&file, "falcon");
        compare(&format!("{name} as GGUF"), &gguf, &strings, text("hashes"));
    }
}

/// A byte-level tokenizer all of whose added tokens are special, as llama.cpp's converter writes it.
fn bytes_as_gguf(file: &[u8], pre: &str) -> Vec<u8> {
    let json: Value = serde_json::from_slice(file).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let vocab = json["model"]["vocab"].as_object().expect("a vocabulary");
    let mut tokens: Vec<(u64, String, i32)> =
        vocab.iter().map(|(text, id)| (id.as_u64().expect("an id"), text.clone(), 1)).collect();
    for added in json["added_tokens"].as_array().expect("a list") {
        let id = added["id"].as_u64().expect("an id");
        tokens.retain(|token| token.0 != id);
        tokens.push((id, text(&added["content"]), 3));
    }
    tokens.sort();
    let merge = |merge: &Value| match merge.as_array() {
        Some(pair) => format!("{} {}", text(&pair[0]), text(&pair[1])),
        None => text(merge),
    };
    let merges = json["model"]["merges"].as_array().expect("a list").iter().map(merge);
    let merges: Vec<String> = merges.collect();
    let source = GgufTokenizer {
        model: "gpt2",
        pre: Some(pre),
        token_types: tokens.iter().map(|token| token.2).collect(),
        tokens: tokens.iter().map(|token| token.1.as_str()).collect(),
        merges: merges.iter().map(String::as_str).collect(),
        ..GgufTokenizer::default()
    };
    from_gguf(&source).expect("a tokenizer that converts").section
}

/// A tokenizer.json with the table whose name it has in the place of one.
fn with_charsmap(file: &[u8]) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(file).expect("JSON");
    let normalizer = &mut json["normalizer"];
    let step = match normalizer.get("normalizers").is_some() {
        true => &mut normalizer["normalizers"][0],
        false => normalizer,
    };
    let Some(name) = step.get("precompiled_charsmap") else { return file.to_vec() };
    let name = format!("vocabularies/{}.charsmap", name.as_str().expect("a name"));
    let table = std::fs::read(fixture(&name)).expect("a table");
    step["precompiled_charsmap"] = base64(&table).into();
    json.to_string().into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(*three.get(i).unwrap_or(&0)));
        let digit = |i: usize| char::from(DIGITS[bits >> (18 - 6 * i) & 63]);
        (0..4).map(|i| if i <= three.len() { digit(i) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}

/// Mistral's own vocabulary, from which this `tokenizer.json` was made: pieces and scores, which
/// fall from id to id, but for those of spaces, which come last.
fn as_gguf(file: &[u8]) -> Vec<u8> {
    let json: Value = serde_json::from_slice(file).expect("JSON");
    let vocab = json["model"]["vocab"].as_object().expect("a vocabulary");
    let mut tokens: Vec<(u64, &str)> =
        vocab.iter().map(|(text, id)| (id.as_u64().expect("an id"), text.as_str())).collect();
    tokens.sort();
    let kind = |&(id, _): &(u64, &str)| match id {
        0 => 2,
        1 | 2 => 3,
        3..259 => 6,
        _ => 1,
    };
    let is_spaces = |text: &str| text.chars().all(|c| c == '\u{2581}');
    let score = |&(id, text): &(u64, &str)| {
        if is_spaces(text) { -1e9 } else { -(id.saturating_sub(259) as f32) }
    };
    let source = GgufTokenizer {
        model: "llama",
        pre: Some("default"),
        token_types: tokens.iter().map(kind).collect(),
        scores: tokens.iter().map(score).collect(),
        tokens: tokens.iter().map(|&(_, text)| text).collect(),
        bos: Some(1),
        eos: Some(2),
        unknown: Some(0),
        ..GgufTokenizer::default()
    };
    from_gguf(&source).expect("a tokenizer that converts").section
}

fn compare(name: &str, section: &[u8], strings: &[String], hashes: &str) {
    let tokenizer = Tokenizer::new(section).expect("a section");
    assert!(strings.len() > 2_000 && hashes.len() == 8 * strings.len());
    let expected = hashes.as_bytes().chunks(8);
    let wrong: Vec<_> = strings
        .iter()
        .zip(expected)
        .filter(|(_, expected)| **expected != *b"--------")
        .filter(|(string, expected)| digest(&tokenizer, string).as_bytes() != *expected)
        .map(|(string, _)| {
            let ids = encode(&tokenizer, string, Special::All);
            format!("{string:?}: {ids:?} {:?}", decode(&tokenizer, &ids))
        })
        .collect();
    let few: Vec<&String> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{name}: {} of {}: {few:#?}", wrong.len(), strings.len());
}

#[test]
fn small_ones() {
    for name in [
        "nfc",
        "nfkc",
        "bloom",
        "falcon",
        "o200k",
        "tekken",
        "llama",
        "gemma",
        "first",
        "always",
        "unknown",
        "unigram",
        "unigram_bytes",
        "unfused",
        "nmt",
        "map",
    ] {
        check(&format!("small_{name}"));
    }
}

/// Every character but ideographs and syllables, as every part of a cluster.
#[test]
fn tables_of_sentencepiece_make_of_clusters_what_hugging_face_makes() {
    const CLUSTERS: &str = "x@ @\u{301}\u{302} @x\u{301} ©@\u{200D}™\u{301} @\u{200D}™\u{301} \
        @\u{94D}\u{958}\u{301} \u{915}@\u{958}\u{301} @\u{1100}\u{301} @\u{1161}\u{301} @\u{11A8}\u{301} \
        \u{1100}@\u{301} \u{1161}@\u{301} \u{11A8}@\u{301}";
    const BLOCKS: [Range<u32>; 7] = [
        1..0x3400,
        0xA000..0xAC80,
        0xD780..0xD800,
        0xF900..0x1_2000,
        0x1_6D00..0x1_6E00,
        0x1_E000..0x2_0000,
        0xE_0000..0xE_1000,
    ];
    let golden = read("tokenizer/normal_forms.json");
    for name in ["nmt_nfkc", "own"] {
        let table = std::fs::read(fixture(&format!("vocabularies/{name}.charsmap"))).expect(name);
        let charsmap = Charsmap::new(&table).expect("a table");
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for c in BLOCKS.into_iter().flatten().filter_map(char::from_u32) {
            let text = CLUSTERS.replace('@', c.encode_utf8(&mut [0; 4]));
            rewrite(tables::CHARSMAP, charsmap, &text, &mut |piece| {
                for byte in piece.bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
                }
            });
        }
        assert_eq!(golden[name], format!("{hash:016x}"), "{name}");
    }
}

/// Each unit of a table leads somewhere, and each text is as long as there is no zero.
#[test]
fn damaged_charsmaps_are_harmless() {
    let table = std::fs::read(fixture("vocabularies/own.charsmap")).expect("a table");
    let mut random = Random::new(2);
    let text = "eA x\u{301}\u{302}  Ａ漢\u{200D}\u{915}\u{94D}\u{958}\r\n".repeat(9);
    for _ in 0..2_000 {
        let mut damaged = table.clone();
        for _ in 0..=random.below(40) {
            damaged[random.below(table.len())] = random.below(256) as u8;
        }
        let Some(charsmap) = Charsmap::new(&damaged) else { continue };
        let mut len = 0;
        rewrite(tables::CHARSMAP | tables::COLLAPSE, charsmap, &text, &mut |piece| {
            len += piece.len()
        });
        assert!(len <= 255 * text.chars().count());
    }
}

/// From every unit of this table any byte leads back to the first: it matches whatever there is.
#[test]
fn a_table_that_leads_in_a_circle_is_no_trouble() {
    let table = std::fs::read(fixture("vocabularies/nmt_nfkc.charsmap")).expect("a table");
    let file = std::fs::read(fixture("vocabularies/small_nmt/tokenizer.json")).expect("a file");
    let compiled = from_json(&with_charsmap(&file), None, &[]).expect("a tokenizer");
    let mut section = compiled.section;
    let at = section.windows(table.len()).position(|bytes| bytes == table).expect("its table");
    let units = (256_u32..512).map(|unit| (unit as usize, (unit ^ 256) << 10 | unit ^ 256));
    for (unit, value) in units.chain([(0, 256 << 10)]) {
        // Behind the table's length.
        let at = at + 4 + 4 * unit;
        section[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let tokenizer = Tokenizer::new(&section).expect("tables that are there");
    // Following it through the rest of the text at every character would take minutes.
    let text = "a".repeat(1_000_000);
    assert_eq!(decode(&tokenizer, &encode(&tokenizer, &text, Special::None)), text);
}

#[test]
fn headers_whose_parts_do_not_go_together_are_refused() {
    let file = std::fs::read(fixture("vocabularies/small_nmt/tokenizer.json")).expect("a file");
    let mut section = from_json(&with_charsmap(&file), None, &[]).expect("a tokenizer").section;
    assert!(Tokenizer::new(&section).is_ok());
    // Falcon's splits, whose words end within characters, of units that are characters.
    section[4..8].copy_from_slice(&9_u32.to_le_bytes());
    assert!(Tokenizer::new(&section).is_err());
}

#[test]
fn falcon() {
    check("falcon");
}

#[test]
fn gemma() {
    check("gemini");
    check("gemma3");
}

#[test]
fn o200k() {
    check("gpt4o");
    check("gptoss");
}

#[test]
fn gpt2() {
    check("gpt2");
}

#[test]
fn llama2() {
    check("llama2");
}

#[test]
fn llama3() {
    check("llama3_1");
}

/// 2.5 and 3 share a vocabulary, but for added tokens.
#[test]
fn qwen() {
    check("qwen2_5");
    check("qwen3");
}
