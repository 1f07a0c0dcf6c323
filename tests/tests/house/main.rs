//! House rules that a compiler does not know: layers, dependencies, words.

mod dependencies;
mod files;
mod layering;
mod modules;
mod tokens;
mod words;
