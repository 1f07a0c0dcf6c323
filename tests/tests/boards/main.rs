//! Artifacts for boards: programs that carry their model, memory cards, a Mac's folder.

mod apple;
mod card;
mod image;
