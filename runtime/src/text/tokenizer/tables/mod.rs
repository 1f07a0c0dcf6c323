//! The tokenizer section: its tables, and the search in them.
//!
//! The converter writes it with the constants and hashes here, the runtime reads it in
//! place. Everything is little-endian; the tables follow the header in this order, each
//! as long as the header's counts say:
//!
//! ```text
//! byte ids      256 × u32: the token of each byte, or NONE
//! merges        slots × { left u32, right u32, rank u32, id u32 }
//! words         slots × { id u32, tag u32 }
//! starts        (tokens + 1) × u32, into the blob
//! added         (verbatim + normalized) × { start u32, len u32 into the blob, id u32, flags u32 },
//!               each of the two in ascending order of their text
//! prefix        ids u32, to put before a text
//! suffix        ids u32, to put after it
//! scores        f64 for each token, if there are any
//! charsmap      bytes, if there is one
//! token flags   tokens × u8
//! blob          bytes of the tokens, then texts of the added tokens
//! ```
//!
//! Both hash tables are probed linearly without wrapping, at most [`PROBES`] slots from
//! the home slot up to the first empty one, whose id is [`NONE`]. Homes lie in all but the
//! last [`PROBES`] slots.

mod codes;
mod hash;
mod header;
mod view;

pub use codes::*;
pub use hash::{PROBES, hash_pair, hash_word, home};
pub use header::{HEADER, Header, LONGEST_SCORED, PLAIN_VERSION, VERSION};
pub(crate) use view::{Added, Tables};
