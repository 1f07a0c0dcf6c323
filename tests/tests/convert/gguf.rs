//! Writes GGUF files.

use std::path::Path;

/// Codes of tensor types.
pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const Q4_0: u32 = 2;
pub const Q4_1: u32 = 3;
pub const Q8_0: u32 = 8;
pub const BF16: u32 = 30;
pub const MXFP4: u32 = 39;

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub struct Builder {
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Name, type, shape (slowest first), bytes.
    pub tensors: Vec<(String, u32, Vec<usize>, Vec<u8>)>,
}

fn string(s: &str) -> Vec<u8> {
    [&(s.len() as u64).to_le_bytes(), s.as_bytes()].concat()
}

impl Builder {
    fn put(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.metadata.retain(|(k, _)| k != key);
        self.metadata.push((key.into(), [&kind.to_le_bytes()[..], &value].concat()));
    }

    pub fn u32(&mut self, key: &str, v: u32) {
        self.put(key, 4, v.to_le_bytes().into());
    }

    pub fn f32(&mut self, key: &str, v: f32) {
        self.put(key, 6, v.to_le_bytes().into());
    }

    pub fn bool(&mut self, key: &str, v: bool) {
        self.put(key, 7, vec![v.into()]);
    }

    pub fn str(&mut self, key: &str, v: &str) {
        self.put(key, 8, string(v));
    }

    pub fn strings<'a>(&mut self, key: &str, all: impl Iterator<Item = &'a str>) {
        let all: Vec<_> = all.map(string).collect();
        let head = [&8_u32.to_le_bytes()[..], &(all.len() as u64).to_le_bytes()].concat();
        self.put(key, 9, [head, all.concat()].concat());
    }

    pub fn i32s(&mut self, key: &str, all: &[i32]) {
        let values: Vec<u8> = all.iter().flat_map(|v| v.to_le_bytes()).collect();
        let head = [&5_u32.to_le_bytes()[..], &(all.len() as u64).to_le_bytes()].concat();
        self.put(key, 9, [head, values].concat());
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            out.extend([string(key), value.clone()].concat());
        }
        let mut offset = 0_usize;
        for (name, kind, shape, bytes) in &self.tensors {
            out.extend(string(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&n| out.extend((n as u64).to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset += bytes.len().next_multiple_of(32);
        }
        for (.., bytes) in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(bytes);
        }
        out
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).unwrap();
    }

    pub fn tensor(&mut self, name: &str) -> &mut (String, u32, Vec<usize>, Vec<u8>) {
        self.tensors.iter_mut().find(|t| t.0 == name).unwrap()
    }
}
