//! Tensors from the source to the file, a few tiles at a time, on all cores.

use std::io::{self, BufWriter};
use std::sync::{Mutex, PoisonError};
use std::thread;

use oarlock::internal::format::TensorType;
use oarlock::internal::format::layout::{TILE_ROWS, WeightType, tile_bytes};

use super::importance;
use super::pack::{Flaw, head, rows_for, tile};
use super::plan::Planned;
use super::write::{Metadata, Writer};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;

/// Packed bytes that are made before they are written.
const CHUNK: usize = 4 << 20;

/// Writes the whole file to `output`; returns its length.
pub(crate) fn stream(
    output: &Output,
    metadata: Metadata,
    planned: &[Planned<'_, '_>],
    progress: &dyn Progress,
) -> Result<u64> {
    let fail = |e: io::Error| Error::write(output.target(), &e);
    let config = metadata.config;
    let specs = planned.iter().map(|p| p.spec.clone()).collect();
    let mut writer = Writer::new(BufWriter::new(output.file()), metadata, specs).map_err(fail)?;
    progress.start(writer.tensor_bytes());
    for tensor in planned {
        let step = match tensor.spec.kind {
            TensorType::Vector => tensor.rows,
            TensorType::Matrix(kind) => rows_for(kind, tensor.cols, CHUNK),
        };
        for expert in 0..tensor.experts {
            let importance = if is_searched(tensor) {
                importance::column_importance(tensor, expert, planned, &config)
            } else {
                Vec::new()
            };
            if let TensorType::Matrix(kind) = tensor.spec.kind {
                writer.write(&head(kind, tensor.dtype())).map_err(fail)?;
            }
            let (first, end) = (expert * tensor.rows, (expert + 1) * tensor.rows);
            for start in (first..end).step_by(step) {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let rows = start..end.min(start + step);
                let bytes = make(tensor, &importance, rows).map_err(|flaw| refuse(tensor, flaw))?;
                writer.write(&bytes).map_err(fail)?;
                progress.advance(bytes.len() as u64);
            }
        }
    }
    let file = writer.finish().map_err(fail)?.into_inner().map_err(|e| fail(e.into_error()))?;
    Ok(file.metadata().map_err(fail)?.len())
}

/// Whether scales are searched by importance: where the source has none to take over.
fn is_searched(tensor: &Planned<'_, '_>) -> bool {
    let TensorType::Matrix(kind) = tensor.spec.kind else { return false };
    let weighs = matches!(kind, WeightType::Int4 | WeightType::Int4n | WeightType::Int5);
    weighs && tensor.dtype().counterpart() != Some(kind)
}

fn refuse(tensor: &Planned<'_, '_>, flaw: Flaw) -> Error {
    let todo = match flaw {
        Flaw::NotFinite => "get the model again",
        Flaw::TooLarge => "give --weights f32",
    };
    Error::new(&tensor.spec.name, flaw, todo)
}

/// Bytes of a thread's stack, whatever the environment says of stacks.
const STACK: usize = 1 << 20;

/// The bytes of these rows: whole tiles, or a whole vector.
fn make(
    tensor: &Planned<'_, '_>,
    importance: &[f32],
    rows: std::ops::Range<usize>,
) -> std::result::Result<Vec<u8>, Flaw> {
    let TensorType::Matrix(kind) = tensor.spec.kind else { return vector(tensor, rows.start) };
    let tile_bytes = tile_bytes(kind, tensor.cols).unwrap_or(0);
    let mut out = vec![0; rows.len().div_ceil(TILE_ROWS) * tile_bytes];
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    let per_thread = rows.len().div_ceil(TILE_ROWS).div_ceil(threads).max(1);
    let parts: Mutex<Vec<_>> =
        Mutex::new(out.chunks_mut(per_thread * tile_bytes).enumerate().collect());
    let work = || {
        while let Some((part, out)) = next(&parts) {
            let first = rows.start + part * per_thread * TILE_ROWS;
            tiles(tensor, importance, kind, first..rows.end, out)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // Threads that cannot be started leave their parts to this one and the others.
        let started: Vec<_> = (1..threads)
            .map_while(|_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).ok())
            .collect();
        let here = work();
        started.into_iter().fold(here, |done, thread| {
            let there = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.and(there)
        })
    })?;
    drop(parts);
    Ok(out)
}

/// Takes a part that nobody has.
fn next<T>(parts: &Mutex<Vec<T>>) -> Option<T> {
    parts.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// Fills `out` with tiles of the rows from `rows.start`.
fn tiles(
    tensor: &Planned<'_, '_>,
    importance: &[f32],
    kind: WeightType,
    rows: std::ops::Range<usize>,
    out: &mut [u8],
) -> std::result::Result<(), Flaw> {
    let starts = rows.clone().step_by(TILE_ROWS);
    let bytes = tile_bytes(kind, tensor.cols).unwrap_or(1).max(1);
    for (start, out) in starts.zip(out.chunks_exact_mut(bytes)) {
        let lines: Vec<_> =
            (start..rows.end.min(start + TILE_ROWS)).map(|row| tensor.row(row)).collect();
        let lines: Vec<&[u8]> = lines.iter().map(AsRef::as_ref).collect();
        tile(kind, tensor.dtype(), tensor.cols, &lines, importance, out)?;
    }
    Ok(())
}

fn vector(tensor: &Planned<'_, '_>, row: usize) -> std::result::Result<Vec<u8>, Flaw> {
    let floats = tensor.floats(row);
    if floats.iter().any(|v| !v.is_finite()) {
        return Err(Flaw::NotFinite);
    }
    Ok(floats.into_iter().flat_map(f32::to_le_bytes).collect())
}
