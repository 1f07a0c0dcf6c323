//! Results for people and scripts in which nothing is left that a terminal would obey.

use std::fmt::Write;

use oarlock::visible::is_hidden;
use serde_json::Value;

/// JSON on one line. Its own rules escape controls below U+0020 alone; whatever else is hidden is
/// escaped as they do, which every reader of JSON takes back.
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if !is_hidden(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_in_characters_that_are_seen() {
        let value = Value::from("\x1b\n\x7F\u{9B}\u{202E}\u{2028}\u{FEFF}\u{E0041}é\\");
        let text = json(&value);
        let seen = r#""\u001b\n\u007f\u009b\u202e\u2028\ufeff\udb40\udc41é\\""#;
        assert_eq!(text, seen);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
