//! Reads the `.npy` files that the command line writes.

use std::path::Path;

/// An array of f32: `.npy` version 1, little-endian, C order.
pub struct Npy {
    /// One dimension, or rows and columns.
    pub shape: Vec<usize>,
    /// In the order of the shape.
    pub data: Vec<f32>,
}

impl Npy {
    /// Reads `path`, insisting on exactly the dialect that `docs/reference/cli.md` promises.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(&bytes).unwrap_or_else(|what| panic!("{}: {what}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(b"\x93NUMPY\x01\x00").ok_or("not .npy version 1")?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or("no header length")?;
        let len = usize::from(u16::from_le_bytes(*len));
        if (10 + len) % 64 != 0 {
            return Err("the data is not aligned to 64 bytes".into());
        }
        let header = rest.get(..len).ok_or("a short header")?;
        let header = str::from_utf8(header).map_err(|e| e.to_string())?;
        for part in ["'descr': '<f4'", "'fortran_order': False"] {
            if !header.contains(part) {
                return Err(format!("no {part} in {header}"));
            }
        }
        let shape = shape(header).ok_or_else(|| format!("no shape in {header}"))?;
        let data: Vec<f32> =
            rest[len..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if rest.len() - len != 4 * shape.iter().product::<usize>() {
            return Err(format!("{} bytes of data for shape {shape:?}", rest.len() - len));
        }
        Ok(Self { shape, data })
    }

    /// Row `i`: (columns)
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.shape[1]..][..self.shape[1]]
    }

    /// Every value as its bits: what "the same" means in this project.
    pub fn bits(&self) -> Vec<u32> {
        self.data.iter().map(|v| v.to_bits()).collect()
    }
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (_, tail) = header.split_once("'shape': (")?;
    let (inside, _) = tail.split_once(')')?;
    let numbers = inside.split(',').map(str::trim).filter(|n| !n.is_empty());
    numbers.map(|n| n.parse().ok()).collect()
}
