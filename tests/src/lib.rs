//! Parts that the tests share: the project's binaries, fixtures, the default model, temporary
//! folders, processes with a time limit, and a thread pool simple enough to trust.
//!
//! Everything here panics with one line when it cannot do its work: a test that cannot
//! get what it needs has failed. The exceptions are [`real_model`] and [`Package::vocabulary`] under
//! `OARLOCK_OFFLINE=1`, and the latter where npm or pip does not get it.

mod aligned;
mod bins;
mod isas;
mod model;
mod npy;
mod process;
mod random;
mod room;
mod synthetic;
mod temp;
mod terminal;
mod threads;
mod tiny;
mod vocabulary;

pub use aligned::Aligned;
pub use bins::{bin, cargo, fixture, root};
pub use isas::isas;
pub use model::real_model;
pub use npy::Npy;
pub use process::{Finished, run, run_with_input};
pub use random::Random;
pub use room::Room;
pub use synthetic::{Synthetic, has_key_outliers};
pub use temp::TempDir;
pub use terminal::{harmless, hidden, on_terminal};
pub use threads::Threads;
pub use tiny::{tiny, tiny_names, with_session};
pub use vocabulary::Package;
