//! Arrays of f32 in NumPy's format: version 1, little-endian, C order.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use oarlock_convert::replacement::Replacement;

use crate::terminal::errors::{Outcome, file_fault};
use crate::terminal::replace::PUBLIC;

/// An array that is being written row by row; the file has its name once it is complete.
pub struct Npy {
    path: PathBuf,
    out: BufWriter<Target>,
}

/// The place that takes the bytes.
enum Target {
    File(Replacement),
    /// A device, which takes no renaming.
    Device(File),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(replacement) => replacement.file().write(bytes),
            Self::Device(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Npy {
    /// Starts an array of this shape.
    pub fn create(path: &Path, shape: &[usize]) -> Outcome<Self> {
        let device = fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        let target = if device {
            File::create(path).map(Target::Device)
        } else {
            Replacement::begin(path, PUBLIC).map(Target::File)
        };
        let target = target.map_err(|error| file_fault(path, &error))?;
        let mut npy = Self { path: path.into(), out: BufWriter::new(target) };
        npy.write(&header(shape))?;
        Ok(npy)
    }

    /// Appends one row.
    pub fn row(&mut self, values: &[f32]) -> Outcome {
        for value in values {
            self.write(&value.to_le_bytes())?;
        }
        Ok(())
    }

    /// Completes the file under its name.
    pub fn finish(self) -> Outcome {
        let Self { path, out } = self;
        let target = out.into_inner().map_err(io::IntoInnerError::into_error);
        let done = target.and_then(|target| match target {
            Target::File(replacement) => replacement.commit(),
            Target::Device(_) => Ok(()),
        });
        done.map_err(|error| file_fault(&path, &error))
    }

    fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.out.write_all(bytes).map_err(|error| file_fault(&self.path, &error))
    }
}

/// Magic, version 1.0, the length of the rest, and a Python dictionary padded to 64 bytes.
fn header(shape: &[usize]) -> Vec<u8> {
    // As Python writes a tuple, which makes the file the same as NumPy's, byte for byte.
    let shape = match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let total = (10 + dict.len() + 1).next_multiple_of(64);
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&((total - 10) as u16).to_le_bytes());
    bytes.extend_from_slice(dict.as_bytes());
    bytes.resize(total - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_a_multiple_of_64_and_says_its_length() {
        for shape in [&[7][..], &[0, 1], &[1, 49152], &[usize::MAX, usize::MAX]] {
            let bytes = header(shape);
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10, bytes.len());
            assert!(bytes.ends_with(b"\n"));
        }
    }

    #[test]
    fn shapes_are_written_as_numpy_writes_them() {
        for (shape, written) in [(&[7][..], "(7,)"), (&[8, 49152], "(8, 49152)")] {
            let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {written}, }} ");
            assert!(header(shape)[10..].starts_with(dict.as_bytes()));
        }
    }
}
