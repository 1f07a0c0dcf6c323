//! Progress of the work: a bar for people, nothing for pipes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on stderr, which hides itself if that is no terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many bytes.
    pub fn bytes(what: &'static str, total: u64) -> Self {
        Self::new(what, Some(total), "{msg:>12} {bar:30} {decimal_bytes}/{decimal_total_bytes}")
    }

    /// A spinner, where nobody knows how far it is.
    pub fn spinner(what: &'static str) -> Self {
        Self::new(what, None, "{msg:>12} {spinner}")
    }

    fn new(what: &'static str, total: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸ "),
        );
        bar.set_message(what);
        Self(bar)
    }

    /// Sets the number of bytes, now that it is known.
    pub fn total(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    /// Moves the bar to `bytes`, or the spinner on.
    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes.min(self.0.length().unwrap_or(u64::MAX)));
        self.0.tick();
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Time between two moves.
pub const TICK: Duration = Duration::from_millis(50);
