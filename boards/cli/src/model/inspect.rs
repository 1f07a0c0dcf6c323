//! `oarlock inspect`: what is in a model, and exactly how much memory it needs.

use oarlock::internal::format::TensorType;
use oarlock::internal::format::kv::HEAD_ALIGN;
use oarlock::internal::model::{Layer, Tensor};
use oarlock::visible::Visible;
use oarlock::{KvType, Model, Options};
use serde_json::{Value, json};

use super::{open, setup};
use crate::args;
use crate::terminal::console;
use crate::terminal::errors::Outcome;

/// Writes the findings to stdout.
pub fn run(args: &args::Inspect) -> Outcome {
    let file = open::open(&args.run.model, args.file.as_deref())?;
    let model = open::model(&file)?;
    let mut options = setup::options(&args.run, &model);
    options.draft = usize::from(args.lookup);
    let session_bytes = setup::bytes_needed(&model, &options)?;
    if args.json {
        return console::put_json(&as_json(&model, &options, session_bytes));
    }
    console::put_line(&as_text(&file.name(), &model, &options, session_bytes))
}

fn as_json(model: &Model<'_>, options: &Options, session_bytes: usize) -> Value {
    let mut object = json!({
        "file_bytes": model.file_len(),
        "session_bytes": session_bytes,
        "kv_bytes_per_token": kv_bytes_per_token(model, options),
        "bits_per_weight": bits_per_weight(model),
        "arch": model.arch(),
        "context": model.config().context,
        "tensors": model.tensors().map(|tensor| tensor_json(&tensor)).collect::<Vec<_>>(),
    });
    if model.config().window > 0 {
        object["window"] = model.config().window.into();
        object["window_layers"] = windows(model).into();
    }
    if model.config().key_outliers {
        object["key_outlier_layers"] = layers(model, |layer| layer.key_outliers).into();
    }
    if model.config().n_experts > 0 {
        object["experts"] = model.config().n_experts.into();
        object["experts_used"] = model.config().n_experts_used.into();
        object["expert_layers"] = layers(model, |layer| layer.sparse).into();
        object["weights"] = weights(model, Experts::All).into();
        object["weights_used"] = weights(model, Experts::Used).into();
    }
    object
}

fn tensor_json(tensor: &Tensor<'_>) -> Value {
    let vector = tensor.kind == TensorType::Vector;
    let mut object = json!({
        "name": tensor.name,
        "role": tensor.role.name(),
        "layer": tensor.layer,
        "type": tensor.kind.name(),
        "shape": if vector { json!([tensor.cols]) } else { json!([tensor.rows, tensor.cols]) },
        "offset": tensor.extent.offset,
        "bytes": tensor.extent.len,
    });
    if let Some(n) = tensor.experts {
        object["experts"] = n.into();
    }
    object
}

fn as_text(name: &str, model: &Model<'_>, options: &Options, session_bytes: usize) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        text.push_str(&format!("{key:<20} {}\n", Visible::line(&value)));
    };
    line("model", name.to_owned());
    shape_lines(model, &mut line);
    extra_lines(model, &mut line);
    line("tied embedding", if model.config().tied { "yes" } else { "no" }.to_owned());
    let Options { context, sinks, chunk, kv, .. } = options;
    let what = format!("context {context}, sinks {sinks}, chunk {chunk}, kv {}", kv.name());
    line("session", format!("{session_bytes} bytes for {what}"));
    line("cache of a token", format!("{} bytes", kv_bytes_per_token(model, options)));
    for from in model.provenance().lines() {
        line("made from", from.to_owned());
    }
    text.push('\n');
    for tensor in model.tensors() {
        let experts = tensor.experts.map_or(String::new(), |n| format!("{n} × "));
        let shape = format!("{experts}{} × {}", tensor.rows, tensor.cols);
        let name = Visible::line(tensor.name).to_string();
        let (kind, bytes) = (tensor.kind.name(), tensor.extent.len);
        text.push_str(&format!("{name:<44} {kind:<6} {shape:>16} {bytes:>12} bytes\n"));
    }
    text.trim_end().to_owned()
}

/// Lines that every model has.
fn shape_lines(model: &Model<'_>, line: &mut dyn FnMut(&str, String)) {
    let config = model.config();
    line("architecture", model.arch().to_owned());
    line("file", format!("{} bytes", model.file_len()));
    let all = weights(model, Experts::All);
    line("weights", format!("{all} at {:.2} bits", bits_per_weight(model)));
    line("vocab_size", config.vocab_size.to_string());
    line("dim", config.dim.to_string());
    line("n_layers", config.n_layers.to_string());
    line("n_heads", config.n_heads.to_string());
    line("n_kv_heads", config.n_kv_heads.to_string());
    line("head_dim", config.head_dim.to_string());
    line("ffn_dim", config.ffn_dim.to_string());
    line("context", config.context.to_string());
}

/// Lines on windows, outliers and experts, of models that have them.
fn extra_lines(model: &Model<'_>, line: &mut dyn FnMut(&str, String)) {
    let config = model.config();
    if config.window > 0 {
        let n = windows(model);
        line("window", format!("{} tokens in {n} of {} layers", config.window, config.n_layers));
    }
    if config.key_outliers {
        let n = layers(model, |layer| layer.key_outliers);
        line("key outliers", format!("in {n} of {} layers: f16 in an int8 cache", config.n_layers));
    }
    if config.n_experts > 0 {
        let n = layers(model, |layer| layer.sparse);
        let (used, all) = (config.n_experts_used, config.n_experts);
        line("experts", format!("{used} of {all} in {n} of {} layers", config.n_layers));
        line("expert ffn_dim", config.expert_ffn_dim.to_string());
        if config.shared_ffn_dim > 0 {
            line("shared ffn_dim", config.shared_ffn_dim.to_string());
        }
        line("weights of a token", weights(model, Experts::Used).to_string());
    }
}

/// Layers with a window of their own.
fn windows(model: &Model<'_>) -> usize {
    layers(model, |layer| layer.local)
}

/// Layers of which this is so.
fn layers(model: &Model<'_>, is_so: impl Fn(&Layer<'_>) -> bool) -> usize {
    (0..model.config().n_layers).filter(|&i| is_so(&model.layer(i))).count()
}

/// Bytes of the cache that a further token of context takes, in all layers that then see it.
fn kv_bytes_per_token(model: &Model<'_>, options: &Options) -> usize {
    let config = model.config();
    let of_head = |kv: KvType| {
        let scales = kv.key_scales(config.head_dim) + kv.value_scales();
        let values = 2 * config.head_dim.next_multiple_of(HEAD_ALIGN) * kv.bytes();
        values + scales * size_of::<f32>()
    };
    let layers = (0..config.n_layers).map(|i| model.layer(i));
    let seeing = layers.filter(|layer| !layer.local || options.context < config.window);
    let kinds = seeing.map(|layer| options.kv.of_layer(layer.key_outliers));
    config.n_kv_heads * kinds.map(of_head).sum::<usize>()
}

/// Bits of the file's matrices for each of their weights, scales included.
fn bits_per_weight(model: &Model<'_>) -> f64 {
    let bytes: u64 = matrices(model).map(|tensor| tensor.extent.len).sum();
    8.0 * bytes as f64 / weights(model, Experts::All).max(1) as f64
}

/// Experts that count.
#[derive(Clone, Copy, PartialEq)]
enum Experts {
    /// All that there are.
    All,
    /// As many as a token goes through.
    Used,
}

/// Weights of the matrices.
fn weights(model: &Model<'_>, experts: Experts) -> u64 {
    let each = |tensor: Tensor<'_>| match (tensor.experts, experts) {
        (None, _) => 1,
        (Some(n), Experts::All) => n as u64,
        (Some(_), Experts::Used) => model.config().n_experts_used as u64,
    };
    matrices(model).map(|t| t.rows as u64 * t.cols as u64 * each(t)).sum()
}

fn matrices<'m>(model: &Model<'m>) -> impl Iterator<Item = Tensor<'m>> {
    model.tensors().filter(|tensor| tensor.kind != TensorType::Vector)
}
