//! Writing a conversation.

use std::io;
use std::path::Path;

use oarlock::internal::crc::Crc32;
use oarlock::{Sampling, Session};

use super::layout::{HEAD, MAGIC, NO_SYSTEM, SavedChat, VERSION};
use crate::terminal::errors::{Outcome, file_fault};
use crate::terminal::replace::{PRIVATE, replace};

/// Keeps a conversation in the file at `path`, which has the old content until it has the new.
pub fn write(path: &Path, chat: &SavedChat, session: &mut Session<'_>) -> Outcome {
    let body = body(chat);
    let mut state = 0;
    let counted: Result<(), io::Error> = session.save(&mut |bytes| {
        state += bytes.len();
        Ok(())
    });
    let len = HEAD + body.len() + state + size_of::<u32>();
    let done = counted.and_then(|()| {
        replace(path, PRIVATE, |out| {
            let mut crc = Crc32::new();
            let mut put = |bytes: &[u8]| {
                crc.update(bytes);
                out.write_all(bytes)
            };
            put(&head(len as u64))?;
            put(&body)?;
            session.save(&mut put)?;
            out.write_all(&crc.finish().to_le_bytes())
        })
    });
    done.map_err(|error| file_fault(path, &error))
}

fn head(len: u64) -> Vec<u8> {
    let version = [VERSION.to_le_bytes(), [0; 4]].concat();
    [&MAGIC[..], &version, &len.to_le_bytes()].concat()
}

fn body(chat: &SavedChat) -> Vec<u8> {
    let mut body = chat.model.to_vec();
    let mut put = |number: u64| body.extend_from_slice(&number.to_le_bytes());
    let Sampling { temp, top_k, top_p, min_p, repeat_penalty } = chat.sampling;
    [temp.to_bits(), top_k.into(), top_p.to_bits(), min_p.to_bits(), repeat_penalty.to_bits()]
        .into_iter()
        .chain([chat.seed])
        .chain(chat.random)
        .chain([chat.pinned as u64])
        .for_each(&mut put);
    put(chat.system.as_ref().map_or(NO_SYSTEM, |text| text.len() as u64));
    body.extend_from_slice(chat.system.as_deref().unwrap_or_default().as_bytes());
    let mut put = |number: u64| body.extend_from_slice(&number.to_le_bytes());
    put(chat.transcript.turns.len() as u64);
    chat.transcript.turns.iter().flat_map(|turn| [turn.start, turn.answer]).for_each(&mut put);
    put(chat.transcript.ids.len() as u64);
    body.extend(chat.transcript.ids.iter().flat_map(|id| id.to_le_bytes()));
    body
}
