//! Reads safetensors: one file, or shards with an index.
//!
//! <https://github.com/huggingface/safetensors#format>: a u64 length, that many bytes of
//! JSON, then the tensors, which must fill the rest exactly.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use byteorder::{ByteOrder, LittleEndian};
use serde_json::Value;

use super::dtype::Dtype;
use super::tensor::{Raw, Tensors, insert};
use crate::error::{Error, Result, Shown};
use crate::replacement::read_regular;

/// The longest header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The weight files of a model directory, and the index that names them, if there is one.
#[derive(Debug)]
pub struct Shards {
    /// The files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// `(path, names of all tensors)`
    pub index: Option<(PathBuf, BTreeSet<String>)>,
}

/// Finds the weight files of the model in `dir`.
pub fn find(dir: &Path) -> Result<Shards> {
    let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
    if single.exists() {
        return Ok(Shards { files: vec![single], index: None });
    }
    if !index.exists() {
        let what = format!("neither {SINGLE} nor {INDEX} is there");
        return Err(Error::new(dir.shown(), what, "get the model's files in safetensors format"));
    }
    let text = read_regular(&index).map_err(|e| Error::read(&index, &e))?;
    let bad = |what: &str| Error::new(index.shown(), what, "get the file again");
    let json: Value = serde_json::from_slice(&text).map_err(|e| bad(&e.to_string()))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| bad("it has no weight_map"))?;
    let mut names = BTreeSet::new();
    for file in map.values() {
        let file = file.as_str().ok_or_else(|| bad("a file name is not a string"))?;
        if Path::new(file).file_name().is_none_or(|name| name != file) {
            return Err(bad(&format!("{file:?} is not the name of a file beside it")));
        }
        names.insert(file);
    }
    let files = names.iter().map(|name| dir.join(name)).collect();
    Ok(Shards { files, index: Some((index, map.keys().cloned().collect())) })
}

/// The files that [`find`] looks for and those that it finds.
pub fn candidates(dir: &Path) -> Vec<PathBuf> {
    let mut files = vec![dir.join(SINGLE), dir.join(INDEX)];
    let shards = find(dir).map(|shards| shards.files).unwrap_or_default();
    files.extend(shards.into_iter().filter(|file| !file.ends_with(SINGLE)));
    files
}

impl Shards {
    /// Reads the tensors of all shards, whose bytes are `maps`; `spare` are those that an index may
    /// name although they are not there.
    pub fn read<'m>(&self, maps: &[&'m [u8]], spare: &dyn Fn(&str) -> bool) -> Result<Tensors<'m>> {
        let mut all = Tensors::new();
        for (path, bytes) in self.files.iter().zip(maps) {
            for (name, raw) in read(path, bytes)? {
                insert(&mut all, &name, raw)?;
            }
        }
        let Some((path, names)) = &self.index else { return Ok(all) };
        if let Some(name) = names.iter().find(|name| !all.contains_key(*name) && !spare(name)) {
            let what = format!("tensor {name} is in none of the files that it names");
            return Err(Error::new(path.shown(), what, "get the model again"));
        }
        if let Some(name) = all.keys().find(|name| !names.contains(*name)) {
            let what = format!("it does not list tensor {name}, which its files have");
            return Err(Error::new(path.shown(), what, "get the model again"));
        }
        Ok(all)
    }
}

/// Reads the tensors of the file whose bytes are `file`; `path` is for messages.
pub fn read<'m>(path: &Path, file: &'m [u8]) -> Result<Tensors<'m>> {
    let bad = |what: String| Error::new(path.shown(), what, "get the file again");
    let len = file.get(..8).map(LittleEndian::read_u64);
    let len = len.ok_or_else(|| bad("truncated: no safetensors header".into()))?;
    if len > MAX_HEADER {
        return Err(bad(format!("a header of {len} bytes is over the limit of {MAX_HEADER}")));
    }
    let end = 8 + len as usize;
    let header = file.get(8..end);
    let header = header.ok_or_else(|| bad("truncated in its header".into()))?;
    let json: Value =
        serde_json::from_slice(header).map_err(|e| bad(format!("its header is not JSON: {e}")))?;
    let json = json.as_object().ok_or_else(|| bad("its header is no object".into()))?;
    let data = &file[end..];
    let mut tensors = Tensors::new();
    let mut ranges = Vec::new();
    for (name, info) in json.iter().filter(|(name, _)| *name != "__metadata__") {
        let (raw, start) = tensor(info, data).map_err(|what| {
            Error::new(format_args!("{}: {name}", path.shown()), what, GET_FLOATS)
        })?;
        ranges.push((start, start + raw.data.len(), name));
        insert(&mut tensors, name, raw)?;
    }
    check_coverage(ranges, data.len()).map_err(bad)?;
    Ok(tensors)
}

const GET_FLOATS: &str = "get the model again, in f32, f16 or bf16";

/// Checks that the ranges fill the data exactly, without overlap or gap.
fn check_coverage(
    mut ranges: Vec<(usize, usize, &String)>,
    len: usize,
) -> std::result::Result<(), String> {
    ranges.sort();
    let mut end = 0;
    for (start, stop, name) in ranges {
        match start.cmp(&end) {
            std::cmp::Ordering::Less => return Err(format!("tensor {name} overlaps another")),
            std::cmp::Ordering::Greater => return Err(format!("there is a gap before {name}")),
            std::cmp::Ordering::Equal => end = stop,
        }
    }
    if end == len { Ok(()) } else { Err(format!("{} bytes after the last tensor", len - end)) }
}

/// Types that no weights are read of, and their bytes: masks and positions of old files have them,
/// which are left out.
const OTHERS: &[(&str, usize)] = &[
    ("BOOL", 1),
    ("I8", 1),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
    ("F8_E8M0", 1),
    ("I16", 2),
    ("U16", 2),
    ("I32", 4),
    ("U32", 4),
    ("I64", 8),
    ("U64", 8),
    ("F64", 8),
    ("C64", 8),
];

/// The tensor that `info` describes, and where in `data` it starts.
fn tensor<'m>(info: &Value, data: &'m [u8]) -> std::result::Result<(Raw<'m>, usize), String> {
    let name = info.get("dtype").and_then(Value::as_str).ok_or("it has no dtype")?;
    let dtype = match name {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        "U8" => Dtype::U8,
        _ => OTHERS
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(other, bytes)| Dtype::Other(other, *bytes))
            .ok_or_else(|| format!("dtype {name} is not known"))?,
    };
    let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let sizes = |key: &str| {
        let array = info.get(key).and_then(Value::as_array)?;
        array.iter().map(size).collect::<Option<Vec<_>>>()
    };
    let shape = sizes("shape").ok_or("it has no shape")?;
    let offsets = sizes("data_offsets").ok_or("it has no data_offsets")?;
    let [start, end] = *offsets else { return Err("data_offsets are not two".into()) };
    let bytes = data.get(start..end).ok_or("the file ends before the tensor does")?;
    let needed = Raw::bytes_needed(dtype, if shape.is_empty() { &[1] } else { &shape });
    if needed != Some(bytes.len()) {
        return Err(format!("{} bytes for a shape of {shape:?} in {name}", bytes.len()));
    }
    Ok((Raw::new(dtype, shape, bytes), start))
}
