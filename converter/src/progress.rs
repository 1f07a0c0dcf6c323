//! Reports of a conversion to the caller, and the caller's wish to stop.

/// Watches a conversion. Every method has a body that does nothing.
pub trait Progress: Sync {
    /// Work begins: `total` bytes of tensors will be written.
    fn start(&self, total: u64) {
        let _ = total;
    }

    /// From now on there is something to clean up. Before that a program may just end: what is read and
    /// planned until then can be large, and asks [`cancelled`](Self::cancelled) between its steps alone.
    fn writing(&self) {}

    /// `bytes` more have been written.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Something that the user should know, and that does not stop the conversion.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// Asked often; once it says yes, the conversion ends and leaves nothing behind.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
