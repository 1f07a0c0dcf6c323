//! The conversion itself: find, describe, plan, stream.

mod files;
mod heads;
mod importance;
pub mod options;
mod outliers;
mod pack;
mod plan;
mod provenance;
mod quantize;
mod stream;
mod text;
pub mod write;

use std::path::Path;

use oarlock::format::{Config, TensorType};

use crate::config::description::Rotary;
use crate::error::Result;
use crate::map::map;
use crate::math::rope::phases;
use crate::output::{Output, refuse_inputs};
use crate::progress::Progress;
use files::Files;
use options::resolve;
pub use options::{ConvertOptions, Head, Weights};
use plan::{Planned, plan};
use provenance::{Made, provenance};
use stream::stream;
use write::{Metadata, RopeTable};

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
    let words = text::compile(&loaded)?;
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

fn bits_per_weight(planned: &[Planned<'_, '_>]) -> f64 {
    let matrices = planned.iter().filter(|p| p.spec.kind != TensorType::Vector);
    let (bytes, weights) = matrices.fold((0, 0), |(bytes, weights), p| {
        let len = p.spec.kind.stack_bytes(p.rows, p.cols, p.experts).unwrap_or(0);
        (bytes + len, weights + p.experts * p.rows * p.cols)
    });
    8.0 * bytes as f64 / weights.max(1) as f64
}
