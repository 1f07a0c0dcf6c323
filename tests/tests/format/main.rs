//! The file format: what is written is read back, and nothing else is taken for a model.

mod damaged;
mod hostile;
mod refused;
mod round_trip;
mod samples;
