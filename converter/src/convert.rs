//! The conversion itself: find, describe, plan, stream.

mod files;
mod group;
mod heads;
mod importance;
mod lanes;
mod options;
mod outliers;
mod pack;
mod plan;
mod provenance;
mod quantize;
mod stream;
mod text;

pub mod write;

use std::path::Path;

use oarlock::internal::format::layout::WeightType;
use oarlock::internal::format::{Config, TensorType};

use crate::config::description::{ModelDescription, Rotary};
use crate::error::{Error, Result};
use crate::map::map;
use crate::math::rope::phases;
use crate::output::{Output, refuse_inputs};
use crate::progress::Progress;
use files::Files;
pub use options::{ConvertOptions, OutputMatrix, Weights};
use plan::{Planned, plan};
use provenance::provenance;
use stream::stream;
use text::TextSections;
use write::{Metadata, RopeTable};

/// The outcome of a conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bits of file per weight of a matrix.
    pub bits_per_weight: f64,
    /// Numbers of matrices of a type of the source that became one of ours, the most frequent first.
    pub types: Vec<(&'static str, WeightType, usize)>,
}

/// Converts the model in `source` (a directory or a `.gguf` file) to the file `out`, which
/// appears only when it is complete.
///
/// # Errors
/// If a file cannot be read or written, the model computes something that is not known, the
/// options do not suit it, or `progress` says to stop.
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
    go_on(progress)?;
    if let Some(heads) = options.kv_heads {
        heads::pool(&mut loaded.model, heads)?;
    }
    let is_quantized = loaded.is_gguf && loaded.tensors.values().any(|raw| raw.dtype.block() > 1);
    let storage = options.storage(loaded.is_gguf, is_quantized)?;
    let planned = plan(&loaded.model, &loaded.tensors, storage)?;
    go_on(progress)?;
    let text = text::compile(&loaded, progress)?;
    let model = &loaded.model;
    for warning in model.warnings.iter().chain(&text.warnings) {
        progress.warn(warning);
    }
    let provenance = provenance(&files, &maps, storage, model.pooled_heads, progress)?;
    let metadata = metadata(model, &planned, text, provenance);
    go_on(progress)?;
    progress.writing();
    let output = Output::create(out)?;
    let file_bytes = stream(&output, metadata, &planned, progress)?;
    output.commit()?;
    let types = types(&planned);
    Ok(Report { file_bytes, bits_per_weight: bits_per_weight(&planned), types })
}

/// Stops where the caller wants to.
fn go_on(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// All of the file but its tensors.
fn metadata(
    model: &ModelDescription,
    planned: &[Planned<'_, '_>],
    text: TextSections,
    provenance: String,
) -> Metadata {
    let key_outliers = outliers::key_outliers(planned, &model.config);
    Metadata {
        config: Config { key_outliers: key_outliers.contains(&true), ..model.config },
        arch: model.arch.clone(),
        ropes: model.ropes.iter().map(|rope| table(rope, model.config.rot_dim)).collect(),
        no_rope: model.no_rope.clone(),
        local: model.local.clone(),
        sparse: model.sparse.clone(),
        key_outliers,
        tokenizer: text.tokenizer,
        chat: text.chat,
        sampling: model.sampling,
        provenance,
    }
}

fn table(rope: &Rotary, rot_dim: usize) -> RopeTable {
    let phases = phases(rope.theta, rot_dim, &rope.scaling);
    RopeTable { phases, attention_factor: rope.attention_factor }
}

/// See [`Report::types`].
fn types(planned: &[Planned<'_, '_>]) -> Vec<(&'static str, WeightType, usize)> {
    let mut types: Vec<(&'static str, WeightType, usize)> = Vec::new();
    for tensor in planned {
        let TensorType::Matrix(kind) = tensor.spec.kind else { continue };
        let from = tensor.dtype().name();
        match types.iter_mut().find(|(name, to, _)| (*name, *to) == (from, kind)) {
            Some((.., count)) => *count += tensor.experts,
            None => types.push((from, kind, tensor.experts)),
        }
    }
    types.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    types
}

fn bits_per_weight(planned: &[Planned<'_, '_>]) -> f64 {
    let matrices = planned.iter().filter(|p| p.spec.kind != TensorType::Vector);
    let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), p| {
        let len = p.spec.kind.stack_bytes(p.rows, p.cols, p.experts).unwrap_or(0);
        (bytes + len, weights + p.experts * p.rows * p.cols)
    });
    8.0 * bytes as f64 / weights.max(1) as f64
}
