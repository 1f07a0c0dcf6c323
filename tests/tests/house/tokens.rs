//! Rust sources as words and signs, without comments: enough to find paths and modules.

/// Words, `::`, texts with the quote that they begin with, and other signs one by one.
pub fn tokens(source: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(first) = rest.chars().next() {
        let len = match first {
            _ if first.is_whitespace() => first.len_utf8(),
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => {
                let (token, len) = token(rest, first);
                found.extend(token);
                len
            }
        };
        rest = &rest[len..];
    }
    found
}

/// The token at the beginning of `rest`, none if it says nothing, and the length of what it stands for.
fn token(rest: &str, first: char) -> (Option<&str>, usize) {
    if let Some(len) = raw_text(rest) {
        return (None, len);
    }
    match first {
        '"' => {
            let len = text(rest, '"');
            (Some(&rest[..len - 1]), len)
        }
        '\'' => (None, quoted_or_lifetime(rest)),
        _ if is_name(first) => {
            let len = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (Some(&rest[..len]), len)
        }
        _ if rest.starts_with("::") => (Some("::"), 2),
        _ => (Some(&rest[..first.len_utf8()]), first.len_utf8()),
    }
}

/// Whether names may have this letter.
pub fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a raw text, `r"…"` or `r#"…"#` with as many signs as it likes, also of bytes.
fn raw_text(rest: &str) -> Option<usize> {
    let start = ["r", "br", "cr"].iter().find(|start| {
        let after = rest.strip_prefix(**start).map(|after| after.trim_start_matches('#'));
        after.is_some_and(|after| after.starts_with('"'))
    })?;
    let signs = rest[start.len()..].find('"')?;
    let end = format!("\"{}", "#".repeat(signs));
    let open = start.len() + signs + 1;
    Some(rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len()))
}

/// The length of what stands between two quotes, both included.
fn text(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, c)| at + c.len_utf8())
}

/// The length of a letter in quotes, or of the quote alone before the name of a lifetime.
fn quoted_or_lifetime(rest: &str) -> usize {
    let mut letters = rest.chars().skip(1);
    match (letters.next(), letters.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => text(rest, '\''),
        _ => 1,
    }
}

#[test]
fn comments_and_texts_are_no_code() {
    let source = "use a::b; // c\n/* d */ f('\\'', 'e', \"g::\\\"h\", r#\"i\"j\"#) : &'k l";
    let expected = [
        "use",
        "a",
        "::",
        "b",
        ";",
        "f",
        "(",
        ",",
        ",",
        "\"g::\\\"h",
        ",",
        ")",
        ":",
        "&",
        "k",
        "l",
    ];
    assert_eq!(tokens(source), expected);
}
