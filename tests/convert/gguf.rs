//! Writes GGUF files, as the published converter lays them out.

use std::path::Path;

use serde_json::Value;

use crate::source::Source;

/// Codes of tensor types.
pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const Q4_0: u32 = 2;
pub const Q4_1: u32 = 3;
pub const Q8_0: u32 = 8;
pub const BF16: u32 = 30;

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub struct Builder {
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Name, type, shape (slowest first), bytes.
    pub tensors: Vec<(String, u32, Vec<usize>, Vec<u8>)>,
}

fn string(s: &str) -> Vec<u8> {
    [&(s.len() as u64).to_le_bytes(), s.as_bytes()].concat()
}

impl Builder {
    fn put(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.metadata.retain(|(k, _)| k != key);
        self.metadata.push((key.into(), [&kind.to_le_bytes()[..], &value].concat()));
    }

    pub fn u32(&mut self, key: &str, v: u32) {
        self.put(key, 4, v.to_le_bytes().into());
    }

    pub fn f32(&mut self, key: &str, v: f32) {
        self.put(key, 6, v.to_le_bytes().into());
    }

    pub fn bool(&mut self, key: &str, v: bool) {
        self.put(key, 7, vec![v.into()]);
    }

    pub fn str(&mut self, key: &str, v: &str) {
        self.put(key, 8, string(v));
    }

    pub fn strings<'a>(&mut self, key: &str, all: impl Iterator<Item = &'a str>) {
        let all: Vec<_> = all.map(string).collect();
        let head = [&8_u32.to_le_bytes()[..], &(all.len() as u64).to_le_bytes()].concat();
        self.put(key, 9, [head, all.concat()].concat());
    }

    pub fn i32s(&mut self, key: &str, all: &[i32]) {
        let values: Vec<u8> = all.iter().flat_map(|v| v.to_le_bytes()).collect();
        let head = [&5_u32.to_le_bytes()[..], &(all.len() as u64).to_le_bytes()].concat();
        self.put(key, 9, [head, values].concat());
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            out.extend([string(key), value.clone()].concat());
        }
        let mut offset = 0_usize;
        for (name, kind, shape, bytes) in &self.tensors {
            out.extend(string(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&n| out.extend((n as u64).to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += bytes.len().next_multiple_of(32);
        }
        for (.., bytes) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(bytes);
        }
        out
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).unwrap();
    }

    pub fn tensor(&mut self, name: &str) -> &mut (String, u32, Vec<usize>, Vec<u8>) {
        self.tensors.iter_mut().find(|t| t.0 == name).unwrap()
    }
}

/// A family's name there, whether its rows of q and k are permuted, and the keys that it has
/// beside Llama's, with those of `config.json`.
fn family(model_type: &str) -> (&str, bool, &'static [(&'static str, &'static str)]) {
    let granite = &[
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
        ("attention.scale", "attention_multiplier"),
    ];
    match model_type {
        "llama" => ("llama", true, &[]),
        "granite" => ("granite", true, granite),
        "stablelm" => ("stablelm", false, &[("attention.layer_norm_epsilon", "layer_norm_eps")]),
        other => (other, false, &[]),
    }
}

/// What the published converter makes of a model directory in f32: names, keys, and for some
/// families q and k permuted. (Its own files of these directories gave the same logits.)
pub fn from_directory(source: &Source) -> Builder {
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(source.join(name)).unwrap()).unwrap()
    };
    let config = read("config.json");
    let size = |key: &str| config[key].as_u64().unwrap() as u32;
    let mut b = Builder::default();
    let (arch, permuted, own) = family(config["model_type"].as_str().unwrap());
    let head_dim = config["hidden_size"].as_u64().unwrap() / u64::from(size("num_attention_heads"));
    let head_dim = config["head_dim"].as_u64().unwrap_or(head_dim);
    let rope = &config["rope_parameters"];
    let rotated = rope["partial_rotary_factor"].as_f64().unwrap_or(1.0) * head_dim as f64;
    b.str("general.architecture", arch);
    for (key, from) in [
        ("block_count", "num_hidden_layers"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("vocab_size", "vocab_size"),
    ] {
        b.u32(&format!("{arch}.{key}"), size(from));
    }
    b.u32(&format!("{arch}.attention.key_length"), head_dim as u32);
    b.u32(&format!("{arch}.attention.value_length"), head_dim as u32);
    b.u32(&format!("{arch}.rope.dimension_count"), rotated as u32);
    if let Some(eps) = config["rms_norm_eps"].as_f64() {
        b.f32(&format!("{arch}.attention.layer_norm_rms_epsilon"), eps as f32);
    }
    for (key, from) in own {
        b.f32(&format!("{arch}.{key}"), config[*from].as_f64().unwrap() as f32);
    }
    b.f32(&format!("{arch}.rope.freq_base"), rope["rope_theta"].as_f64().unwrap() as f32);
    tokenizer(&mut b, &read("tokenizer.json"));
    for (name, (dtype, shape, bytes)) in source.tensors() {
        assert_eq!(dtype, "F32");
        let heads = match name.as_str() {
            n if permuted && n.contains("q_proj") => size("num_attention_heads"),
            n if permuted && n.contains("k_proj") => size("num_key_value_heads"),
            _ => 0,
        };
        let bytes = if heads > 0 { permute(&bytes, shape[0], heads as usize) } else { bytes };
        let name = match arch {
            // One name for two things.
            "olmo2" => name.replace("post_attention_layernorm", "post_attention_norm"),
            _ => name,
        };
        b.tensors.push((rename(&name), F32, shape, bytes));
    }
    b
}

fn tokenizer(b: &mut Builder, json: &Value) {
    let mut tokens: Vec<(u64, &str, i32)> = Vec::new();
    for (token, id) in json["model"]["vocab"].as_object().unwrap() {
        tokens.push((id.as_u64().unwrap(), token, 1));
    }
    for added in json["added_tokens"].as_array().unwrap() {
        let (id, token) = (added["id"].as_u64().unwrap(), added["content"].as_str().unwrap());
        tokens.retain(|(other, ..)| *other != id);
        tokens.push((id, token, 3));
    }
    tokens.sort();
    b.str("tokenizer.ggml.model", "gpt2");
    b.str("tokenizer.ggml.pre", "smollm");
    b.strings("tokenizer.ggml.tokens", tokens.iter().map(|t| t.1));
    b.i32s("tokenizer.ggml.token_type", &tokens.iter().map(|t| t.2).collect::<Vec<_>>());
    let merges: Vec<String> = json["model"]["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|merge| match merge {
            Value::String(merge) => merge.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        })
        .collect();
    b.strings("tokenizer.ggml.merges", merges.iter().map(String::as_str));
    b.u32("tokenizer.ggml.eos_token_id", tokens.len() as u32 - 1);
    b.bool("tokenizer.ggml.add_bos_token", false);
}

/// `reshape(heads, 2, half).swapaxes(1, 2)` of the rows.
pub fn permute(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let (row_bytes, head_dim) = (bytes.len() / rows, rows / heads);
    let mut out = vec![0; bytes.len()];
    for (row, line) in bytes.chunks_exact(row_bytes).enumerate() {
        let (head, i) = (row / head_dim, row % head_dim);
        let to = head * head_dim + i % (head_dim / 2) * 2 + i / (head_dim / 2);
        out[to * row_bytes..][..row_bytes].copy_from_slice(line);
    }
    out
}

fn rename(name: &str) -> String {
    let pairs = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    pairs.iter().fold(name.into(), |name: String, (from, to)| name.replace(from, to))
}
