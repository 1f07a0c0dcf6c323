//! Double-double arithmetic: numbers of about 106 bits (Dekker 1971).

use std::ops::{Add, Mul};

/// An unevaluated sum of two f64, the second below half an ulp of the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DoubleDouble(pub f64, pub f64);

impl From<f64> for DoubleDouble {
    fn from(v: f64) -> Self {
        Self(v, 0.0)
    }
}

impl Add for DoubleDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.0, other.0);
        let (low, low_error) = two_sum(self.1, other.1);
        let (sum, error) = fast_two_sum(sum, error + low);
        let (sum, error) = fast_two_sum(sum, error + low_error);
        Self(sum, error)
    }
}

impl Mul for DoubleDouble {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (product, error) = two_product(self.0, other.0);
        let (product, error) = fast_two_sum(product, error + (self.0 * other.1 + self.1 * other.0));
        Self(product, error)
    }
}

impl DoubleDouble {
    /// 1 / self, by two Newton steps from the f64 quotient.
    pub fn recip(self) -> Self {
        let mut y = Self::from(1.0 / self.0);
        for _ in 0..2 {
            y = y + y * (Self::from(1.0) + self * y * Self::from(-1.0));
        }
        y
    }

    pub fn powi(self, mut n: usize) -> Self {
        let (mut base, mut power) = (self, Self::from(1.0));
        while n > 0 {
            if n & 1 == 1 {
                power = power * base;
            }
            base = base * base;
            n >>= 1;
        }
        power
    }
}

/// a + b and its rounding error (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let virtual_b = sum - a;
    (sum, (a - (sum - virtual_b)) + (b - virtual_b))
}

/// The same for |a| ≥ |b| (Dekker).
fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// a · b and its rounding error (Dekker, Veltkamp).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |v: f64| {
        let t = v * 134_217_729.0;
        let high = t - (t - v);
        (high, v - high)
    };
    let product = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}
