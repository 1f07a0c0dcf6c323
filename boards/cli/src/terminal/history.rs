//! Lines that were typed before, in the cache folder: rustyline's format, read and written by our rules.
//!
//! rustyline itself would wait for a pipe or for somebody else's lock, and write through links.

use std::fs;
use std::io;
use std::path::Path;

use oarlock_convert::replacement::read_regular;
use rustyline::history::{FileHistory, History};

use super::replace::{PRIVATE, replace};

/// First line of a file whose newlines and backslashes are escaped.
const VERSION: &str = "#V2";

/// Adds the lines in the file at `path`, if there are any, as far as they are text.
pub fn load(path: &Path, history: &mut FileHistory) {
    let bytes = read_regular(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().peekable();
    let escaped = lines.next_if_eq(&VERSION).is_some();
    for line in lines {
        let line = if escaped { unescaped(line) } else { line.to_owned() };
        let _ = history.add(&line);
    }
}

/// Writes all lines to the file at `path`, for nobody else to read.
pub fn save(path: &Path, history: &FileHistory) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace(path, PRIVATE, |out| {
        writeln!(out, "{VERSION}")?;
        history.iter().try_for_each(|line| writeln!(out, "{}", escaped(line)))
    })
}

fn escaped(line: &str) -> String {
    line.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescaped(line: &str) -> String {
    let (mut plain, mut letters) = (String::new(), line.chars());
    while let Some(letter) = letters.next() {
        let behind = if letter == '\\' { letters.next() } else { None };
        plain.push(match behind {
            Some('n') => '\n',
            Some(other) => other,
            None => letter,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn any_line_comes_back() {
        for line in ["", "a", "a\nb", "\\", "\\n", "a\\\n\\", "ä\\ö"] {
            assert_eq!(unescaped(&escaped(line)), line);
            assert!(!escaped(line).contains('\n'));
        }
    }

    #[test]
    fn history_waits_for_nobody_and_is_for_nobody_else() {
        let folder = std::env::temp_dir().join(format!("oarlock-history-{}", std::process::id()));
        let path = folder.join("new").join("history.txt");
        let mut history = FileHistory::new();
        load(&path, &mut history);
        history.add("one").and(history.add("a\\b")).unwrap();
        save(&path, &history).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let held = fs::File::open(&path).unwrap();
        held.lock().unwrap();
        let mut again = FileHistory::new();
        load(&path, &mut again);
        assert!(again.iter().eq(["one", "a\\b"]));
        save(&path, &again).unwrap();
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        load(&path, &mut again);
        assert!(made.success() && save(&path, &again).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
