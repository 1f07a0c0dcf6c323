//! The state of a session at some moment, to go back to it.

use std::convert::Infallible;
use std::io::Read;

use oarlock::Session;
use oarlock::conversation::{Conversation, PieceEncoder, TurnStore};

/// The system has not this many bytes of memory for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory(pub usize);

impl std::fmt::Display for NoMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no {} bytes of memory", self.0)
    }
}

impl std::error::Error for NoMemory {}

/// A saved session; empty if none was taken.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<u8>);

impl Snapshot {
    /// Saves the session as it is, in place of the state before.
    pub fn take(&mut self, session: &mut Session<'_>) -> Result<(), NoMemory> {
        self.0.clear();
        let mut len = 0;
        let Ok(()) = session.save::<Infallible>(&mut |bytes| {
            len += bytes.len();
            Ok(())
        });
        // Grown piece by piece it could take twice that, and would end the program for want of it.
        self.0.try_reserve_exact(len).map_err(|_| NoMemory(len))?;
        let Ok(()) = session.save::<Infallible>(&mut |bytes| {
            self.0.extend_from_slice(bytes);
            Ok(())
        });
        Ok(())
    }

    /// Drops the state.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the thoughts of an answer out of the stream, where the state is that before it.
    pub fn forget_thoughts<E: PieceEncoder, S: TurnStore>(
        &self,
        conversation: &mut Conversation<'_, E, S>,
    ) -> Result<(), oarlock::RestoreError<std::io::Error>> {
        let mut state = self.0.as_slice();
        let mut source = |place: &mut [u8]| state.read_exact(place);
        conversation.forget_thoughts((!self.0.is_empty()).then_some(&mut source))
    }
}
