//! Parameters of the choice of a token.

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token (ties: the lower id) and draws
    /// nothing.
    pub temp: f64,
    /// Keeps this many candidates and all that tie with the last of them; 0 is off.
    pub top_k: u32,
    /// Keeps the most probable candidates that together reach this probability; from 1 off.
    pub top_p: f64,
    /// Drops candidates below this fraction of the highest probability; 0 is off.
    pub min_p: f64,
    /// Divides positive and multiplies negative logits of visible tokens; 1 is off.
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

impl Sampling {
    /// Whether every field is in its range; a [`Sampler`](crate::Sampler) built from values that are not
    /// still returns a token, but not one that means anything.
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
