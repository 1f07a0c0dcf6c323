//! A GGUF in parts, as large ones are published.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::gguf::{Gguf, GgufMetadata, read};
use super::tensor::insert;
use crate::error::{Error, Result, Shown};

/// The parts of a GGUF that was cut up (`NAME-00002-of-00003.gguf`), of which any may be given; of
/// one that was not, itself.
pub fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(whole) = raw_piece_of(name) {
        let whole = path.with_file_name(whole);
        // No pattern of a shell's, which puts 10 before 2.
        let todo =
            format!("join all of them, in the order of their numbers, into {}", whole.shown());
        return Err(Error::new(path.shown(), "a piece of a file that was cut up", todo));
    }
    let Some((stem, count)) = part_of_file(name) else { return Ok(vec![path.to_path_buf()]) };
    let name = |i: u32| path.with_file_name(part_name(stem, i, count));
    let parts: Vec<_> = (1..=count).map(name).collect();
    let missing: Vec<_> = parts.iter().filter(|part| !part.exists()).collect();
    let Some(first) = missing.first() else { return Ok(parts) };
    let more = match missing.len() - 1 {
        0 => String::new(),
        n => format!(", nor are {n} others"),
    };
    let what = format!("no such file{more}, and {} is one of {count} parts", path.shown());
    Err(Error::new(first.shown(), what, "get all of them into one folder"))
}

/// The first part of the GGUF that `path` is a part of; of one that was not cut up, itself.
pub fn first_part(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(OsStr::to_str).and_then(part_of_file);
    name.map_or(path.into(), |(stem, count)| path.with_file_name(part_name(stem, 1, count)))
}

fn part_name(stem: &str, part: u32, count: u32) -> String {
    format!("{stem}-{part:05}-of-{count:05}.gguf")
}

fn part_of_file(name: &str) -> Option<(&str, u32)> {
    part_of(name.strip_suffix(".gguf")?)
}

/// The name before `-00001-of-00003` and how many parts there are; of a name without its ending.
pub fn part_of(name: &str) -> Option<(&str, u32)> {
    let is_number = |digits: &str| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let number = |digits: &str| digits.parse().ok().filter(|_| is_number(digits));
    let (rest, count) = name.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let (part, count): (u32, u32) = (number(part)?, number(count)?);
    ((1..=count).contains(&part) && !stem.is_empty()).then_some((stem, count))
}

/// The name of the file that this is a piece of, cut at any byte (`NAME.gguf-split-a`,
/// `NAME.gguf.part1of2`): such pieces are no files of their own.
fn raw_piece_of(name: &str) -> Option<&str> {
    let (whole, piece) = name.split_at(name.rfind(".gguf")? + ".gguf".len());
    let known = [".part", "-part", ".split", "-split", ".0", ".a"];
    known.iter().any(|start| piece.starts_with(start)).then_some(whole)
}

/// Reads all parts, whose bytes are `maps`: the first says what the model is, all may have tensors.
pub fn read_parts<'m>(paths: &[PathBuf], maps: &[&'m [u8]]) -> Result<Gguf<'m>> {
    let mut whole = Gguf { metadata: GgufMetadata::default(), tensors: Default::default() };
    for (i, (path, map)) in paths.iter().zip(maps).enumerate() {
        let part = read(path, map)?;
        check_place(path, &part.metadata, i, paths.len())?;
        for (name, raw) in part.tensors {
            insert(&mut whole.tensors, &name, raw)?;
        }
        if i == 0 {
            whole.metadata = part.metadata;
        }
    }
    let wanted = number(&whole.metadata, "split.tensors.count");
    match (paths.first(), wanted) {
        (Some(path), Some(wanted)) if wanted != whole.tensors.len() as u64 => {
            let what = format!("it says {wanted} tensors, {} are there", whole.tensors.len());
            Err(Error::new(path.shown(), what, AGAIN))
        }
        _ => Ok(whole),
    }
}

const AGAIN: &str = "get all parts again, of the same model";

/// Whether a part says of itself what its name says.
fn check_place(path: &Path, metadata: &GgufMetadata<'_>, i: usize, count: usize) -> Result<()> {
    let (no, of) = (number(metadata, "split.no"), number(metadata, "split.count"));
    // A file that was not cut up may say so in one part or in none.
    let of = of.filter(|&n| n > 0 || count > 1);
    if of.is_none_or(|n| n == count as u64) && no.is_none_or(|n| n == i as u64) {
        return Ok(());
    }
    let own = no.map_or(1, |n| n.saturating_add(1));
    let of = of.unwrap_or(count as u64);
    let what = format!("it says that it is part {own} of {of}, not {} of {count}", i + 1);
    let todo = format!("name the parts NAME-{own:05}-of-{of:05}.gguf, all in one folder");
    Err(Error::new(path.shown(), what, todo))
}

fn number(metadata: &GgufMetadata<'_>, key: &str) -> Option<u64> {
    metadata.get(key)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn parts_have_two_numbers_of_five_digits() {
        assert_eq!(part_of("m-00002-of-00003"), Some(("m", 3)));
        for name in
            ["m", "m-00003-of-00002", "m-00000-of-00002", "m-+0001-of-00002", "-00001-of-00002"]
        {
            assert_eq!(part_of(name), None, "{name}");
        }
    }
}
