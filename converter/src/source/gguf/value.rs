//! Numbers, strings and arrays as GGUF spells them.

use byteorder::{ByteOrder, LittleEndian};

/// Arrays of arrays nest no deeper.
const MAX_DEPTH: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A value of the metadata.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GgufValue<'m> {
    /// An integer of any width.
    Int(i128),
    /// A float of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A string; the format promises UTF-8, its writers do not always keep it.
    Str(&'m [u8]),
    /// Values of one type.
    Array(GgufArray<'m>),
}

/// An array of the metadata, walked where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GgufArray<'m> {
    kind: u32,
    count: usize,
    bytes: &'m [u8],
}

impl<'m> GgufArray<'m> {
    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = GgufValue<'m>> + use<'m> {
        let (mut reader, kind) = (GgufReader::new(self.bytes), self.kind);
        (0..self.count).map_while(move |_| reader.value(kind, 1))
    }
}

impl<'m> GgufValue<'m> {
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
    pub const fn as_array(&self) -> Option<GgufArray<'m>> {
        if let Self::Array(a) = *self { Some(a) } else { None }
    }
}

/// Reads a file from its start, never past its end.
pub(super) struct GgufReader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> GgufReader<'m> {
    pub const fn new(bytes: &'m [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub const fn at(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, len: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(len)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4).map(LittleEndian::read_u32)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take(8).map(LittleEndian::read_u64)
    }

    pub fn string(&mut self) -> Option<&'m [u8]> {
        let len = self.u64()?;
        self.take(usize::try_from(len).ok()?)
    }

    pub fn value(&mut self, kind: u32, depth: u32) -> Option<GgufValue<'m>> {
        let int = |bytes: &[u8]| LittleEndian::read_int128(bytes, bytes.len());
        let uint = |bytes: &[u8]| LittleEndian::read_uint128(bytes, bytes.len()) as i128;
        Some(match kind {
            0 => GgufValue::Int(uint(self.take(1)?)),
            1 => GgufValue::Int(int(self.take(1)?)),
            2 => GgufValue::Int(uint(self.take(2)?)),
            3 => GgufValue::Int(int(self.take(2)?)),
            4 => GgufValue::Int(uint(self.take(4)?)),
            5 => GgufValue::Int(int(self.take(4)?)),
            6 => GgufValue::Float(f64::from(LittleEndian::read_f32(self.take(4)?))),
            7 => GgufValue::Bool(self.take(1)?[0] != 0),
            STRING => GgufValue::Str(self.string()?),
            ARRAY => GgufValue::Array(self.array(depth)?),
            10 => GgufValue::Int(uint(self.take(8)?)),
            11 => GgufValue::Int(int(self.take(8)?)),
            12 => GgufValue::Float(LittleEndian::read_f64(self.take(8)?)),
            _ => return None,
        })
    }

    fn array(&mut self, depth: u32) -> Option<GgufArray<'m>> {
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
        Some(GgufArray { kind, count, bytes: &self.bytes[start..self.at] })
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
