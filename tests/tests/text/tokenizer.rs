//! The tokenizer against Hugging Face's: the same ids for hard strings, and the bytes back.

use std::collections::HashMap;
use std::ops::Range;

use oarlock::Model;
use oarlock::tokenizer::{
    Charsmap, Scratch, Special, Splitter, Symbol, Tokenizer, Utf8Stream, rewrite, tables,
};
use oarlock_convert::tokenizer::{GgufTokenizer, from_gguf, from_json};
use oarlock_tests::{Aligned, Random, Room, fixture, real_model};
use serde_json::{Value, json};

/// The small tokenizers that are committed, one for each pre-tokenizer.
const NAMES: [&str; 4] = ["gpt2", "llama3", "qwen2", "smollm"];

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(&format!("tokenizer/{name}"))).expect(name);
    serde_json::from_str(&text).expect(name)
}

fn section(name: &str) -> Vec<u8> {
    compiled(&golden(&format!("{name}/tokenizer.json")))
}

fn compiled(tokenizer: &Value) -> Vec<u8> {
    let bytes = tokenizer.to_string();
    from_json(bytes.as_bytes(), None, &[]).expect("a tokenizer that converts").section
}

fn strings() -> Vec<String> {
    let strings = golden("strings.json");
    let list = strings.as_array().expect("a list").iter();
    list.map(|string| string.as_str().expect("a string").to_owned()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    let list = value.as_array().expect("a list").iter();
    list.map(|id| id.as_u64().expect("an id") as u32).collect()
}

fn encode(tokenizer: &Tokenizer<'_>, text: &str, special: Special<'_>) -> (Vec<u32>, usize) {
    let mut room = Room::new(tokenizer, text);
    let mut ids = Vec::new();
    let encoded = tokenizer
        .encode(text, special, room.lend(), &mut |id| ids.push(id))
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
        check(&tokenizer, &golden(&format!("{name}.json")), &strings);
    }
}

#[test]
fn ids_of_the_default_model_equal_hugging_face() {
    let Some(path) = real_model() else { return };
    let bytes = Aligned::read(&path);
    let model = Model::open(&bytes).expect("the default model");
    let tokenizer = Tokenizer::new(model.tokenizer_section()).expect("a section");
    check(&tokenizer, &golden("smollm2.json"), &strings());
    let names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    for (id, name) in (0..).zip(names) {
        assert_eq!((tokenizer.bytes(id), tokenizer.is_special(id)), (name.as_bytes(), true));
        assert_eq!(tokenizer.is_end(id), name != "<|im_start|>", "{name}");
    }
    assert!(!tokenizer.is_special(3365) && !tokenizer.is_end(3365));
}

/// Whether a character is in one of the golden's inclusive ranges.
fn is_in(ranges: &Value, c: char) -> bool {
    let list = ranges.as_array().expect("ranges");
    let c = u64::from(u32::from(c));
    let after = list.partition_point(|range| range[1].as_u64() < Some(c));
    list.get(after).is_some_and(|range| range[0].as_u64() <= Some(c))
}

#[test]
fn every_character_has_the_class_that_hugging_face_gives_it() {
    let classes = golden("unicode.json");
    // A word of GPT-2's goes on with the same class; only U+0020 joins what follows it.
    let joins = |c: char, next: char| {
        let text = format!("{c}{next}{next}\u{1}");
        Splitter::Gpt2.word_end(&text, 0) > c.len_utf8()
    };
    for c in ('\0'..=char::MAX).filter(|&c| c != ' ') {
        assert_eq!(joins(c, 'a'), is_in(&classes["letter"], c), "{c:?}");
        assert_eq!(joins(c, '1'), is_in(&classes["number"], c), "{c:?}");
        assert_eq!(joins(c, '\n'), is_in(&classes["space"], c), "{c:?}");
        let alone = Splitter::SmolLm.word_end(&format!("{c}{c}"), 0) == c.len_utf8();
        assert_eq!(alone, is_in(&classes["digit"], c), "{c:?}");
        let joined = Splitter::Falcon.word_end(&format!("!{c}"), 0) > 1;
        assert_eq!(joined, is_in(&classes["punctuation"], c), "{c:?}");
    }
}

/// Every character, behind a letter and before marks.
#[test]
fn normal_forms_are_those_of_hugging_face() {
    let golden = golden("normal_forms.json");
    for (name, rules) in [("NFC", tables::COMPOSE), ("NFKC", tables::COMPOSE | tables::COMPAT)] {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for c in '\u{1}'..=char::MAX {
            let text = format!("a{c}\u{301}\u{323}{c}\u{3099}{c}");
            rewrite(rules, Charsmap::default(), &text, &mut |piece| {
                for byte in piece.bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
                }
            });
        }
        assert_eq!(golden[name], format!("{hash:016x}"), "{name}");
    }
}

/// A piece of a Unigram is looked up at every character, in all its lengths.
#[test]
fn pieces_are_bounded() {
    let json = |len: usize| {
        json!({
            "model": {
                "type": "Unigram", "unk_id": 0,
                "vocab": [["<unk>", 0.0], ["a", -1.0], ["a".repeat(len), -2.0]],
            },
            "pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "never"},
            "decoder": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "never"},
            "added_tokens": [],
        })
    };
    let error = from_json(json(257).to_string().as_bytes(), None, &[]).unwrap_err().to_string();
    assert!(error.contains("a token of 257 bytes"), "{error}");
    let mut section = compiled(&json(256));
    let tokenizer = Tokenizer::new(&section).expect("a section");
    assert_eq!(encode(&tokenizer, &"a".repeat(258), Special::All).0, [1, 1, 2]);
    // The sixth word of the header: no table may say more.
    section[20..24].copy_from_slice(&257_u32.to_le_bytes());
    assert!(Tokenizer::new(&section).is_err());
}

#[test]
fn long_words_are_no_trouble() {
    let section = section("gpt2");
    let tokenizer = Tokenizer::new(&section).expect("a section");
    for unit in [" ", "a", "ab", "=-", "漢", "\n\t"] {
        // A quadratic merge would take minutes here.
        let text = unit.repeat(1_000_000 / unit.len()) + "x";
        let (ids, dropped) = encode(&tokenizer, &text, Special::All);
        assert!(dropped == 0 && decode(&tokenizer, &ids) == text, "{unit:?}");
    }
}

/// Words of such text are long for GPT-2 and short for Falcon.
#[test]
fn words_within_words_are_no_trouble() {
    for unit in ["ò", "1", "²1234", "!", "Ｚ"] {
        let (text, mut at) = (unit.repeat(1_000_000 / unit.len()), 0);
        while at < text.len() {
            let end = Splitter::Falcon.word_end(&text, at);
            assert!(end > at);
            at = end;
        }
    }
}

#[test]
fn long_words_merge_as_short_ones_do() {
    // With one merge, what becomes of a run is known: pairs from the left.
    let mut tokenizer = golden("gpt2/tokenizer.json");
    tokenizer["model"]["merges"] = json!([["Ġ", "Ġ"]]);
    let section = compiled(&tokenizer);
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let one = encode(&tokenizer, " ", Special::All).0;
    let two = encode(&tokenizer, "  ", Special::All).0;
    for len in (1..200).chain([1_000, 1_001]) {
        let (ids, _) = encode(&tokenizer, &" ".repeat(len), Special::All);
        let expected = [two.repeat(len / 2), one.repeat(len % 2)].concat();
        assert_eq!(ids, expected, "{len} spaces");
    }
}

/// BPE as it is defined: the pair of lowest rank, the leftmost of them, until there is none.
fn merged_plainly(ranks: &HashMap<(String, String), usize>, word: &str) -> Vec<String> {
    let mut symbols: Vec<String> = word.chars().map(String::from).collect();
    let rank = |pair: &[String]| ranks.get(&(pair[0].clone(), pair[1].clone())).copied();
    while let Some((_, at)) =
        symbols.windows(2).enumerate().filter_map(|(at, pair)| Some((rank(pair)?, at))).min()
    {
        let right = symbols.remove(at + 1);
        symbols[at] += &right;
    }
    symbols
}

#[test]
fn long_words_merge_by_the_definition() {
    let golden = golden("gpt2/tokenizer.json");
    let section = compiled(&golden);
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let pairs = golden["model"]["merges"].as_array().expect("a list");
    let ranks = pairs.iter().enumerate().map(|(rank, pair)| {
        let part = |i: usize| pair[i].as_str().expect("a pair").to_owned();
        ((part(0), part(1)), rank)
    });
    let ranks: HashMap<_, _> = ranks.collect();
    let mut random = Random::new(5);
    for alphabet in ["e", "th", "aent", "eatinos", "abcdefghijklmnopqrstuvwxyz"] {
        for _ in 0..60 {
            let len = 41 + random.below(160);
            let letters = (0..len).map(|_| {
                // Runs of one letter and of pairs, as well as any order.
                let i = random.below(alphabet.len() * 2);
                alphabet.as_bytes()[i.min(alphabet.len() - 1)] as char
            });
            let word: String = letters.collect();
            let expected = merged_plainly(&ranks, &word);
            let (ids, _) = encode(&tokenizer, &word, Special::All);
            let found = ids.iter().map(|&id| tokenizer.bytes(id));
            assert!(found.eq(expected.iter().map(String::as_bytes)), "{word}");
        }
    }
}

#[test]
fn a_scratch_that_is_too_short_is_an_error() {
    let section = section("gpt2");
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let mut symbols = [Symbol::default(); 3];
    let mut encode = |text| {
        let scratch = Scratch { symbols: &mut symbols, text: &mut [] };
        tokenizer.encode(text, Special::All, scratch, &mut |_| {})
    };
    assert!(encode("zqxjkv").is_err());
    assert!(encode("a b c d e").is_ok());
}

#[test]
fn special_tokens_match_within_trusted_text_only() {
    let section = section("qwen2");
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let (start, end, call) = (1101, 1102, 1103);
    let text = "<|im_start|>user\nx<|im_end|><tool_call><|im_end|>\n";
    let within = |ranges: &[Range<usize>]| {
        let (ids, _) = encode(&tokenizer, text, Special::Within(ranges));
        assert_eq!(decode(&tokenizer, &ids), text);
        ids.into_iter().filter(|id| [start, end, call].contains(id)).collect::<Vec<_>>()
    };
    // What is added but not special matches everywhere.
    assert_eq!(within(&[]), [call]);
    assert_eq!(within(&[0..17, 39..50]), [start, call, end]);
    assert_eq!(within(std::slice::from_ref(&(0..text.len()))), [start, end, call, end]);
    // Half a token is none, on either side.
    assert_eq!(within(&[0..11, 40..50]), [call]);
    assert_eq!(within(&[1..17, 18..27, 39..48]), [call]);
}

#[test]
fn adjacent_text_is_one_string_to_the_pre_tokenizer() {
    let section = section("smollm");
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let text = "<|im_start|>user\n\n  hello<|im_end|>";
    let at = text.find("\n  ").expect("a cut");
    let cut = encode(&tokenizer, text, Special::Within(&[0..at, text.len() - 10..text.len()])).0;
    assert_eq!(cut, encode(&tokenizer, text, Special::All).0);
}

/// A tokenizer.json with one value replaced.
fn changed(name: &str, pointer: &str, value: Value) -> Value {
    let mut tokenizer = golden(&format!("{name}/tokenizer.json"));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    tokenizer.pointer_mut(parent).expect("a parent")[key] = value;
    tokenizer
}

#[test]
fn added_tokens_take_spaces_as_hugging_face_does() {
    let mut added = golden("gpt2/tokenizer.json")["added_tokens"].clone();
    let list = added.as_array_mut().expect("a list");
    for (id, content, lstrip, rstrip) in [(1000, "<l>", true, false), (1001, "<r>", false, true)] {
        list.push(json!({"id": id, "content": content, "single_word": false, "lstrip": lstrip,
            "rstrip": rstrip, "normalized": false, "special": true}));
    }
    let section = compiled(&changed("gpt2", "/added_tokens", added));
    let tokenizer = Tokenizer::new(&section).expect("a section");
    let ids = |text| encode(&tokenizer, text, Special::All).0;
    let plain = |text| encode(&tokenizer, text, Special::None).0;
    assert_eq!(ids("a \u{3000}\n<l> b"), [plain("a"), vec![1000], plain(" b")].concat());
    assert_eq!(ids("a <r> \n\u{A0}b"), [plain("a "), vec![1001], plain("b")].concat());
    assert_eq!(ids(" <l><r> <l> <l>"), [1000, 1001, 1000, 1000]);
}

#[test]
fn what_is_not_done_exactly_is_refused_by_name() {
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true});
    let split = json!({"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": false});
    let falcon = |behavior: &str, individual: bool, digits: &str| {
        let punctuation = json!({"type": "Punctuation", "behavior": behavior});
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true});
        let numbers = json!({"type": "Digits", "individual_digits": individual});
        let split = json!({"type": "Split", "pattern": {"Regex": digits}, "behavior": "Isolated", "invert": false});
        json!({"type": "Sequence", "pretokenizers": [punctuation, bytes, numbers, split]})
    };
    let charsmap = |table: &str| json!({"type": "Precompiled", "precompiled_charsmap": table});
    let both =
        json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, charsmap(&"A".repeat(400))]});
    let cases = [
        ("/normalizer", charsmap("AAAAAA=="), "no units"),
        ("/normalizer", charsmap("BAAAAAAAAAA="), "it leads out of its units"),
        ("/normalizer", charsmap("BAAAAAA"), "not base64"),
        ("/normalizer", charsmap("CAAAAAAAAAA="), "shorter than it says"),
        ("/normalizer", both, "unsupported normalizer: {\"precompiled_charsmap\":\"…\""),
        ("/pre_tokenizer", falcon("Isolated", false, "[0-9][0-9][0-9]"), "Punctuation"),
        ("/pre_tokenizer", falcon("Contiguous", true, "[0-9][0-9][0-9]"), "unsupported"),
        ("/pre_tokenizer", falcon("Contiguous", false, "[0-9][0-9]"), "unsupported pre_tokenizer"),
        ("/model/type", json!("WordPiece"), "unsupported model: WordPiece"),
        ("/model/end_of_word_suffix", json!("</w>"), "end_of_word_suffix"),
        ("/model/dropout", json!(0.1), "dropout"),
        ("/normalizer", json!({"type": "NFD"}), "unsupported normalizer: {\"type\":\"NFD\"}"),
        ("/pre_tokenizer", json!(null), "unsupported pre_tokenizer: null"),
        ("/pre_tokenizer", bytes, "add_prefix_space"),
        ("/pre_tokenizer", split, "unsupported pre_tokenizer"),
        ("/pre_tokenizer/type", json!("Metaspace"), "Metaspace"),
        ("/decoder/type", json!("WordPiece"), "unsupported decoder"),
        ("/post_processor", json!({"type": "BertProcessing"}), "unsupported post_processor"),
        ("/added_tokens/0/id", json!(1500), "has the id 1500, where it would get 999"),
        ("/model/merges", json!(["a b c"]), "is no pair"),
        ("/model/merges", json!([["a", "漢"]]), "no token \"漢\""),
        ("/model/vocab", json!([]), "model.vocab"),
    ];
    for (pointer, value, expected) in cases {
        let tokenizer = changed("gpt2", pointer, value).to_string();
        let error = from_json(tokenizer.as_bytes(), None, &[]).expect_err(pointer).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{pointer}: {error}");
    }
    assert!(from_json(b"{", None, &[]).is_err());
}

#[test]
fn merges_are_read_in_both_spellings() {
    let pairs = golden("gpt2/tokenizer.json");
    let pairs = pairs["model"]["merges"].as_array().expect("merges");
    let text = |part: &Value| part.as_str().expect("text").to_owned();
    let spaced = pairs.iter().map(|pair| format!("{} {}", text(&pair[0]), text(&pair[1])));
    let spaced = std::iter::once("#version: 0.2".to_owned()).chain(spaced);
    let spaced = changed("gpt2", "/model/merges", spaced.collect());
    assert!(compiled(&spaced) == section("gpt2"));
}

#[test]
fn a_gguf_gives_the_same_ids() {
    let strings = strings();
    for (name, pre) in NAMES.into_iter().zip(["gpt-2", "llama-bpe", "qwen2", "smollm"]) {
        let tokenizer = golden(&format!("{name}/tokenizer.json"));
        let pairs = tokenizer["model"]["merges"].as_array().expect("merges").iter();
        let merges: Vec<String> = pairs
            .map(|pair| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        let vocab = tokenizer["model"]["vocab"].as_object().expect("a vocabulary");
        let mut tokens: Vec<_> =
            vocab.iter().map(|(text, id)| (id.as_u64(), text.as_str(), 1)).collect();
        for added in tokenizer["added_tokens"].as_array().expect("added tokens") {
            let (id, text) = (added["id"].as_u64(), added["content"].as_str().expect("text"));
            tokens.retain(|token| token.0 != id);
            tokens.push((id, text, if added["special"] == true { 3 } else { 4 }));
        }
        tokens.sort();
        let source = GgufTokenizer {
            model: "gpt2",
            pre: Some(pre),
            tokens: tokens.iter().map(|token| token.1).collect(),
            token_types: tokens.iter().map(|token| token.2).collect(),
            merges: merges.iter().map(String::as_str).collect(),
            bos: tokens.iter().position(|t| t.1 == "<|begin_of_text|>").map(|id| id as u32),
            ..GgufTokenizer::default()
        };
        let compiled = from_gguf(&source).expect("a tokenizer that converts");
        let tokenizer = Tokenizer::new(&compiled.section).expect("a section");
        check(&tokenizer, &golden(&format!("{name}.json")), &strings);
    }
}

#[test]
fn other_ggufs_are_refused_by_name() {
    let source = GgufTokenizer { model: "gpt2", pre: Some("smollm"), ..Default::default() };
    let cases = [
        (GgufTokenizer { model: "bert", ..source.clone() }, "tokenizer.ggml.model: bert"),
        (
            GgufTokenizer { model: "llama", tokens: vec!["a"], ..source.clone() },
            "tokenizer.ggml.scores: not as many",
        ),
        (GgufTokenizer { pre: Some("afmoe"), ..source.clone() }, "tokenizer.ggml.pre: afmoe"),
        (GgufTokenizer { add_space_prefix: Some(true), ..source.clone() }, "add_space_prefix"),
        (GgufTokenizer { has_charsmap: true, ..source.clone() }, "precompiled_charsmap: a table"),
        (GgufTokenizer { tokens: vec!["a", "a"], ..source.clone() }, "the same token twice"),
        (GgufTokenizer { merges: vec!["ab"], ..source.clone() }, "is no pair"),
    ];
    for (source, expected) in cases {
        let error = from_gguf(&source).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Any ids will do, as long as there is an end to it.
fn exercise(section: &[u8]) {
    let Ok(tokenizer) = Tokenizer::new(section) else { return };
    let long = "  ab漢\u{301}".repeat(40);
    for text in ["", "Hello, world! It's 12345 <|endoftext|> 漢字 \r\n \n x", "\0", &long] {
        let mut room = Room::new(&tokenizer, text);
        let mut count = 0;
        let mut take = |id: u32| {
            std::hint::black_box((tokenizer.bytes(id), tokenizer.is_special(id)));
            count += 1;
        };
        tokenizer.encode(text, Special::All, room.lend(), &mut take).expect("enough scratch");
        // Damage may ask for a space before each text, or for other forms of its characters.
        assert!(count <= 8 * (text.len() + 1));
    }
}

#[test]
fn damaged_tables_are_harmless() {
    let section = section("gpt2");
    let mut random = Random::new(1);
    for _ in 0..300 {
        exercise(&section[..random.below(section.len())]);
        let mut damaged = section.clone();
        for _ in 0..=random.below(40) {
            // The header and the tables of added tokens are small: aim at them as well.
            let within = [64, section.len()][random.below(2)];
            let at = random.below(within);
            damaged[at] = random.below(256) as u8;
        }
        exercise(&damaged);
        // Counts that fit, tables of noise.
        let mut noise = section.clone();
        noise[64..].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
        exercise(&noise);
    }
}
