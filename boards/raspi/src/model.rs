//! The model: where the firmware has put it, and whether it is whole.
#![allow(unsafe_code)]

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use oarlock::OpenError;
use oarlock::VerifyError;
use oarlock::internal::format::{Header, MAGIC};
use oarlock::{Executor, Model};
use oarlock_raspi::units::Megabytes;

use crate::console::{print, println};
use crate::cores::Cores;
use crate::firmware::{Firmware, slice};
use crate::{log, scratch};

/// Offset in the image's header of the memory that it takes (`boot.s`).
const IMAGE_SIZE_AT: usize = 16;

/// The reason why there is no chat: `thing: what (what to do)`.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The firmware has loaded no model.
    NoModel,
    /// The file is no model, or its metadata is damaged.
    Open(OpenError),
    /// A tensor is damaged.
    Tensor(&'static str, VerifyError),
    /// A section is not one that this version reads.
    Section(&'static str),
    /// The model cannot chat, for this reason.
    Reason(&'static str),
    /// Bytes that are needed, bytes that are free.
    Memory(usize, usize),
    /// The session cannot be as `cmdline.txt` asks.
    Options(oarlock::OptionsError),
}

/// There is no model.
pub const NONE: Fault = Fault::NoModel;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const AGAIN: &str = "write the card again: oarlock-convert image --board raspi";
        match self {
            Self::NoModel => write!(f, "model: the firmware has loaded none ({AGAIN})"),
            Self::Open(what) => write!(f, "model: {what} ({AGAIN})"),
            Self::Tensor(name, what) => write!(f, "model: tensor {name}: {what} ({AGAIN})"),
            Self::Section(name) => write!(f, "model: invalid {name} section ({AGAIN})"),
            Self::Reason(why) => {
                write!(f, "model: it cannot chat: {why} (take a model with a chat template)")
            }
            Self::Memory(needed, free) => write!(
                f,
                "memory: {} are needed and {} are free (take a smaller oarlock.context in \
                 cmdline.txt, or a smaller model)",
                Megabytes(*needed),
                Megabytes(*free)
            ),
            Self::Options(what) => write!(f, "cmdline.txt: {what} (change the oarlock. flags)"),
        }
    }
}

impl core::error::Error for Fault {}

/// Finds the model: what the firmware loaded as `initramfs`, or else behind the program.
pub fn find(firmware: &Firmware, image: usize) -> Option<Range<usize>> {
    let loaded = firmware.tree.and_then(|tree| tree.initramfs());
    let place = loaded.or_else(|| appended(firmware, image))?;
    firmware.memory.holds(&place).then_some(place)
}

/// Finds what was appended to the file of the program: as long as the header says, or, if it was
/// not told, at most as long as the memory.
fn appended(firmware: &Firmware, image: usize) -> Option<Range<usize>> {
    let program = scratch::program().len();
    let start = image.checked_add(program)?;
    let memory = firmware.memory.there().iter().find(|all| all.contains(&start))?;
    // SAFETY: the header of the program, as the firmware has loaded it; mapped, and written
    // by nobody.
    let size = unsafe { slice(image..image + IMAGE_SIZE_AT + 8) };
    let size = size.last_chunk().map_or(0, |size| u64::from_le_bytes(*size)) as usize;
    let end = if size > program { image.checked_add(size)? } else { memory.end };
    let most = start..end.min(memory.end);
    // SAFETY: memory that is there, mapped, and written by nobody yet.
    let bytes = unsafe { slice(most.clone()) };
    // A model whose header is damaged keeps all of it, to be told so.
    let len = Header::read(bytes).map_or(most.len(), |header| header.total_len as usize);
    bytes.starts_with(&MAGIC).then_some(start..start.saturating_add(len).min(most.end))
}

/// Opens the model and checks every tensor, on all cores.
pub fn open(place: Range<usize>, cores: &Cores) -> Result<Model<'static>, Fault> {
    // SAFETY: taken from all other use by `Scratch::claim`, mapped, and written by nobody.
    let bytes = unsafe { slice(place.clone()) };
    log::info!("model at {=usize:x} to {=usize:x}", place.start, place.end);
    let model = Model::open(bytes).map_err(|error| {
        log::error!("model: {}", error);
        Fault::Open(error)
    })?;
    let (tensors, bytes) = (model.n_tensors(), Megabytes(model.file_len()));
    print!("checking the model ({}, {tensors} tensors, {bytes}):", model.arch());
    let damaged = first_damaged(&model, cores);
    println!();
    match damaged {
        None => {
            log::info!("model of {=usize} tensors in order", tensors);
            Ok(model)
        }
        Some((index, error)) => {
            log::error!("tensor {=usize} damaged", index);
            let name = model.tensors().nth(index).map_or("", |tensor| tensor.name);
            Err(Fault::Tensor(name, error))
        }
    }
}

/// The damaged tensor that comes first. One line grows meanwhile.
fn first_damaged(model: &Model<'static>, cores: &Cores) -> Option<(usize, VerifyError)> {
    let (parts, tensors) = (cores.threads(), model.n_tensors());
    let first = AtomicUsize::new(usize::MAX);
    cores.run(parts, &|part| {
        let mut told = 0;
        for index in (part..tensors).step_by(parts) {
            if model.verify_tensor(index).is_err() {
                first.fetch_min(index, Relaxed);
            }
            let percent = index * 100 / tensors;
            // The first core's share stands for all.
            if part == 0 && percent >= told {
                print!(" {percent} %");
                told = percent / 10 * 10 + 10;
            }
        }
    });
    let index = first.into_inner();
    model.verify_tensor(index).err().map(|error| (index, error))
}
