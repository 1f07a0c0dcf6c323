//! Notes beside a converted model: its source, and how the source's files looked when they were read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use oarlock::internal::format;
use serde_json::{Value, json};

use super::stamp::Stamp;

/// The notes. (SHA-256 of the source's files lie in the model itself, as its provenance.)
#[derive(Debug, PartialEq)]
pub struct Record {
    /// The place of the source.
    pub source: PathBuf,
    /// The type of its weights, as it was asked for.
    pub weights: String,
    /// The version of what converted it.
    pub maker: String,
    /// The name of the model's file, beside the notes.
    pub model: OsString,
    /// All files that the conversion read, or would have read if they had been there.
    pub files: Vec<(PathBuf, Option<Stamp>)>,
}

/// The usefulness of a converted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its source is as it was.
    Here,
    /// Its source is another by now.
    Changed,
    /// Its source is there no more.
    Gone,
    /// Another version of this program made it.
    Old,
}

impl State {
    /// Its name, in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Old => "old",
        }
    }
}

/// Version of the converter and of the format that this program writes.
pub fn maker() -> String {
    format!("{} format {}", oarlock_convert::VERSION, format::VERSION)
}

/// Pairs files with how they look now.
pub fn stamped(files: &[PathBuf]) -> Vec<(PathBuf, Option<Stamp>)> {
    files.iter().map(|file| (file.clone(), Stamp::read(file))).collect()
}

impl Record {
    /// Whether the model is still what a conversion would give.
    pub fn state(&self) -> State {
        if !self.source.exists() {
            State::Gone
        } else if self.files.iter().any(|(file, stamp)| Stamp::read(file) != *stamp) {
            State::Changed
        } else if self.maker != maker() {
            State::Old
        } else {
            State::Here
        }
    }

    /// As they are written down.
    pub fn to_json(&self) -> Value {
        let stamp = |stamp: &Option<Stamp>| stamp.map_or(Value::Null, Stamp::to_json);
        let files =
            self.files.iter().map(|(file, seen)| json!([name(file.as_os_str()), stamp(seen)]));
        json!({
            "source": name(self.source.as_os_str()),
            "weights": self.weights,
            "maker": self.maker,
            "model": name(&self.model),
            "files": files.collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let model = from_name(value.get("model")?)?;
        // It is joined to a folder, which it must not lead out of.
        let is_plain = Path::new(&model).file_name() == Some(&model);
        let files = value.get("files")?.as_array()?.iter().map(|file| {
            let stamp = match file.get(1)? {
                Value::Null => None,
                stamp => Some(Stamp::from_json(stamp)?),
            };
            Some((from_name(file.get(0)?)?.into(), stamp))
        });
        Some(Self {
            source: from_name(value.get("source")?)?.into(),
            weights: text("weights")?,
            maker: text("maker")?,
            model: is_plain.then_some(model)?,
            files: files.collect::<Option<_>>()?,
        })
    }
}

/// The name of a file: text, or its bytes if they are none.
fn name(name: &OsStr) -> Value {
    name.to_str().map_or_else(|| json!(name.as_bytes()), |text| json!(text))
}

fn from_name(value: &Value) -> Option<OsString> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let bytes = value.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
    bytes.collect::<Option<Vec<u8>>>().map(OsString::from_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let odd = OsString::from_vec(vec![b'/', 0xff, b'\n']);
        let record = Record {
            source: odd.clone().into(),
            weights: "auto".into(),
            maker: maker(),
            model: "a.oar".into(),
            files: vec![("/".into(), Stamp::read(Path::new("/"))), (odd.into(), None)],
        };
        let text = record.to_json().to_string();
        let read = Record::from_json(&serde_json::from_str(&text).unwrap());
        assert_eq!(read, Some(record));
        let out = text.replace("a.oar", "../a.oar");
        assert_eq!(Record::from_json(&serde_json::from_str(&out).unwrap()), None);
        assert_eq!(Record::from_json(&json!({})), None);
    }
}
