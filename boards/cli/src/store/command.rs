//! `oarlock cache`: the converted models that are kept, and an end of them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oarlock::visible::Visible;
use oarlock_convert::Shown;
use serde_json::{Value, json};

use super::claim::idle;
use super::entry::Entry;
use super::record::{Record, State};
use crate::args;
use crate::args::date;
use crate::terminal::console::{self, note};
use crate::terminal::errors::{Outcome, fault, file_fault};
use crate::terminal::home;

/// A converted model.
struct Kept {
    entry: Entry,
    record: Record,
    state: State,
    bytes: u64,
}

impl Kept {
    fn new(entry: Entry) -> Option<Self> {
        let record = entry.record()?;
        let (state, bytes) = (record.state(), entry.bytes());
        Some(Self { entry, record, state, bytes })
    }

    /// Whether a person means this one: by its source, or by the name of that or of the model.
    fn is_called(&self, name: &OsStr) -> bool {
        let Record { source, model, .. } = &self.record;
        let named = std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name));
        let stem = Path::new(model).file_stem();
        let places = [Some(named.clone()), fs::canonicalize(&named).ok()];
        let names = [source.file_name(), Some(model.as_os_str()), stem];
        places.contains(&Some(source.clone())) || names.contains(&Some(name))
    }

    fn last_used(&self) -> Option<String> {
        let since = self.entry.last_used()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(date::moment(since.as_secs()))
    }

    fn json(&self) -> Value {
        let Record { source, weights, model, .. } = &self.record;
        json!({
            "source": source.to_string_lossy(),
            "weights": weights,
            "bytes": self.bytes,
            "last_used": self.last_used(),
            "state": self.state.name(),
            "file": self.entry.folder().join(model).to_string_lossy(),
        })
    }

    fn line(&self) -> String {
        let (mb, used) = (self.bytes as f64 / 1e6, self.last_used().unwrap_or_default());
        let (weights, state) = (Visible::line(&self.record.weights).to_string(), self.state.name());
        let source = self.record.source.shown();
        format!("{weights:<7} {mb:>9.1} MB  {used:<20}  {state:<7}  {source}")
    }
}

/// Lists the converted models, or removes some.
pub fn run(args: &args::Cache) -> Outcome {
    let home = home::folder()?;
    let mut all: Vec<_> = Entry::list(&home).into_iter().filter_map(Kept::new).collect();
    all.sort_by(|a, b| a.record.source.cmp(&b.record.source));
    match &args.action {
        Some(args::CacheAction::Clear(which)) => clear(&home, all, which),
        None if args.json => console::put_json(&json!({
            "folder": Entry::all_in(&home).to_string_lossy(),
            "models": all.iter().map(Kept::json).collect::<Vec<_>>(),
        })),
        None => console::put_line(&list(&home, &all)),
    }
}

fn list(home: &Path, all: &[Kept]) -> String {
    let mut text = String::new();
    if !all.is_empty() {
        let [weights, size, used] = ["weights", "size", "last used"];
        text = format!("{weights:<7} {size:>12}  {used:<20}  source\n");
    }
    all.iter().for_each(|kept| text.push_str(&format!("{}\n", kept.line())));
    text + &format!("{} in {}", sum(all), Entry::all_in(home).shown())
}

/// Number and size of models.
fn sum(all: &[Kept]) -> String {
    let bytes: u64 = all.iter().map(|kept| kept.bytes).sum();
    let models = if all.len() == 1 { "model" } else { "models" };
    format!("{} {models}, {:.1} MB", all.len(), bytes as f64 / 1e6)
}

fn clear(home: &Path, all: Vec<Kept>, which: &args::CacheClear) -> Outcome {
    let is_meant = |kept: &Kept| match &which.name {
        Some(name) => kept.is_called(name),
        None => !which.stale || kept.state != State::Here,
    };
    let meant: Vec<_> = all.into_iter().filter(is_meant).collect();
    if let (Some(name), true) = (&which.name, meant.is_empty()) {
        let what = "no converted model is called that";
        return Err(fault(Path::new(name).shown(), what, "see oarlock cache"));
    }
    let mut removed = Vec::new();
    for kept in meant {
        // Whoever runs the model still has its file.
        let Some(_lock) = idle(kept.entry.folder()) else {
            note!("{}: it is being converted, and stays", kept.record.source.shown());
            continue;
        };
        let folder = kept.entry.folder();
        fs::remove_dir_all(folder).map_err(|error| file_fault(folder, &error))?;
        removed.push(kept);
    }
    let _ = fs::remove_dir(Entry::all_in(home));
    console::put_line(&format!("removed {}", sum(&removed)))
}
