//! Oarlock on an operating system: everything that the runtime leaves to a board.
//!
//! ```no_run
//! use oarlock_hosted::Engine;
//!
//! let engine = Engine::open("model.oar")?;
//! let mut memory = engine.memory(engine.options())?;
//! for text in engine.generate("Once upon a time", &mut memory)?.take(100) {
//!     print!("{}", text?);
//! }
//! # Ok::<(), oarlock_hosted::Error>(())
//! ```
//!
//! The runtime wants four things of a board, and each has a file here:
//!
//! ```text
//! the model's bytes     map, model_file   a file, executed where it lies
//! a scratch slice       memory            pages that cost nothing until they are touched
//! proof of the CPU      isa               the only place that asks it
//! parallel regions      pool              threads that spin, then sleep
//! ```
//!
//! [`Engine`] puts them together and hands out a [`Session`](oarlock::Session), the text that
//! follows a prompt, or a conversation. [`TextEncoder`] and [`TextStream`] lie between text and
//! tokens; [`Transcript`] and [`Snapshot`] are what a conversation can be taken back with.

mod cgroup;
mod chat_session;
mod cores;
mod engine;
mod error;
mod isa;
mod map;
mod memory;
mod model_file;
mod open_model;
mod os;
mod pool;
mod snapshot;
mod sync;
mod text_encoder;
mod text_generator;
mod text_stream;
mod transcript;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!(
    "oarlock-hosted runs on Linux and macOS; elsewhere, build a board of its own over `oarlock`"
);

pub use chat_session::{ChatAnswer, ChatSession};
pub use cores::{logical_cores, physical_cores};
pub use engine::Engine;
pub use error::{Error, ModelError};
pub use isa::{available_isas, best_isa};
pub use memory::SessionMemory;
pub use model_file::ModelFile;
pub use oarlock;
pub use open_model::OpenModel;
pub use pool::Pool;
pub use snapshot::{NoMemory, Snapshot};
pub use text_encoder::{EncodedText, TextEncoder};
pub use text_generator::TextGenerator;
pub use text_stream::TextStream;
pub use transcript::Transcript;
