//! What of an answer is meant to be read: some models think aloud first.

/// What a token of an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The text that is meant to be read.
    Answer,
    /// What the model thinks before.
    Thought,
    /// Neither: a special token, or a word between two of them.
    Markup,
}

/// Follows an answer token by token. Behind the mark stands the answer, behind the special token
/// that the mark ends with any other message, and behind other special tokens what says which:
///
/// ```text
/// <|channel|>analysis<|message|>They greet.<|end|><|start|>assistant<|channel|>final<|message|>Hi!
/// ```
///
/// Without a mark everything is the answer.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'m> {
    mark: &'m [u8],
    /// What begins any message.
    opening: &'m [u8],
    /// How much of the mark has come.
    come: usize,
    now: Heard,
}

impl<'m> Listener<'m> {
    /// Somebody who waits for this mark ([`Chat::mark`](super::Chat::mark)).
    pub fn new(mark: Option<&'m str>) -> Self {
        let mark = mark.unwrap_or_default().as_bytes();
        let last = mark.iter().rposition(|&byte| byte == b'<');
        let opening = last.and_then(|at| mark.get(at..)).unwrap_or_default();
        let now = if mark.is_empty() { Heard::Answer } else { Heard::Thought };
        Self { mark, opening, come: 0, now }
    }

    /// Takes the next token: its bytes, and whether it is special.
    pub fn hear(&mut self, bytes: &[u8], is_special: bool) -> Heard {
        let goes_on = |from| self.mark.get(from..).is_some_and(|rest| rest.starts_with(bytes));
        self.come = match self.come {
            come if goes_on(come) => come + bytes.len(),
            _ if goes_on(0) => bytes.len(),
            _ => 0,
        };
        if !is_special {
            return self.now;
        }
        self.now = match () {
            () if self.come == self.mark.len() => Heard::Answer,
            () if bytes == self.opening => Heard::Thought,
            () => Heard::Markup,
        };
        if self.now == Heard::Answer {
            self.come = 0;
        }
        Heard::Markup
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Listener};

    /// What is heard in the tokens between `|`, of which special ones begin with `<`.
    fn heard(mark: Option<&str>, tokens: &[&str]) -> [std::string::String; 2] {
        let mut listener = Listener::new(mark);
        let mut texts = [const { std::string::String::new() }; 2];
        for token in tokens {
            match listener.hear(token.as_bytes(), token.starts_with('<')) {
                Heard::Answer => texts[0].push_str(token),
                Heard::Thought => texts[1].push_str(token),
                Heard::Markup => {}
            }
        }
        texts
    }

    extern crate std;
    const MARK: Option<&str> = Some("<|channel|>final<|message|>");

    #[test]
    fn what_stands_behind_the_mark_is_the_answer() {
        let tokens = ["<|channel|>", "analysis", "<|message|>", "They", " greet", "<|end|>"];
        let answer =
            ["<|start|>", "assistant", "<|channel|>", "fin", "al", "<|message|>", "Hi", "!"];
        let all = [&tokens[..], &answer, &["<|end|>", "<|start|>", "x"]].concat();
        assert_eq!(heard(MARK, &all), ["Hi!", "They greet"]);
        assert_eq!(heard(MARK, &answer), ["Hi!", ""]);
        assert_eq!(heard(None, &["<s>", "a", "<|channel|>", "final", "b"]), ["afinalb", ""]);
    }

    #[test]
    fn what_only_looks_like_the_mark_is_none() {
        let tokens =
            ["final", "<|message|>", "a", "<|channel|>", "final", "ly", "<|message|>", "b"];
        assert_eq!(heard(MARK, &tokens), ["", "finalab"]);
        // A word behind a special token says what comes, and is not shown itself.
        assert_eq!(heard(MARK, &["<|channel|>", "commentary", "<|message|>", "c"]), ["", "c"]);
        assert_eq!(
            heard(MARK, &["<|channel|>", "<|channel|>", "final", "<|message|>", "d"]),
            ["d", ""]
        );
    }
}
