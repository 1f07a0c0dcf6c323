//! Reads GGUF, versions 2 and 3.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Everything is bounded by
//! the bytes that are there: no count in the file makes this allocate more than the file
//! could hold, and arrays are walked where they lie.

use std::collections::BTreeMap;
use std::path::Path;

use byteorder::{ByteOrder, LittleEndian};

use crate::error::{Error, Result};
use crate::source::{Dtype, Raw, Tensors, insert};

const MAGIC: &[u8; 4] = b"GGUF";
/// Arrays of arrays nest no deeper.
const MAX_DEPTH: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A value of the metadata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'m> {
    /// An integer of any width.
    Int(i128),
    /// A float of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A string; the format promises UTF-8, its writers do not always keep it.
    Str(&'m [u8]),
    /// Values of one type.
    Array(Array<'m>),
}

/// An array of the metadata, walked where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'m> {
    kind: u32,
    count: usize,
    bytes: &'m [u8],
}

impl<'m> Array<'m> {
    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = Value<'m>> + use<'m> {
        let (mut reader, kind) = (Reader { bytes: self.bytes, at: 0 }, self.kind);
        (0..self.count).map_while(move |_| reader.value(kind, 1))
    }

    /// The values, if they are strings.
    pub fn strings(&self) -> impl Iterator<Item = &'m [u8]> + use<'m> {
        self.iter().filter_map(|v| v.as_bytes())
    }
}

impl<'m> Value<'m> {
    /// The string's bytes.
    pub const fn as_bytes(&self) -> Option<&'m [u8]> {
        if let Self::Str(s) = *self { Some(s) } else { None }
    }

    /// The string, if it is UTF-8.
    pub fn as_str(&self) -> Option<&'m str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The integer, if it is one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Int(i) = *self { i.try_into().ok() } else { None }
    }

    /// The number as a float.
    pub const fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Int(i) => Some(i as f64),
            Self::Float(v) => Some(v),
            _ => None,
        }
    }

    /// The truth value.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = *self { Some(b) } else { None }
    }

    /// The array.
    pub const fn as_array(&self) -> Option<Array<'m>> {
        if let Self::Array(a) = *self { Some(a) } else { None }
    }
}

/// What a GGUF file says about its model.
#[derive(Clone, Debug, Default)]
pub struct Metadata<'m> {
    entries: BTreeMap<&'m str, Value<'m>>,
}

impl<'m> Metadata<'m> {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<Value<'m>> {
        self.entries.get(key).copied()
    }

    /// All keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'m str, Value<'m>)> {
        self.entries.iter().map(|(&k, &v)| (k, v))
    }
}

/// A GGUF file.
#[derive(Debug)]
pub struct Gguf<'m> {
    /// What it says about its model.
    pub metadata: Metadata<'m>,
    /// Its tensors.
    pub tensors: Tensors<'m>,
}

/// Reads the file whose bytes are `file`; `path` is for messages.
pub fn read<'m>(path: &Path, file: &'m [u8]) -> Result<Gguf<'m>> {
    let bad = |what: &str| Error::new(path.display(), what, "get the file again");
    let mut r = Reader { bytes: file, at: 0 };
    if r.take(4) != Some(MAGIC) {
        return Err(bad("not a GGUF file"));
    }
    let version = r.u32().ok_or_else(|| bad("truncated"))?;
    if !(2..=3).contains(&version) {
        let what = format!("GGUF version {version}");
        return Err(Error::new(path.display(), what, "only versions 2 and 3 are read"));
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
    let data = file.get(r.at.next_multiple_of(alignment)..).unwrap_or_default();
    let tensors = place(path, &infos, data, alignment)?;
    Ok(Gguf { metadata, tensors })
}

fn read_metadata<'m>(r: &mut Reader<'m>, count: u64) -> std::result::Result<Metadata<'m>, String> {
    let mut metadata = Metadata::default();
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

fn read_infos<'m>(r: &mut Reader<'m>, count: u64) -> std::result::Result<Vec<Info<'m>>, String> {
    let mut infos = Vec::new();
    for i in 0..count {
        let info = read_info(r).ok_or_else(|| format!("truncated or unreadable at tensor {i}"))?;
        infos.push(info);
    }
    Ok(infos)
}

fn read_info<'m>(r: &mut Reader<'m>) -> Option<Info<'m>> {
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
            Error::new(
                format_args!("{}: {}", path.display(), info.name),
                what,
                "get the file again",
            )
        };
        let dtype = dtype(info.kind).ok_or_else(|| {
            let what = format!("tensor type {} is not known", type_name(info.kind));
            let todo = "F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are read";
            Error::new(format_args!("{}: {}", path.display(), info.name), what, todo)
        })?;
        let len = Raw::bytes_needed(dtype, &info.shape)
            .ok_or_else(|| bad(format!("a shape of {:?} cannot be", info.shape)))?;
        let start = usize::try_from(info.offset).ok().filter(|s| s.is_multiple_of(alignment));
        let range = start.and_then(|s| Some(s..s.checked_add(len)?));
        let bytes = range.clone().and_then(|r| data.get(r));
        let (range, bytes) =
            range.zip(bytes).ok_or_else(|| bad("the file ends before the tensor does".into()))?;
        ranges.push((range, info.name));
        insert(&mut tensors, info.name, Raw { dtype, shape: info.shape.clone(), data: bytes })?;
    }
    ranges.sort_by_key(|(range, _)| range.start);
    for pair in ranges.windows(2) {
        if pair[1].0.start < pair[0].0.end {
            let what = format!("tensors {} and {} overlap", pair[0].1, pair[1].1);
            return Err(Error::new(path.display(), what, "get the file again"));
        }
    }
    Ok(tensors)
}

/// The types that are read, by their code in the file.
fn dtype(kind: u32) -> Option<Dtype> {
    Some(match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        2 => Dtype::Q4_0,
        3 => Dtype::Q4_1,
        8 => Dtype::Q8_0,
        30 => Dtype::Bf16,
        _ => return None,
    })
}

/// The name of a type that is not read, where the format has one.
fn type_name(kind: u32) -> String {
    let name = match kind {
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        20 => "IQ4_NL",
        23 => "IQ4_XS",
        28 => "F64",
        39 => "MXFP4",
        _ => return format!("{kind}"),
    };
    name.into()
}

struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(len)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).map(LittleEndian::read_u32)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8).map(LittleEndian::read_u64)
    }

    fn string(&mut self) -> Option<&'m [u8]> {
        let len = self.u64()?;
        self.take(usize::try_from(len).ok()?)
    }

    fn value(&mut self, kind: u32, depth: u32) -> Option<Value<'m>> {
        let int = |bytes: &[u8]| LittleEndian::read_int128(bytes, bytes.len());
        let uint = |bytes: &[u8]| LittleEndian::read_uint128(bytes, bytes.len()) as i128;
        Some(match kind {
            0 => Value::Int(uint(self.take(1)?)),
            1 => Value::Int(int(self.take(1)?)),
            2 => Value::Int(uint(self.take(2)?)),
            3 => Value::Int(int(self.take(2)?)),
            4 => Value::Int(uint(self.take(4)?)),
            5 => Value::Int(int(self.take(4)?)),
            6 => Value::Float(f64::from(LittleEndian::read_f32(self.take(4)?))),
            7 => Value::Bool(self.take(1)?[0] != 0),
            STRING => Value::Str(self.string()?),
            ARRAY => Value::Array(self.array(depth)?),
            10 => Value::Int(uint(self.take(8)?)),
            11 => Value::Int(int(self.take(8)?)),
            12 => Value::Float(LittleEndian::read_f64(self.take(8)?)),
            _ => return None,
        })
    }

    fn array(&mut self, depth: u32) -> Option<Array<'m>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let kind = self.u32()?;
        let count = usize::try_from(self.u64()?).ok()?;
        let start = self.at;
        match fixed_width(kind) {
            Some(width) => {
                self.take(count.checked_mul(width)?)?;
            }
            // Every value takes bytes, so a count beyond the file ends here.
            None => {
                for _ in 0..count {
                    self.value(kind, depth + 1)?;
                }
            }
        }
        Some(Array { kind, count, bytes: &self.bytes[start..self.at] })
    }
}

/// Bytes of a value of this type, where all have the same.
const fn fixed_width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
