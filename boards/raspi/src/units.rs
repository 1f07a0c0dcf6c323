//! Numbers for people, without floating point: what formats that is larger than the rest of
//! the console.

use core::fmt;

/// Bytes, as megabytes with one digit behind the point.
#[derive(Clone, Copy, Debug)]
pub struct Megabytes(pub usize);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50_000) / 100_000;
        write!(f, "{}.{} MB", tenths / 10, tenths % 10)
    }
}

/// So many in so many microseconds, as a number in a second.
#[derive(Clone, Copy, Debug)]
pub struct Speed(pub u64, pub u64);

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (u128::from(self.0) * 10_000_000 / u128::from(self.1.max(1))) as u64;
        write!(f, "{}.{} tok/s", tenths / 10, tenths % 10)
    }
}

/// Thousandths of a degree.
#[derive(Clone, Copy, Debug)]
pub struct Celsius(pub u32);

impl fmt::Display for Celsius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50) / 100;
        write!(f, "{}.{} °C", tenths / 10, tenths % 10)
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug)]
pub struct Percent(pub u64, pub u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_mul(1000) / self.1.max(1);
        write!(f, "{}.{} %", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::format;

    #[test]
    fn numbers_are_rounded_for_people() {
        assert_eq!(format!("{}", Megabytes(98_362_432)), "98.4 MB");
        assert_eq!(format!("{}", Speed(12, 1_000_000)), "12.0 tok/s");
        assert_eq!(format!("{}", Speed(0, 0)), "0.0 tok/s");
        assert_eq!(format!("{}", Celsius(25_049)), "25.0 °C");
        assert_eq!(format!("{}", Percent(1, 4)), "25.0 %");
    }

    #[test]
    fn absurd_numbers_are_written_too() {
        assert_eq!(format!("{}", Celsius(u32::MAX)), "4294967.2 °C");
        assert!(format!("{}", Megabytes(usize::MAX)).ends_with(" MB"));
        assert!(format!("{}", Speed(u64::MAX, 1)).ends_with(" tok/s"));
        assert!(format!("{}", Percent(u64::MAX, 1)).ends_with(" %"));
    }
}
