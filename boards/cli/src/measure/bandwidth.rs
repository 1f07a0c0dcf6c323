//! Bandwidth of this machine's memory: the limit that decoding runs against.
//!
//! Hardware fetches ahead along a few streams at a time; a core that walks one reaches half
//! of what it can. So each thread walks several, asking for what comes next as the kernels
//! do, and the best number of streams counts.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use oarlock::Executor;

/// Streams of one thread that are tried.
const STREAMS: [usize; 3] = [2, 4, 8];
/// Bytes ahead of each stream that memory is asked for.
const AHEAD: usize = 2048;
/// A line of the cache.
const LINE: usize = 64;
/// Parts to a thread: one that is held up leaves its share to the others.
const PARTS: usize = 4;

/// Bytes in a second, all threads of `exec` reading all of `bytes` once.
pub fn read(exec: &dyn Executor, bytes: &[u8]) -> f64 {
    STREAMS.into_iter().map(|streams| walk(exec, bytes, streams)).fold(0.0, f64::max)
}

fn walk(exec: &dyn Executor, bytes: &[u8], streams: usize) -> f64 {
    let each = bytes.len().div_ceil(PARTS * exec.threads()).next_multiple_of(LINE * streams);
    let parts: Vec<&[u8]> = bytes.chunks(each).collect();
    let start = Instant::now();
    exec.run(parts.len(), &|part| {
        black_box(sum(parts[part], streams));
    });
    bytes.len() as f64 / start.elapsed().as_secs_f64()
}

/// Adds up a part, line by line of each of its streams in turn.
fn sum(part: &[u8], streams: usize) -> [u64; LINE / 8] {
    let stream = (part.len() / streams / LINE * LINE).max(LINE);
    let mut sums = [0; LINE / 8];
    for at in (0..stream).step_by(LINE) {
        for stream in part.chunks(stream).take(streams) {
            ask_for(stream.as_ptr().wrapping_add(at + AHEAD));
            let Some((line, _)) = stream.get(at..).and_then(<[u8]>::split_first_chunk::<LINE>)
            else {
                continue;
            };
            let (words, _) = line.as_chunks::<8>();
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum = u64::wrapping_add(*sum, u64::from_ne_bytes(*word));
            }
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
fn ask_for(from: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it may name any address, mapped or not.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
}

#[cfg(target_arch = "aarch64")]
fn ask_for(from: *const u8) {
    // SAFETY: a prefetch is a hint: it may name any address, mapped or not.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) from,
            options(nostack, preserves_flags, readonly));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn ask_for(_from: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let bytes: Vec<u8> = (0..LINE * 97).map(|i| i as u8 ^ (i >> 8) as u8).collect();
        let plain = |bytes: &[u8]| {
            let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            words.fold(0, u64::wrapping_add)
        };
        for streams in STREAMS {
            let part = &bytes[..LINE * 96];
            assert_eq!(sum(part, streams).into_iter().fold(0, u64::wrapping_add), plain(part));
        }
        assert!(read(&oarlock::Serial, &bytes) > 0.0);
    }
}
