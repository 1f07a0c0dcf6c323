//! Reads GGUF, versions 2 and 3.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Everything is bounded by
//! the bytes that are there: no count in the file makes this allocate more than the file
//! could hold, and arrays are walked where they lie.

mod value;

use std::collections::BTreeMap;
use std::path::Path;

use super::dtype::Dtype;
use super::tensor::{Raw, Tensors, insert};
use crate::error::{Error, Result, Shown};
use value::GgufReader;
pub use value::GgufValue;

const MAGIC: &[u8; 4] = b"GGUF";

/// Keys and values of a GGUF file, about its model.
#[derive(Clone, Debug, Default)]
pub struct GgufMetadata<'m> {
    entries: BTreeMap<&'m str, GgufValue<'m>>,
}

impl<'m> GgufMetadata<'m> {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<GgufValue<'m>> {
        self.entries.get(key).copied()
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'m str, GgufValue<'m>)> {
        self.entries.iter().map(|(&k, &v)| (k, v))
    }
}

/// A GGUF file.
#[derive(Debug)]
pub struct Gguf<'m> {
    /// Its keys and values.
    pub metadata: GgufMetadata<'m>,
    /// Its tensors.
    pub tensors: Tensors<'m>,
}

/// Reads the file whose bytes are `file`; `path` is for messages.
pub fn read<'m>(path: &Path, file: &'m [u8]) -> Result<Gguf<'m>> {
    let bad = |what: &str| Error::new(path.shown(), what, "get the file again");
    let mut r = GgufReader::new(file);
    if r.take(4) != Some(MAGIC) {
        let todo = "give a model directory or a .gguf file";
        return Err(Error::new(path.shown(), "not a GGUF file", todo));
    }
    let version = r.u32().ok_or_else(|| bad("truncated"))?;
    if !(2..=3).contains(&version) {
        let what = format!("GGUF version {version}");
        return Err(Error::new(path.shown(), what, "only versions 2 and 3 are read"));
    }
    let (n_tensors, n_entries) =
        r.u64().zip(r.u64()).ok_or_else(|| bad("truncated in its header"))?;
    let metadata = read_metadata(&mut r, n_entries).map_err(|what| bad(&what))?;
    let alignment = metadata.get("general.alignment").map_or(Some(32), |v| v.as_u64());
    let alignment = alignment
        .filter(|a| a.is_power_of_two() && *a <= 1 << 20)
        .ok_or_else(|| bad("general.alignment is no power of two"))? as usize;
    let infos = read_infos(&mut r, n_tensors).map_err(|what| bad(&what))?;
    // Without tensors the file may end before the padding.
    let data = file.get(r.at().next_multiple_of(alignment)..).unwrap_or_default();
    let tensors = place(path, &infos, data, alignment)?;
    Ok(Gguf { metadata, tensors })
}

fn read_metadata<'m>(
    r: &mut GgufReader<'m>,
    count: u64,
) -> std::result::Result<GgufMetadata<'m>, String> {
    let mut metadata = GgufMetadata::default();
    for i in 0..count {
        let key = r.string().ok_or_else(|| format!("truncated in key {i} of the metadata"))?;
        let key = str::from_utf8(key).or(Err(format!("key {i} of the metadata is not UTF-8")))?;
        let value = r.u32().and_then(|kind| r.value(kind, 0));
        let value = value.ok_or_else(|| format!("truncated or unreadable at {key}"))?;
        if metadata.entries.insert(key, value).is_some() {
            return Err(format!("{key} is there twice"));
        }
    }
    Ok(metadata)
}

/// A tensor as the file announces it.
struct Info<'m> {
    name: &'m str,
    /// The slowest first: GGUF has them the other way round.
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

fn read_infos<'m>(
    r: &mut GgufReader<'m>,
    count: u64,
) -> std::result::Result<Vec<Info<'m>>, String> {
    let mut infos = Vec::new();
    for i in 0..count {
        let info = read_info(r).ok_or_else(|| format!("truncated or unreadable at tensor {i}"))?;
        infos.push(info);
    }
    Ok(infos)
}

fn read_info<'m>(r: &mut GgufReader<'m>) -> Option<Info<'m>> {
    let name = str::from_utf8(r.string()?).ok()?;
    let dims = r.u32().filter(|n| (1..=4).contains(n))?;
    let mut shape = Vec::new();
    for _ in 0..dims {
        shape.push(usize::try_from(r.u64()?).ok()?);
    }
    shape.reverse();
    Some(Info { name, shape, kind: r.u32()?, offset: r.u64()? })
}

fn place<'m>(
    path: &Path,
    infos: &[Info<'m>],
    data: &'m [u8],
    alignment: usize,
) -> Result<Tensors<'m>> {
    let mut tensors = Tensors::new();
    let mut ranges = Vec::new();
    for info in infos {
        let bad = |what: String| {
            Error::new(format_args!("{}: {}", path.shown(), info.name), what, "get the file again")
        };
        let dtype = Dtype::from_gguf(info.kind).ok_or_else(|| {
            let what = format!("tensor type {} is not known", type_name(info.kind));
            let todo = format!("known: {}", Dtype::names().collect::<Vec<_>>().join(", "));
            Error::new(format_args!("{}: {}", path.shown(), info.name), what, todo)
        })?;
        let len = Raw::bytes_needed(dtype, &info.shape)
            .ok_or_else(|| bad(format!("a shape of {:?} cannot be", info.shape)))?;
        let start = usize::try_from(info.offset).ok().filter(|s| s.is_multiple_of(alignment));
        let range = start.and_then(|s| Some(s..s.checked_add(len)?));
        let bytes = range.clone().and_then(|r| data.get(r));
        let (range, bytes) =
            range.zip(bytes).ok_or_else(|| bad("the file ends before the tensor does".into()))?;
        ranges.push((range, info.name));
        insert(&mut tensors, info.name, Raw::new(dtype, info.shape.clone(), bytes))?;
    }
    ranges.sort_by_key(|(range, _)| range.start);
    for pair in ranges.windows(2) {
        if pair[1].0.start < pair[0].0.end {
            let what = format!("tensors {} and {} overlap", pair[0].1, pair[1].1);
            return Err(Error::new(path.shown(), what, "get the file again"));
        }
    }
    Ok(tensors)
}

/// The name of a type that is not read, where the format has one.
fn type_name(kind: u32) -> String {
    let name = match kind {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        _ => return format!("{kind}"),
    };
    name.into()
}
