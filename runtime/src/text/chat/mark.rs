//! The filter of an answer behind a mark, in a message of its own.

use super::part::AnswerPart;

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
pub struct MarkFilter<'m> {
    /// The mark up to its last special token.
    stem: &'m [u8],
    /// Its last special token, which begins any message.
    opening: &'m [u8],
    /// Bytes of the stem that have come; one more than all of it once other words follow.
    come: usize,
    now: AnswerPart,
}

/// The special token that may stand within what names a message.
const WITHIN: &[u8] = b"<|constrain|>";

impl<'m> MarkFilter<'m> {
    /// A filter that waits for this mark ([`Chat::mark`](super::Chat::mark)).
    pub fn new(mark: Option<&'m str>) -> Self {
        let mark = mark.unwrap_or_default().as_bytes();
        let last = mark.iter().rposition(|&byte| byte == b'<');
        let (stem, opening) = last.and_then(|at| mark.split_at_checked(at)).unwrap_or_default();
        let now = if mark.is_empty() { AnswerPart::Answer } else { AnswerPart::Thought };
        Self { stem, opening, come: 0, now }
    }

    /// Takes the next token of an answer and tells its part.
    pub fn push(&mut self, bytes: &[u8], is_special: bool) -> AnswerPart {
        if !is_special {
            self.come = self.named(bytes);
            return self.now;
        }
        if self.opening.is_empty() {
            return AnswerPart::Markup;
        }
        let named = self.come >= self.stem.len();
        self.now = match () {
            () if bytes != self.opening => AnswerPart::Markup,
            () if named => AnswerPart::Answer,
            () => AnswerPart::Thought,
        };
        self.come = match self.rest() {
            Some(rest) if rest.starts_with(bytes) => self.come + bytes.len(),
            _ if self.stem.starts_with(bytes) => bytes.len(),
            _ if named && bytes == WITHIN => self.stem.len() + 1,
            _ => 0,
        };
        AnswerPart::Markup
    }

    /// The part of the stem that has not come; `None` once other words follow it.
    fn rest(&self) -> Option<&'m [u8]> {
        self.stem.get(self.come..)
    }

    /// Bytes of the stem that have come with this ordinary token, with which none begins.
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
    use super::{AnswerPart, MarkFilter};

    /// Texts of the answer and the thoughts in the tokens between `|`, of which special ones begin with `<`.
    fn texts(mark: Option<&str>, tokens: &[&str]) -> [std::string::String; 2] {
        let mut filter = MarkFilter::new(mark);
        let mut texts = [const { std::string::String::new() }; 2];
        for token in tokens {
            match filter.push(token.as_bytes(), token.starts_with('<')) {
                AnswerPart::Answer => texts[0].push_str(token),
                AnswerPart::Thought => texts[1].push_str(token),
                AnswerPart::Markup => {}
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
        assert_eq!(texts(MARK, &all), ["Hi!", "They greet"]);
        assert_eq!(texts(MARK, &answer), ["Hi!", ""]);
        assert_eq!(texts(None, &["<s>", "a", "<|channel|>", "final", "b"]), ["afinalb", ""]);
    }

    #[test]
    fn what_only_looks_like_the_mark_is_none() {
        let tokens =
            ["final", "<|message|>", "a", "<|channel|>", "final", "ly", "<|message|>", "b"];
        assert_eq!(texts(MARK, &tokens), ["", "finalab"]);
        // A word behind a special token says what comes, and is not shown itself.
        assert_eq!(texts(MARK, &["<|channel|>", "commentary", "<|message|>", "c"]), ["", "c"]);
        assert_eq!(
            texts(MARK, &["<|channel|>", "<|channel|>", "final", "<|message|>", "d"]),
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
            assert_eq!(texts(MARK, &tokens), ["{}", ""], "{words:?}");
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
            assert_eq!(texts(MARK, &tokens), ["", "x"], "{words:?}");
        }
        // A mark is over with the message that it begins.
        let tokens = ["<|channel|>", "final", "<|message|>", "a", "<|message|>", "b"];
        assert_eq!(texts(MARK, &tokens), ["a", "b"]);
    }
}
