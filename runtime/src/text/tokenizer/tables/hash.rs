//! Hashes of the section's two hash tables.
//!
//! Keys are mixed by multiplications and shifts with the constants of SplitMix64 (Steele, Lea and
//! Flood, 2014), so that all their bits reach the upper ones.

/// Number of slots that a search looks at.
pub const PROBES: usize = 32;

/// Mixes all bits of `x` into the upper ones.
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^ (x >> 29)
}

/// Hashes a pair of ids.
pub const fn hash_pair(left: u32, right: u32) -> u32 {
    let pair = left as u64 | (right as u64) << 32;
    (mix(pair.wrapping_mul(0xBF58_476D_1CE4_E5B9)) >> 32) as u32
}

/// Hashes a word; returns the hash and the tag that its slot carries.
pub fn hash_word(word: &[u8]) -> (u32, u32) {
    let (chunks, tail) = word.as_chunks();
    let mut hash = word.len() as u64;
    for &chunk in chunks {
        hash = mix(hash ^ u64::from_le_bytes(chunk)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    let last = tail.iter().rev().fold(0, |last, &byte| last << 8 | u64::from(byte));
    let hash = mix(mix(hash ^ last).wrapping_mul(0x94D0_49BB_1331_11EB));
    ((hash >> 32) as u32, hash as u32)
}

/// The home slot of a hash in a table of this many slots, as many as 32 bits count at most.
pub const fn home(hash: u32, slots: usize) -> usize {
    let homes = slots.saturating_sub(PROBES) as u64;
    ((hash as u64).wrapping_mul(homes) >> 32) as usize
}
