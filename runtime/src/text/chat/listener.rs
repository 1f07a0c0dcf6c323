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
/// Between the mark's name and its end a model may write more words, and what they are to be read
/// as: `<|channel|>final json<|message|>`, `<|channel|>final <|constrain|>json<|message|>`.
///
/// Without a mark everything is the answer.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'m> {
    /// The mark up to its last special token.
    stem: &'m [u8],
    /// That token, which begins any message.
    opening: &'m [u8],
    /// How much of the stem has come; one more than all of it once other words follow.
    come: usize,
    now: Heard,
}

/// The special token that may stand within what names a message.
const WITHIN: &[u8] = b"<|constrain|>";

impl<'m> Listener<'m> {
    /// Somebody who waits for this mark ([`Chat::mark`](super::Chat::mark)).
    pub fn new(mark: Option<&'m str>) -> Self {
        let mark = mark.unwrap_or_default().as_bytes();
        let last = mark.iter().rposition(|&byte| byte == b'<');
        let (stem, opening) = last.and_then(|at| mark.split_at_checked(at)).unwrap_or_default();
        let now = if mark.is_empty() { Heard::Answer } else { Heard::Thought };
        Self { stem, opening, come: 0, now }
    }

    /// Takes the next token: its bytes, and whether it is special.
    pub fn hear(&mut self, bytes: &[u8], is_special: bool) -> Heard {
        if !is_special {
            self.come = self.named(bytes);
            return self.now;
        }
        if self.opening.is_empty() {
            return Heard::Markup;
        }
        let named = self.come >= self.stem.len();
        self.now = match () {
            () if bytes != self.opening => Heard::Markup,
            () if named => Heard::Answer,
            () => Heard::Thought,
        };
        self.come = match self.rest() {
            Some(rest) if rest.starts_with(bytes) => self.come + bytes.len(),
            _ if self.stem.starts_with(bytes) => bytes.len(),
            _ if named && bytes == WITHIN => self.stem.len() + 1,
            _ => 0,
        };
        Heard::Markup
    }

    /// What of the stem has not come; `None` once other words follow it.
    fn rest(&self) -> Option<&'m [u8]> {
        self.stem.get(self.come..)
    }

    /// How much of the stem has come with this ordinary token, with which none begins.
    fn named(&self, bytes: &[u8]) -> usize {
        let Some(rest) = self.rest() else { return self.come };
        let more = bytes.strip_prefix(rest).and_then(<[u8]>::first);
        match () {
            () if self.come == 0 => 0,
            () if rest.starts_with(bytes) => self.come + bytes.len(),
            // `finally` is another word.
            () if more.is_some_and(u8::is_ascii_whitespace) => self.stem.len() + 1,
            () => 0,
        }
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

    #[test]
    fn more_words_may_follow_the_name() {
        for words in [
            &["final", " json"][..],
            &["fin", "al", " js", "on"],
            &["final", " ", "<|constrain|>", "json"],
            &["final", "<|constrain|>", "json"],
            &["final json"],
        ] {
            let tokens = [&["<|channel|>"], words, &["<|message|>", "{", "}"]].concat();
            assert_eq!(heard(MARK, &tokens), ["{}", ""], "{words:?}");
        }
        // Words of another name, and a name of another message.
        for words in [
            &["final", "ly", " json"][..],
            &["finally json"],
            &["analysis", " final"],
            &["final", " json", "<|end|>"],
            &["final", "<|start|>", "assistant"],
            &["final", "<|channel|>", "analysis", "<|constrain|>", "json"],
        ] {
            let tokens = [&["<|channel|>"], words, &["<|message|>", "x"]].concat();
            assert_eq!(heard(MARK, &tokens), ["", "x"], "{words:?}");
        }
        // A mark is over with the message that it begins.
        let tokens = ["<|channel|>", "final", "<|message|>", "a", "<|message|>", "b"];
        assert_eq!(heard(MARK, &tokens), ["a", "b"]);
    }
}
