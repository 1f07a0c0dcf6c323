//! Parameters of sampling: the choice of a token by its logits.

use core::fmt;

/// Parameters of sampling, applied in the order: penalty, temperature, top-k, top-p, min-p.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// Temperature: divides the logits; 0 takes the most probable token (ties: the lower id) and
    /// draws nothing.
    pub temp: f64,
    /// Keeps this many candidates and all that tie with the last of them; 0 is off.
    pub top_k: u32,
    /// Keeps the most probable candidates that together reach this probability (arXiv 1904.09751);
    /// from 1 on it is off.
    pub top_p: f64,
    /// Drops candidates below this fraction of the highest probability (arXiv 2407.01082); 0 is
    /// off.
    pub min_p: f64,
    /// Divides positive and multiplies negative logits of visible tokens (arXiv 1909.05858, section
    /// 4.1); 1 is off.
    pub repeat_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temp: 0.7, top_k: 40, top_p: 0.95, min_p: 0.0, repeat_penalty: 1.0 }
    }
}

/// A field of [`Sampling`] that is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SamplingError {
    /// `temp` is negative or not finite.
    Temp,
    /// `top_p` is negative or not finite.
    TopP,
    /// `min_p` is not within 0 … 1.
    MinP,
    /// `repeat_penalty` is not positive and finite.
    RepeatPenalty,
}

impl fmt::Display for SamplingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temp => "the temperature is negative or not finite",
            Self::TopP => "top-p is negative or not finite",
            Self::MinP => "min-p is not within 0 and 1",
            Self::RepeatPenalty => "the repeat penalty is not positive and finite",
        })
    }
}

impl core::error::Error for SamplingError {}

impl Sampling {
    /// Checks that every field is in its range.
    ///
    /// A [`Sampler`](crate::Sampler) with values that are not still returns a token, but not one
    /// that means anything.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), SamplingError> {
        let Self { temp, top_k: _, top_p, min_p, repeat_penalty } = *self;
        let wrong = |ok: bool, error| if ok { Ok(()) } else { Err(error) };
        wrong(temp >= 0.0 && temp.is_finite(), SamplingError::Temp)?;
        wrong(top_p >= 0.0 && top_p.is_finite(), SamplingError::TopP)?;
        wrong((0.0..=1.0).contains(&min_p), SamplingError::MinP)?;
        wrong(repeat_penalty > 0.0 && repeat_penalty.is_finite(), SamplingError::RepeatPenalty)
    }

    /// Whether the most probable token is always taken.
    pub(crate) fn is_greedy(&self) -> bool {
        self.temp <= 0.0
    }
}
