//! The cache of keys and values: a ring with attention sinks, and what lies in its slots.

mod kv;
mod ring;

pub(crate) use kv::{Cache, CacheClass, CacheIndex, CacheShape, Caches};
pub(crate) use ring::{Ring, Rings, Run};
