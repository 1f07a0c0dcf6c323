//! Commands that measure: how fast a model runs, and how well it predicts.

mod bandwidth;
pub mod bench;
pub mod logits;
mod npy;
pub mod perplexity;
mod plot;
mod spread;
pub mod stream;
