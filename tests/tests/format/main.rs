//! The file format: files that are written and read back, damaged ones, hostile ones.

mod file;
mod hostile;
