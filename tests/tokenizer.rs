//! The tokenizer against Hugging Face's: the same ids for hard strings, and the bytes back.

use oarlock::tokenizer::{Special, Symbol, Tokenizer, Utf8Stream};
use oarlock_convert::tokenizer::from_json;
use oarlock_tests::fixture;
use serde_json::Value;

/// The small tokenizers that are committed, one for each pre-tokenizer.
const NAMES: [&str; 4] = ["gpt2", "llama3", "qwen2", "smollm"];

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(&format!("tokenizer/{name}"))).expect(name);
    serde_json::from_str(&text).expect(name)
}

fn section(name: &str) -> Vec<u8> {
    let path = fixture(&format!("tokenizer/{name}/tokenizer.json"));
    let bytes = std::fs::read(path).expect("a tokenizer.json");
    from_json(&bytes, None, &[]).expect("a tokenizer that converts").section
}

fn strings() -> Vec<String> {
    let strings = json("strings.json");
    let list = strings.as_array().expect("a list").iter();
    list.map(|string| string.as_str().expect("a string").to_owned()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    let list = value.as_array().expect("a list").iter();
    list.map(|id| id.as_u64().expect("an id") as u32).collect()
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str, special: Special<'_>) -> (Vec<u32>, usize) {
    let mut scratch = vec![Symbol::default(); Tokenizer::scratch_len(text.len())];
    let mut ids = Vec::new();
    let encoded = tokenizer
        .encode(text, special, &mut scratch, &mut |id| ids.push(id))
        .expect("scratch of the announced length");
    (ids, encoded.dropped_bytes)
}

fn decode(tokenizer: &Tokenizer<'_>, ids: &[u32]) -> String {
    let (mut stream, mut text) = (Utf8Stream::new(), String::new());
    for &id in ids {
        stream.push(tokenizer.bytes(id), &mut |piece| text.push_str(piece));
    }
    stream.finish(&mut |piece| text.push_str(piece));
    text
}

/// Everything that a golden file says of a tokenizer.
fn check(tokenizer: &Tokenizer<'_>, golden: &Value, strings: &[String]) {
    let lossy: Vec<_> = ids(&golden["lossy"]);
    for (i, string) in strings.iter().enumerate() {
        let expected = ids(&golden["ids"][i]);
        let (found, dropped) = encode(tokenizer, string, Special::All);
        assert_eq!(found, expected, "string {i}: {string:?}");
        assert_eq!(dropped > 0, lossy.contains(&(i as u32)), "string {i}: {string:?}");
        if dropped == 0 {
            assert_eq!(decode(tokenizer, &found), *string, "string {i}");
        }
        let plain = &golden["plain"][i.to_string()];
        let plain = if plain.is_null() { expected } else { ids(plain) };
        assert_eq!(encode(tokenizer, string, Special::None).0, plain, "string {i}: {string:?}");
    }
    for (i, begun) in golden["begun"].as_array().expect("a list").iter().enumerate() {
        let text = encode(tokenizer, &strings[i], Special::All).0;
        let found: Vec<u32> = tokenizer.prefix().chain(text).chain(tokenizer.suffix()).collect();
        assert_eq!(found, ids(begun), "string {i}: {:?}", strings[i]);
    }
    check_long(tokenizer, &golden["long"], strings, &lossy);
}

/// The golden's text of a megabyte: strings drawn by SplitMix64.
fn check_long(tokenizer: &Tokenizer<'_>, golden: &Value, strings: &[String], lossy: &[u32]) {
    let whole = |(i, string): (u32, _)| (!lossy.contains(&i)).then_some(string);
    let pool: Vec<&String> = (0..).zip(strings).filter_map(whole).collect();
    let (mut text, mut random) = (String::new(), SplitMix(1));
    while text.len() < 1_000_000 {
        text.push_str(pool[(random.next() % pool.len() as u64) as usize]);
    }
    let (ids, _) = encode(tokenizer, &text, Special::All);
    assert_eq!(text.len() as u64, golden["bytes"].as_u64().expect("bytes"));
    assert_eq!(ids.len() as u64, golden["count"].as_u64().expect("count"));
    assert_eq!(golden["fnv"], format!("{:016x}", fnv1a(&ids)));
    assert!(decode(tokenizer, &ids) == text);
}

/// The generator of the golden files.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn fnv1a(ids: &[u32]) -> u64 {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn ids_equal_hugging_face_on_hard_strings() {
    let strings = strings();
    for name in NAMES {
        let section = section(name);
        let tokenizer = Tokenizer::new(&section).expect("a section");
        check(&tokenizer, &json(&format!("{name}.json")), &strings);
    }
}
