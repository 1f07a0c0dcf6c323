//! House rules that a compiler does not know: layers, dependencies, words.

mod dependencies;
mod layering;
