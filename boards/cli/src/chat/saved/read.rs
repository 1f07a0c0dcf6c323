//! Reading a conversation, none of which is believed before all of it has been checked.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use oarlock::conversation::Turn;
use oarlock::internal::crc::Crc32;
use oarlock::{RestoreError, Sampling, Session};
use oarlock_convert::Shown;
use oarlock_convert::replacement::check_regular;
use oarlock_hosted::Transcript;

use super::layout::{HEAD, MAGIC, NO_SYSTEM, SavedChat, VERSION};
use crate::terminal::errors::{Outcome, Stop, fault, file_fault};

/// A file whose checksum is right; what it holds beside the session.
pub struct Saved {
    path: PathBuf,
    /// Stands where the session begins.
    file: BufReader<File>,
    /// The conversation that was read.
    pub chat: SavedChat,
}

impl Saved {
    /// Reads the file at `path` as far as the session; `None` if there is no file.
    pub fn open(path: &Path) -> Outcome<Option<Self>> {
        match check_regular(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| file_fault(path, &error))?,
        }
        let file = File::open(path).map_err(|error| file_fault(path, &error))?;
        let len = file.metadata().map_err(|error| file_fault(path, &error))?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        check(path, &mut file, len)?;
        let chat = chat(&mut file, len).map_err(|error| file_fault(path, &error))?;
        let chat = chat.ok_or_else(|| damaged(path, "what it holds does not fit together"))?;
        Ok(Some(Self { path: path.into(), file, chat }))
    }

    /// Takes the session over. On an error it is as it was, or empty.
    pub fn restore(mut self, session: &mut Session<'_>) -> Outcome {
        session.restore(&mut |place| self.file.read_exact(place)).map_err(|error| match error {
            RestoreError::Source(error) => file_fault(&self.path, &error),
            RestoreError::Damaged => damaged(&self.path, "its session does not fit together"),
            other => fault(self.path.shown(), &other, remedy(&other)),
        })?;
        if session.len() > self.chat.transcript.ids.len() as u64 {
            let _ = session.reset(session.options().sinks);
            return Err(damaged(&self.path, "its session does not fit together"));
        }
        Ok(())
    }
}

/// The options that the session in the file wants.
fn remedy(error: &RestoreError<io::Error>) -> String {
    match error {
        RestoreError::Context(context) => format!("give --context {context}"),
        RestoreError::Kv(kv) => format!("give --kv {}", kv.name()),
        RestoreError::Slack { chunk, draft } => format!("give --chunk {chunk} --lookup {draft}"),
        _ => "name another file".to_owned(),
    }
}

fn damaged(path: &Path, what: &str) -> Stop {
    fault(path.shown(), format!("it is damaged: {what}"), "name another file, or move this away")
}

/// Whether the file is one of ours, whole and undamaged; leaves it behind its head.
fn check(path: &Path, file: &mut BufReader<File>, len: u64) -> Outcome {
    let failed = |error: io::Error| file_fault(path, &error);
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(failed)?;
    if head.get(..MAGIC.len()) != Some(&MAGIC) {
        let what = "is not a conversation of Oarlock";
        return Err(fault(path.shown(), what, "name another file"));
    }
    let number = |at: usize, n: usize| {
        let bytes = head.get(at..at + n).unwrap_or_default();
        bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    };
    let (version, whole) = (number(8, 4), number(16, 8));
    if version != u64::from(VERSION) {
        let what = format!("is of version {version}, this program reads version {VERSION}");
        return Err(fault(path.shown(), what, "go on with the program that wrote it"));
    }
    if head.len() < HEAD || len < whole {
        let what = format!("is cut off: {len} of {whole} bytes are there");
        return Err(fault(path.shown(), what, "name another file, or move this away"));
    }
    let (crc, found) = checksums(file, &head, len).map_err(failed)?;
    if len > whole || crc != found {
        return Err(damaged(path, "its checksum is another one"));
    }
    file.seek(SeekFrom::Start(HEAD as u64)).map(drop).map_err(failed)
}

/// The checksum of what is there, and the one that is written at the end.
fn checksums(file: &mut BufReader<File>, head: &[u8], len: u64) -> io::Result<(u32, u32)> {
    let mut crc = Crc32::new();
    crc.update(head);
    let mut left = len.saturating_sub((head.len() + size_of::<u32>()) as u64);
    let mut part = vec![0; 1 << 16];
    while left > 0 {
        let n = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut part[..n])?;
        crc.update(&part[..n]);
        left -= n as u64;
    }
    let mut found = [0; 4];
    file.read_exact(&mut found)?;
    Ok((crc.finish(), u32::from_le_bytes(found)))
}

/// Reads what is kept beside the session; `None` if it does not fit together.
fn chat(file: &mut impl Read, len: u64) -> io::Result<Option<SavedChat>> {
    let mut model = [0; 32];
    file.read_exact(&mut model)?;
    let [temp, top_k, top_p, min_p, repeat_penalty, seed] = numbers(file)?;
    let real = f64::from_bits;
    let top_k = u32::try_from(top_k).unwrap_or(0);
    let (temp, top_p, min_p) = (real(temp), real(top_p), real(min_p));
    let sampling = Sampling { temp, top_k, top_p, min_p, repeat_penalty: real(repeat_penalty) };
    let random = numbers(file)?;
    let [pinned, system] = numbers(file)?;
    let system = match system {
        NO_SYSTEM => Some(None),
        n => String::from_utf8(bytes(file, n, 1, len)?).ok().map(Some),
    };
    let [turns] = numbers(file)?;
    let turns = bytes(file, turns, 16, len)?;
    let place = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
    let turns = turns.as_chunks().0.as_chunks().0.iter();
    let turns = turns.map(|&[start, answer]| Turn { start: place(start), answer: place(answer) });
    let turns = turns.collect();
    let [ids] = numbers(file)?;
    let ids =
        bytes(file, ids, 4, len)?.as_chunks().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let (transcript, pinned) = (Transcript { ids, turns }, usize::try_from(pinned).ok());
    let sound = transcript.is_sound() && sampling.check().is_ok();
    Ok(system.zip(pinned).filter(|_| sound).map(|(system, pinned)| SavedChat {
        model,
        sampling,
        seed,
        random,
        pinned,
        system,
        transcript,
    }))
}

fn numbers<const N: usize>(file: &mut impl Read) -> io::Result<[u64; N]> {
    let mut bytes = [[0; 8]; N];
    file.read_exact(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_le_bytes))
}

/// `n` times `each` bytes, which a file of `len` bytes can have.
fn bytes(file: &mut impl Read, n: u64, each: u64, len: u64) -> io::Result<Vec<u8>> {
    let n = n.checked_mul(each).filter(|&n| n <= len).ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = vec![0; n as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
