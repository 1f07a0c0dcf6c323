//! Figures of an answer.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use oarlock::Drafts;

/// Counts and times of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Tokens fed before the first one.
    pub prompt_tokens: usize,
    /// Time that this took.
    pub prompt_time: Duration,
    /// Tokens of the answer.
    pub tokens: u64,
    /// Time from the first to the last of them.
    pub time: Duration,
    /// Tokens that were drafted, and those of them that were right.
    pub drafts: Drafts,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

impl Answer {
    /// Tokens of the answer in a second.
    pub fn speed(&self) -> f64 {
        per_second(self.tokens as f64, self.time)
    }

    /// Prompt tokens in a second.
    pub fn prompt_speed(&self) -> f64 {
        per_second(self.prompt_tokens as f64, self.prompt_time)
    }
}

impl AddAssign for Answer {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.prompt_time += other.prompt_time;
        self.tokens += other.tokens;
        self.time += other.time;
        self.drafts.drafted += other.drafts.drafted;
        self.drafts.accepted += other.drafts.accepted;
        self.interrupted |= other.interrupted;
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prompt, tokens) = (self.prompt_tokens, self.tokens);
        let (prompt_speed, speed) = (self.prompt_speed(), self.speed());
        write!(
            f,
            "[{tokens} tokens, {speed:.1} tok/s; prompt {prompt} tokens, {prompt_speed:.1} tok/s"
        )?;
        let Drafts { drafted, accepted } = self.drafts;
        if drafted > 0 {
            write!(f, "; {accepted} of {drafted} drafts")?;
        }
        write!(f, "]")
    }
}

/// `count` in a second, if they took `time`.
pub fn per_second(count: f64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { count / seconds } else { 0.0 }
}
