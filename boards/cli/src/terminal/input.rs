//! Text that comes from outside: arguments, files, standard input. All of it is UTF-8.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oarlock_convert::Shown;
use oarlock_convert::memory::fallible;

use super::errors::{Outcome, fault, file_fault, reason, remedy};

/// The text of an argument.
pub fn argument<'a>(name: &str, text: &'a OsStr) -> Outcome<&'a str> {
    utf8(name, text.as_bytes())
}

/// The text of a file, or of standard input for `-`.
pub fn file(path: &Path) -> Outcome<String> {
    if path.as_os_str() == "-" {
        return stdin();
    }
    let bytes = File::open(path).and_then(read).map_err(|error| file_fault(path, &error))?;
    text(&path.shown().to_string(), bytes)
}

/// All of standard input.
pub fn stdin() -> Outcome<String> {
    let bytes = read(io::stdin().lock());
    let bytes = bytes.map_err(|error| fault("standard input", reason(&error), remedy(&error)))?;
    text("standard input", bytes)
}

/// The longest text that is read at once, in bytes: what follows from it takes 16 times as much.
const LONGEST: u64 = 64 << 20;
/// The longest line, in bytes.
pub const LONGEST_LINE: u64 = 16 << 20;

/// All that there is, or one byte more than a text may have.
fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let (mut from, mut bytes) = (from.take(LONGEST + 1), Vec::new());
    let mut part = [0; 1 << 14];
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(n) => {
                fallible(|| bytes.try_reserve(n))?;
                bytes.extend_from_slice(&part[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Outcome<String> {
    if bytes.len() as u64 > LONGEST {
        let what = format!("longer than {} MiB, the longest text", LONGEST >> 20);
        return Err(fault(name, what, "give it in parts"));
    }
    owned(name, bytes)
}

/// `bytes` as text; if they are not, the error says where.
pub fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Outcome<&'a str> {
    utf8_after(name, bytes, 0)
}

/// As [`utf8`], for bytes that come after `before` others.
pub fn utf8_after<'a>(name: &str, bytes: &'a [u8], before: u64) -> Outcome<&'a str> {
    str::from_utf8(bytes).map_err(|error| not_utf8(name, before + error.valid_up_to() as u64))
}

fn owned(name: &str, bytes: Vec<u8>) -> Outcome<String> {
    String::from_utf8(bytes)
        .map_err(|error| not_utf8(name, error.utf8_error().valid_up_to() as u64))
}

fn not_utf8(name: &str, offset: u64) -> super::errors::Stop {
    fault(name, format!("not UTF-8 at byte offset {offset}"), "give text in UTF-8")
}

/// Token ids as people and `tokenize` write them: by spaces or commas, in brackets or not.
pub fn ids(name: &str, text: &str, vocab_size: usize) -> Outcome<Vec<u32>> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner
        .unwrap_or(trimmed)
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(|word| id(name, word, vocab_size))
        .collect()
}

fn id(name: &str, word: &str, vocab_size: usize) -> Outcome<u32> {
    let id = word.parse::<u32>().map_err(|_| {
        fault(name, format!("{word:?} is not a token id"), "give numbers, by spaces or commas")
    })?;
    if id as usize >= vocab_size {
        let most = vocab_size.saturating_sub(1);
        return Err(fault(name, format!("there is no token {id}"), format!("at most {most}")));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_by_spaces_and_commas() {
        for text in ["1,2 3", " 1 2, 3\n", "[1, 2, 3]", "1,,2,3,"] {
            assert_eq!(ids("", text, 4).unwrap(), [1, 2, 3], "{text:?}");
        }
        assert!(ids("", "", 4).unwrap().is_empty());
        for bad in ["-1", "x", "4", "[1", "1.0"] {
            assert!(ids("", bad, 4).is_err(), "{bad:?}");
        }
    }
}
