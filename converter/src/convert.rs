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

use std::fmt::{self, Display};
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
pub use files::{default_name, source_files};
pub use options::{ConvertOptions, OutputMatrix, Weights};
use plan::{Planned, plan};
use provenance::provenance;
use stream::stream;
use text::TextSections;
use write::{Metadata, RopeTable};

/// The version of what conversions give. The number behind the dash goes up whenever the same source
/// and options give other bytes: whoever keeps them converts again then.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

/// The outcome of a conversion; shown, what became of which types.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bits of file per weight of a matrix.
    pub bits_per_weight: f64,
    /// Numbers of matrices of a type of the source that became one of ours, the most frequent first.
    pub types: Vec<(&'static str, WeightType, usize)>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mb, bits) = (self.file_bytes as f64 / 1e6, self.bits_per_weight);
        write!(f, "{mb:.1} MB, {bits:.2} bits per weight: ")?;
        for (i, (from, to, n)) in self.types.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{n} {from} as {}", to.name())?;
        }
        Ok(())
    }
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
    let is_quantized = loaded.tensors.values().any(|raw| raw.dtype.is_quantized());
    let storage = options.storage(loaded.is_gguf, is_quantized)?;
    let planned = plan(&loaded.model, &loaded.tensors, storage)?;
    go_on(progress)?;
    let text = text::compile(&loaded, progress)?;
    let model = &loaded.model;
    for warning in model.warnings.iter().chain(&text.warnings) {
        progress.warn(warning);
    }
    if let Some(line) = rounded_scales(&planned) {
        progress.warn(&line);
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

/// A line about codes of safetensors that are taken over, where f16 does not hold their scales.
fn rounded_scales(planned: &[Planned<'_, '_>]) -> Option<String> {
    let rounds = |tensor: &&Planned<'_, '_>| match tensor.spec.kind {
        TensorType::Matrix(kind) => tensor.rounds_scales(kind),
        TensorType::Vector => false,
    };
    let n = planned.iter().filter(rounds).map(|tensor| tensor.experts).sum::<usize>();
    let line = || {
        format!(
            "{n} matrices keep their integers, but f16 does not hold all of their scales: they are rounded \
             (--weights f32 keeps them)"
        )
    };
    (n > 0).then(line)
}

/// See [`Report::types`].
fn types(planned: &[Planned<'_, '_>]) -> Vec<(&'static str, WeightType, usize)> {
    let mut types: Vec<(&'static str, WeightType, usize)> = Vec::new();
    for tensor in planned {
        let TensorType::Matrix(kind) = tensor.spec.kind else { continue };
        let from = tensor.type_name();
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
