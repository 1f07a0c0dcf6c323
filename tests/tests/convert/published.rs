//! Files as llama.cpp's converter makes them of a model directory in f32: names, keys, and where rows go.
//!
//! (Its own files of these directories, and of others with what GGUF has no key for left out,
//! gave the logits of `transformers`.)

use oarlock::internal::math::f16_to_f32;
use serde_json::Value;

use crate::gguf::{Builder, F32};
use crate::gpt_oss;
use crate::source::Source;

/// Peculiarities of a family there.
#[derive(Clone, Copy)]
struct Layout {
    arch: &'static str,
    /// Whether rows of q and k are permuted.
    permuted: bool,
    /// Whether one is added to the gains of norms.
    plus_one: bool,
    /// Whether the rows of q, k and v lie by groups in the directory, and do not there.
    grouped: bool,
    /// Whether matrices of layers are stored as columns in the directory, and are not there.
    transposed: bool,
    /// Keys beside Llama's, with those of `config.json`.
    own: &'static [(&'static str, &'static str)],
    /// Names that mean something else than in Llama.
    renamed: &'static [(&'static str, &'static str)],
}

const PLAIN: Layout = Layout {
    arch: "",
    permuted: false,
    plus_one: false,
    grouped: false,
    transposed: false,
    own: &[],
    renamed: &[],
};
const WINDOW: (&str, &str) = ("attention.sliding_window", "sliding_window");
const LOGIT_CAP: (&str, &str) = ("final_logit_softcapping", "final_logit_softcapping");
/// Keys of experts: one that is not in a model's config is not in its file.
const EXPERTS: &[(&str, &str)] = &[
    ("expert_count", "num_local_experts"),
    ("expert_count", "num_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "moe_intermediate_size"),
    ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
];
/// One name for two things.
const AFTER: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
];

fn layout(model_type: &str) -> Layout {
    match model_type {
        "llama" => Layout { arch: "llama", permuted: true, ..PLAIN },
        "qwen2" => Layout { arch: "qwen2", ..PLAIN },
        "mixtral" => Layout { arch: "llama", permuted: true, own: EXPERTS, ..PLAIN },
        "qwen2_moe" => Layout { arch: "qwen2moe", own: EXPERTS, ..PLAIN },
        "qwen3_moe" => Layout { arch: "qwen3moe", own: EXPERTS, ..PLAIN },
        "olmoe" => Layout { arch: "olmoe", own: EXPERTS, ..PLAIN },
        "gpt_oss" => {
            Layout { arch: "gpt-oss", own: gpt_oss::KEYS, renamed: gpt_oss::NAMES, ..PLAIN }
        }
        "qwen3" => Layout { arch: "qwen3", ..PLAIN },
        "stablelm" => Layout { arch: "stablelm", ..PLAIN },
        "granite" => Layout {
            arch: "granite",
            permuted: true,
            own: &[
                ("embedding_scale", "embedding_multiplier"),
                ("residual_scale", "residual_multiplier"),
                ("logit_scale", "logits_scaling"),
                ("attention.scale", "attention_multiplier"),
            ],
            ..PLAIN
        },
        "olmo" => Layout {
            arch: "olmo",
            permuted: true,
            own: &[("attention.clamp_kqv", "clip_qkv")],
            ..PLAIN
        },
        "olmo2" => Layout { arch: "olmo2", renamed: AFTER, ..PLAIN },
        "cohere" => Layout { arch: "command-r", own: &[("logit_scale", "logit_scale")], ..PLAIN },
        "cohere2" => {
            Layout { arch: "cohere2", own: &[("logit_scale", "logit_scale"), WINDOW], ..PLAIN }
        }
        "gemma" => Layout { arch: "gemma", plus_one: true, ..PLAIN },
        "gemma2" => Layout {
            arch: "gemma2",
            plus_one: true,
            own: &[("attn_logit_softcapping", "attn_logit_softcapping"), LOGIT_CAP, WINDOW],
            renamed: AFTER,
            ..PLAIN
        },
        "gemma3_text" => {
            Layout { arch: "gemma3", plus_one: true, own: &[WINDOW], renamed: AFTER, ..PLAIN }
        }
        "phi" => Layout { arch: "phi2", ..PLAIN },
        "phi3" => Layout { arch: "phi3", own: &[WINDOW], ..PLAIN },
        "gpt_neox" => Layout { arch: "gptneox", grouped: true, ..PLAIN },
        "gpt2" => Layout { arch: "gpt2", transposed: true, ..PLAIN },
        "gpt_bigcode" => Layout { arch: "starcoder", ..PLAIN },
        "starcoder2" => Layout { arch: "starcoder2", ..PLAIN },
        "falcon" => Layout {
            arch: "falcon",
            grouped: true,
            renamed: &[("ln_attn", "attn_norm_2"), ("ln_mlp", "attn_norm")],
            ..PLAIN
        },
        "mpt" => Layout { arch: "mpt", ..PLAIN },
        "bloom" => Layout { arch: "bloom", grouped: true, ..PLAIN },
        "nemotron" => Layout { arch: "nemotron", plus_one: true, ..PLAIN },
        "glm" => Layout { arch: "chatglm", ..PLAIN },
        "glm4" => Layout { arch: "glm4", ..PLAIN },
        other => panic!("{other}"),
    }
}

/// The sizes of a model, whatever its config calls them.
struct Sizes {
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    ffn: usize,
    context: usize,
}

impl Sizes {
    fn of(config: &Value) -> Self {
        let first = |words: &[&str]| {
            words.iter().find_map(|word| config[*word].as_u64()).map(|n| n as usize)
        };
        let hidden = first(&["hidden_size", "n_embd", "d_model"]).unwrap();
        let heads = first(&["num_attention_heads", "n_head", "n_heads"]).unwrap();
        let may = config["model_type"] == "falcon" || config["model_type"] == "gpt_bigcode";
        let one = config["multi_query"] != false && config["new_decoder_architecture"] != true;
        let kv = first(&["num_key_value_heads", "num_kv_heads"]);
        Self {
            hidden,
            heads,
            layers: first(&["num_hidden_layers", "n_layer", "n_layers"]).unwrap(),
            kv_heads: if may && one { 1 } else { kv.unwrap_or(heads) },
            head_dim: first(&["head_dim"]).unwrap_or(hidden / heads),
            ffn: first(&["intermediate_size", "ffn_hidden_size", "n_inner"]).unwrap_or(4 * hidden),
            context: first(&["max_position_embeddings", "n_positions", "max_seq_len"])
                .unwrap_or(2048),
        }
    }
}

/// Converts a directory.
pub fn from_directory(source: &Source) -> Builder {
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(source.join(name)).unwrap()).unwrap()
    };
    let config = read("config.json");
    let layout = layout(config["model_type"].as_str().unwrap());
    let sizes = Sizes::of(&config);
    let mut b = Builder::default();
    keys(&mut b, &layout, &sizes, &config);
    rope(&mut b, &layout, &sizes, &config);
    tokenizer(&mut b, &read("tokenizer.json"));
    let mut tensors = source.tensors();
    if layout.arch == "gpt-oss" {
        tensors = gpt_oss::experts(&mut b, tensors);
    }
    for (name, (dtype, shape, bytes)) in stacked(tensors) {
        tensor(&mut b, &layout, &sizes, &name, shape, floats(&dtype, &bytes));
    }
    b
}

/// Name, type, shape and bytes of tensors of a directory.
pub type Tensors = Vec<(String, (String, Vec<usize>, Vec<u8>))>;

/// All experts in one tensor, in the order of their numbers.
fn stacked(tensors: Tensors) -> Tensors {
    let mut out = Tensors::new();
    let (experts, others): (Tensors, Tensors) =
        tensors.into_iter().partition(|(name, _)| name.contains(".experts."));
    let mut experts: Vec<_> = experts
        .into_iter()
        .map(|(name, tensor)| {
            let (before, rest) = name.split_once(".experts.").unwrap();
            let (expert, after) = rest.split_once('.').unwrap();
            (format!("{before}.experts.{after}"), expert.parse::<usize>().unwrap(), tensor)
        })
        .collect();
    experts.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    for (name, _, (dtype, shape, bytes)) in experts {
        match out.last_mut() {
            Some((last, (_, all, data))) if *last == name => {
                all[0] += 1;
                data.extend(bytes);
            }
            _ => out.push((name, (dtype, [&[1], &shape[..]].concat(), bytes))),
        }
    }
    out.extend(others);
    out
}

fn keys(b: &mut Builder, layout: &Layout, sizes: &Sizes, config: &Value) {
    let arch = layout.arch;
    b.str("general.architecture", arch);
    for (key, n) in [
        ("block_count", sizes.layers),
        ("context_length", sizes.context),
        ("embedding_length", sizes.hidden),
        ("feed_forward_length", sizes.ffn),
        ("attention.head_count", sizes.heads),
        ("attention.head_count_kv", sizes.kv_heads),
        ("attention.key_length", sizes.head_dim),
        ("attention.value_length", sizes.head_dim),
        ("vocab_size", config["vocab_size"].as_u64().unwrap() as usize),
    ] {
        b.u32(&format!("{arch}.{key}"), n as u32);
    }
    if let Some(eps) = config["rms_norm_eps"].as_f64() {
        b.f32(&format!("{arch}.attention.layer_norm_rms_epsilon"), eps as f32);
    }
    for key in ["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"] {
        if let Some(eps) = config[key].as_f64() {
            b.f32(&format!("{arch}.attention.layer_norm_epsilon"), eps as f32);
        }
    }
    for (key, from) in layout.own {
        match &config[*from] {
            Value::Number(n) if n.is_u64() => {
                b.u32(&format!("{arch}.{key}"), n.as_u64().unwrap() as u32);
            }
            Value::Null => {}
            v => b.f32(&format!("{arch}.{key}"), v.as_f64().unwrap() as f32),
        }
    }
    match arch {
        "gptneox" => {
            let parallel = config["use_parallel_residual"].as_bool().unwrap();
            b.bool("gptneox.use_parallel_residual", parallel);
        }
        "falcon" => b.str("falcon.tensor_data_layout", "jploski"),
        "mpt" => {
            b.f32("mpt.attention.max_alibi_bias", 8.0);
            if let Some(limit) = config["attn_config"]["clip_qkv"].as_f64() {
                b.f32("mpt.attention.clamp_kqv", limit as f32);
            }
        }
        "nemotron" | "cohere2" => b.str(&format!("{arch}.rope.scaling.type"), "none"),
        _ => {}
    }
}

/// Keys and tensors of rotary positions.
fn rope(b: &mut Builder, layout: &Layout, sizes: &Sizes, config: &Value) {
    let (arch, mut rope) = (layout.arch, &config["rope_parameters"]);
    if let Some(whole) = rope.get("full_attention") {
        // In the fixture one layer in three sees everything, where published ones have six.
        b.u32(&format!("{arch}.attention.sliding_window_pattern"), 3);
        let local = rope["sliding_attention"]["rope_theta"].as_f64().unwrap();
        b.f32(&format!("{arch}.rope.freq_base_swa"), local as f32);
        b.str(&format!("{arch}.rope.scaling.type"), whole["rope_type"].as_str().unwrap());
        let factor = whole["factor"].as_f64().unwrap();
        b.f32(&format!("{arch}.rope.scaling.factor"), factor as f32);
        rope = whole;
    }
    let Some(theta) = rope["rope_theta"].as_f64() else { return };
    b.f32(&format!("{arch}.rope.freq_base"), theta as f32);
    let rotated = rope["partial_rotary_factor"].as_f64().unwrap_or(1.0) * sizes.head_dim as f64;
    b.u32(&format!("{arch}.rope.dimension_count"), rotated as u32);
    if rope["rope_type"] == "yarn" {
        b.str(&format!("{arch}.rope.scaling.type"), "yarn");
        b.f32(&format!("{arch}.rope.scaling.factor"), rope["factor"].as_f64().unwrap() as f32);
        let original = rope["original_max_position_embeddings"].as_u64().unwrap();
        b.u32(&format!("{arch}.rope.scaling.original_context_length"), original as u32);
    }
    if rope["rope_type"] == "longrope" {
        let original = rope["original_max_position_embeddings"].as_u64().unwrap();
        b.u32(&format!("{arch}.rope.scaling.original_context_length"), original as u32);
        let stretch = sizes.context as f64 / original as f64;
        let factor = (1.0 + stretch.ln() / (original as f64).ln()).sqrt();
        b.f32(&format!("{arch}.rope.scaling.attn_factor"), factor as f32);
        for kind in ["short", "long"] {
            let list = rope[format!("{kind}_factor")].as_array().unwrap();
            let bytes = list.iter().flat_map(|v| (v.as_f64().unwrap() as f32).to_le_bytes());
            let name = format!("rope_factors_{kind}.weight");
            b.tensors.push((name, F32, vec![list.len()], bytes.collect()));
        }
    }
}

pub fn floats(dtype: &str, bytes: &[u8]) -> Vec<f32> {
    let halves = bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
    match dtype {
        "F32" => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "F16" => halves.map(f16_to_f32).collect(),
        "BF16" => halves.map(|v| f32::from_bits(u32::from(v) << 16)).collect(),
        other => panic!("{other}"),
    }
}

fn tensor(
    b: &mut Builder,
    layout: &Layout,
    sizes: &Sizes,
    name: &str,
    mut shape: Vec<usize>,
    mut floats: Vec<f32>,
) {
    if layout.plus_one && name.ends_with("norm.weight") {
        floats.iter_mut().for_each(|v| *v += 1.0);
    }
    if layout.transposed && shape.len() == 2 && name.contains(".h.") {
        let [rows, cols] = [shape[0], shape[1]];
        floats = (0..rows * cols).map(|i| floats[i % rows * cols + i / rows]).collect();
        shape.reverse();
    }
    let bytes: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
    let bytes = match name {
        n if layout.permuted && n.contains("q_proj") => permute(&bytes, shape[0], sizes.heads),
        n if layout.permuted && n.contains("k_proj") => permute(&bytes, shape[0], sizes.kv_heads),
        n if layout.grouped && n.contains("query_key_value") => ungroup(&bytes, shape[0], sizes),
        _ => bytes,
    };
    b.tensors.push((rename(name, layout), F32, shape, bytes));
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

/// All queries, then all keys, then all values, where each key's queries stood before it.
fn ungroup(bytes: &[u8], rows: usize, sizes: &Sizes) -> Vec<u8> {
    let (row_bytes, head_dim) = (bytes.len() / rows, sizes.head_dim);
    let queries = sizes.heads / sizes.kv_heads;
    let head = |group: usize, i: usize| {
        let first = (group * (queries + 2) + i) * head_dim;
        &bytes[first * row_bytes..][..head_dim * row_bytes]
    };
    let groups = 0..sizes.kv_heads;
    let q = groups.clone().flat_map(|g| (0..queries).map(move |i| (g, i)));
    let k = groups.clone().map(|g| (g, queries));
    let v = groups.map(|g| (g, queries + 1));
    q.chain(k).chain(v).flat_map(|(g, i)| head(g, i)).copied().collect()
}

fn rename(name: &str, layout: &Layout) -> String {
    let pairs = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.final_layernorm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("gpt_neox.embed_in", "token_embd"),
        ("gpt_neox.layers", "blk"),
        ("gpt_neox.final_layer_norm", "output_norm"),
        ("embed_out", "output"),
        ("transformer.wte", "token_embd"),
        ("transformer.wpe", "position_embd"),
        ("transformer.word_embeddings_layernorm", "token_embd_norm"),
        ("transformer.word_embeddings", "token_embd"),
        ("transformer.h.", "blk."),
        ("transformer.blocks", "blk"),
        ("transformer.ln_f", "output_norm"),
        ("transformer.norm_f", "output_norm"),
        ("post_self_attn_layernorm", "post_attention_norm"),
        ("post_mlp_layernorm", "post_ffw_norm"),
        ("post_feedforward_layernorm", "post_ffw_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        (".norm_1", ".attn_norm"),
        (".norm_2", ".ffn_norm"),
        ("ln_1", "attn_norm"),
        ("ln_2", "ffn_norm"),
        ("self_attn.qkv_proj", "attn_qkv"),
        ("self_attention.query_key_value", "attn_qkv"),
        ("attention.query_key_value", "attn_qkv"),
        ("attn.c_attn", "attn_qkv"),
        ("attn.Wqkv", "attn_qkv"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.dense", "attn_output"),
        ("self_attention.dense", "attn_output"),
        ("attention.dense", "attn_output"),
        ("attn.out_proj", "attn_output"),
        ("attn.c_proj", "attn_output"),
        ("self_attn.q_norm", "attn_q_norm"),
        ("self_attn.k_norm", "attn_k_norm"),
        ("block_sparse_moe.gate", "ffn_gate_inp"),
        ("block_sparse_moe.experts.w1", "ffn_gate_exps"),
        ("block_sparse_moe.experts.w2", "ffn_down_exps"),
        ("block_sparse_moe.experts.w3", "ffn_up_exps"),
        ("mlp.experts.gate_proj", "ffn_gate_exps"),
        ("mlp.experts.up_proj", "ffn_up_exps"),
        ("mlp.experts.down_proj", "ffn_down_exps"),
        ("mlp.shared_expert_gate", "ffn_gate_inp_shexp"),
        ("mlp.shared_expert.gate_proj", "ffn_gate_shexp"),
        ("mlp.shared_expert.up_proj", "ffn_up_shexp"),
        ("mlp.shared_expert.down_proj", "ffn_down_shexp"),
        ("mlp.gate.", "ffn_gate_inp."),
        ("mlp.gate_up_proj", "ffn_up"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("mlp.fc1", "ffn_up"),
        ("mlp.fc2", "ffn_down"),
        ("mlp.c_fc", "ffn_up"),
        ("mlp.c_proj", "ffn_down"),
        ("mlp.dense_h_to_4h", "ffn_up"),
        ("mlp.dense_4h_to_h", "ffn_down"),
        ("ffn.up_proj", "ffn_up"),
        ("ffn.down_proj", "ffn_down"),
    ];
    layout
        .renamed
        .iter()
        .chain(&pairs)
        .fold(name.into(), |name: String, (from, to)| name.replace(from, to))
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
