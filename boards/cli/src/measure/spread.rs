//! Several measurements of one thing.

use serde_json::{Value, json};

/// The least, the middle and the most of them.
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle.
    pub median: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Sorts these values.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        let median = (at(low) + at(high)) / 2.0;
        Self { min: at(0), median, max: at(values.len().saturating_sub(1)) }
    }

    /// As the object that scripts read.
    pub fn json(&self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }

    /// For people.
    pub fn text(&self) -> String {
        format!("{:10.3}  ({:.3} to {:.3})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let odd = Spread::new(vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::new(vec![4.0, 1.0]).median, 2.5);
    }
}
