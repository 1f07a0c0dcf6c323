//! Tokens to text: whole characters, and nothing of a stop string.

use oarlock::tokenizer::Utf8Stream;

/// Text that is coming, with what is held back because a stop string may be starting.
#[derive(Clone, Debug)]
pub struct TextStream<'s> {
    utf8: Utf8Stream,
    stops: &'s [String],
    /// Not given out yet.
    held: String,
    stopped: bool,
}

impl<'s> TextStream<'s> {
    /// Text that ends before the first of `stops`.
    pub fn new(stops: &'s [String]) -> Self {
        Self { utf8: Utf8Stream::new(), stops, held: String::new(), stopped: false }
    }

    /// Takes the bytes of a token and gives the text that can be shown now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let held = &mut self.held;
        self.utf8.push(bytes, &mut |text| held.push_str(text));
        self.release()
    }

    /// Gives what was held back, since nothing more comes.
    pub fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        let held = &mut self.held;
        self.utf8.finish(&mut |text| held.push_str(text));
        let shown = self.release();
        shown + &std::mem::take(&mut self.held)
    }

    /// Whether a stop string has come.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    fn release(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.stopped = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.held.len() - self.longest_start());
        std::mem::replace(&mut self.held, rest)
    }

    /// Bytes at the end of what is held that could become a stop string.
    fn longest_start(&self) -> usize {
        let starts = |stop: &String| {
            let lengths = (1..stop.len()).filter(|&n| stop.is_char_boundary(n));
            lengths.rev().find(|&n| self.held.ends_with(&stop[..n])).unwrap_or(0)
        };
        self.stops.iter().map(starts).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that are shown after each piece, and in the end.
    fn shown(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<_> = stops.iter().map(ToString::to_string).collect();
        let mut stream = TextStream::new(&stops);
        let mut all: Vec<_> = pieces.iter().map(|piece| stream.push(piece.as_bytes())).collect();
        all.push(stream.finish());
        (all, stream.stopped())
    }

    #[test]
    fn nothing_of_a_stop_string_is_shown() {
        let (text, stopped) = shown(&["END"], &["aE", "N", "Db"]);
        assert_eq!((text.concat().as_str(), stopped), ("a", true));
        let (text, stopped) = shown(&["xyz", "END"], &["one END two xyz"]);
        assert_eq!((text.concat().as_str(), stopped), ("one ", true));
    }

    #[test]
    fn what_only_began_like_one_is_shown() {
        let (text, stopped) = shown(&["END", "é!"], &["aE", "NE", "N", "é"]);
        assert_eq!(text, ["a", "EN", "", "EN", "é"]);
        assert!(!stopped);
    }

    #[test]
    fn without_stop_strings_nothing_waits() {
        assert_eq!(shown(&[], &["a", "b"]).0, ["a", "b", ""]);
    }
}
