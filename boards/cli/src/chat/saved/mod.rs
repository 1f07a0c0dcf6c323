//! Conversations in files.

mod fingerprint;
mod layout;
mod read;
mod write;

pub use fingerprint::fingerprint;
pub use layout::SavedChat;
pub use read::Saved;
pub use write::write;
