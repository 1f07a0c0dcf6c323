//! The conversion itself: find, describe, plan, stream.

use std::path::Path;

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, TensorType};

use crate::config::Rotary;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::heads;
use crate::map::map;
use crate::outliers;
use crate::output::{Output, refuse_inputs};
use crate::plan::{Planned, Weights, plan};
use crate::progress::Progress;
use crate::provenance::{Made, provenance};
use crate::rope::phases;
use crate::stream::stream;
use crate::words;
use crate::write::{Metadata, RopeTable};

/// What the user chose; what is not chosen follows from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// How matrices are stored: `int4` from safetensors, kept from a GGUF by default.
    pub weights: Option<Weights>,
    /// How the output matrix is stored, and the embedding when it is the same.
    pub head: Option<Head>,
    /// Into how many heads keys and values are pooled; left as they are by default.
    pub kv_heads: Option<usize>,
}

/// How the output matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// In a way of its own.
    Of(Weights),
    /// As the other matrices.
    Same,
}

/// What a conversion made.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bits of file per weight of a matrix.
    pub bits_per_weight: f64,
}

/// Converts the model in `source` (a directory or a `.gguf` file) to the file `out`.
pub fn convert(
    source: &Path,
    out: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let files = Files::find(source)?;
    refuse_inputs(out, files.all())?;
    let maps = files.weights.iter().map(|path| map(path)).collect::<Result<Vec<_>>>()?;
    let bytes: Vec<&[u8]> = maps.iter().map(|map| &map[..]).collect();
    let mut loaded = files.load(&bytes)?;
    if let Some(heads) = options.kv_heads {
        heads::pool(&mut loaded.model, heads)?;
    }
    let (weights, head) = resolve(options, loaded.is_gguf)?;
    let planned = plan(&loaded.model, &loaded.tensors, weights, head)?;
    let words = words::compile(&loaded)?;
    for warning in loaded.model.warnings.iter().chain(&words.warnings) {
        progress.warn(warning);
    }
    let model = &loaded.model;
    let key_outliers = outliers::key_outliers(&planned, &model.config);
    let made = Made { weights, head, pooled_heads: model.pooled_heads };
    let metadata = Metadata {
        config: Config { key_outliers: key_outliers.contains(&true), ..model.config },
        arch: model.arch.clone(),
        ropes: model.ropes.iter().map(|rope| table(rope, model.config.rot_dim)).collect(),
        no_rope: model.no_rope.clone(),
        local: model.local.clone(),
        sparse: model.sparse.clone(),
        key_outliers,
        tokenizer: words.tokenizer,
        chat: words.chat,
        sampling: model.sampling,
        provenance: provenance(&files, &maps, &made, progress)?,
    };
    let output = Output::create(out)?;
    let file_bytes = stream(&output, metadata, &planned, progress)?;
    output.commit()?;
    Ok(Report { file_bytes, bits_per_weight: bits_per_weight(&planned) })
}

fn table(rope: &Rotary, rot_dim: usize) -> RopeTable {
    let phases = phases(rope.theta, rot_dim, &rope.scaling);
    RopeTable { phases, attention_factor: rope.attention_factor }
}

/// The choices, with what follows from the source where none was made.
fn resolve(options: &ConvertOptions, is_gguf: bool) -> Result<(Weights, Weights)> {
    let default = if is_gguf { Weights::Keep } else { Weights::As(WeightType::Int4) };
    let weights = options.weights.unwrap_or(default);
    let head = match (options.head, weights) {
        (Some(Head::Of(head)), _) => head,
        (Some(Head::Same), weights) => weights,
        (None, Weights::As(kind)) if kind.is_quantized() => Weights::As(WeightType::Int8),
        (None, weights) => weights,
    };
    for (option, choice) in [("--weights", weights), ("--head", head)] {
        if choice == Weights::Keep && !is_gguf {
            let todo = "safetensors are not quantized: give int4, int4a, int8 or f32";
            return Err(Error::new(format_args!("{option} keep"), "the source is no GGUF", todo));
        }
    }
    Ok((weights, head))
}

fn bits_per_weight(planned: &[Planned<'_, '_>]) -> f64 {
    let matrices = planned.iter().filter(|p| p.spec.kind != TensorType::Vector);
    let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), p| {
        let len = p.spec.kind.stack_bytes(p.rows, p.cols, p.experts).unwrap_or(0);
        (bytes + len, weights + p.experts * p.rows * p.cols)
    });
    8.0 * bytes as f64 / weights.max(1) as f64
}
