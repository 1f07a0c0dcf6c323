//! The random numbers: xoshiro256++, seeded by SplitMix64.
//!
//! D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021:
//! 256 bits of state, period 2^256 − 1; the authors' way of seeding from 64 bits.

/// xoshiro256++.
#[derive(Clone, Debug)]
pub(super) struct Random([u64; 4]);

impl Random {
    /// The generator that starts from four numbers of SplitMix64 (never all zero).
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| split_mix(&mut state)))
    }

    /// The generator in this state; all zero is none, and stands for the seed 0.
    pub(super) fn from_state(state: [u64; 4]) -> Self {
        if state == [0; 4] { Self::new(0) } else { Self(state) }
    }

    pub(super) fn state(&self) -> [u64; 4] {
        self.0
    }

    fn next(&mut self) -> u64 {
        let Self([a, b, c, d]) = self;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number in [0, 1): the high 53 bits, divided by 2^53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, split_mix};

    /// The first outputs of the authors' `xoshiro256plusplus.c` from the state 1, 2, 3, 4.
    #[test]
    fn is_the_published_generator() {
        let mut random = Random([1, 2, 3, 4]);
        let first = [(); 4].map(|()| random.next());
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    /// The first outputs of the author's `splitmix64.c` from the state 1234567.
    #[test]
    fn is_seeded_as_published() {
        let mut state = 1_234_567;
        let first = [(); 2].map(|()| split_mix(&mut state));
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
