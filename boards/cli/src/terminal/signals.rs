//! Ctrl-C and its kind, and what must not be left behind.
//!
//! The signals are blocked in every thread but one, which waits for them. It may
//! therefore do whatever ordinary code may: remove unfinished files, end pip, put the
//! terminal right. Nothing else in the program has to poll, except a running answer
//! in chat, which the first Ctrl-C merely stops.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use oarlock_convert::{memory, replacement};

use super::os;

/// No answer is running: a signal ends the program.
const IDLE: u8 = 0;
/// An answer is running: the first SIGINT stops it.
const ANSWERING: u8 = 1;
/// An answer was told to stop; if it does not, the next SIGINT ends the program.
const STOPPED: u8 = 2;

/// Bytes of the stack of a thread that does little, whatever the user's environment says.
pub const STACK: usize = 256 << 10;

/// Said when a model that is mapped was truncated by another process.
const CUT_SHORT: &str = "error: model: another process cut the file short while it ran \
    (replace a model by renaming a new file over it)\n";

static ANSWER: AtomicU8 = AtomicU8::new(IDLE);
static LEFTOVERS: Mutex<Vec<(u64, What)>> = Mutex::new(Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Takes over SIGINT, SIGTERM and SIGHUP. To be called first, before any other thread is.
pub fn install() {
    // A file over the user's limit is then an error like any other.
    os::ignore(libc::SIGXFSZ);
    memory::end_on_lost_pages(CUT_SHORT, os::restore_terminal);
    memory::at_end(|| clean_up(false));
    let signals = os::block_signals(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP]);
    // Without the thread (no memory for one) the signals stay blocked until they are let go.
    if thread::Builder::new()
        .name("signals".into())
        .stack_size(STACK)
        .spawn(move || watch(&signals))
        .is_err()
    {
        os::unblock_signals();
    }
}

fn watch(signals: &os::SignalSet) {
    loop {
        let signal = signals.wait();
        let stops_answer = signal == libc::SIGINT
            && ANSWER
                .compare_exchange(ANSWERING, STOPPED, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        if !stops_answer {
            leave(signal);
        }
    }
}

/// Ends the program as the shell expects of one that a signal ended: 130 for SIGINT.
fn leave(signal: i32) -> ! {
    clean_up(true);
    os::exit_now(128 + signal)
}

/// Leaves nothing behind, before the program ends. Where `wait` is false, the thread may itself hold the
/// lock, and there may be no memory: first comes what needs none.
fn clean_up(wait: bool) {
    let leftovers = if wait { Some(registry()) } else { LEFTOVERS.try_lock().ok() };
    os::restore_terminal();
    replacement::remove_unfinished(wait);
    if let Some(mut leftovers) = leftovers {
        while let Some((_, what)) = leftovers.pop() {
            what.remove();
        }
        // Held until the end, so that nobody starts anything that would then be left.
        std::mem::forget(leftovers);
    }
}

/// While this lives, the first SIGINT sets [`Answering::stopped`] and ends nothing.
pub struct Answering(());

impl Answering {
    /// Starts an answer.
    pub fn start() -> Self {
        ANSWER.store(ANSWERING, Ordering::SeqCst);
        Self(())
    }

    /// Whether Ctrl-C was pressed since the start.
    pub fn stopped(&self) -> bool {
        ANSWER.load(Ordering::Relaxed) == STOPPED
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWER.store(IDLE, Ordering::SeqCst);
    }
}

/// Something that goes away when this value does, or when a signal ends the program.
#[derive(Debug)]
pub struct Leftover {
    id: u64,
    path: PathBuf,
}

#[derive(Debug)]
enum What {
    Folder(PathBuf),
    EmptyFolder(PathBuf),
    Process(Child),
}

impl Leftover {
    /// A folder that goes with everything in it.
    pub fn folder(path: PathBuf) -> Self {
        Self::new(path.clone(), What::Folder(path))
    }

    /// A folder that goes if nothing is in it by then.
    pub fn empty_folder(path: PathBuf) -> Self {
        Self::new(path.clone(), What::EmptyFolder(path))
    }

    fn new(path: PathBuf, what: What) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        registry().push((id, what));
        Self { id, path }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(what) = take(self.id) {
            what.remove();
        }
    }
}

/// A child process, killed with its group when this value goes or a signal ends the program.
pub struct Running(u64);

impl Running {
    /// Starts it, in a group of its own: Ctrl-C in the terminal is for us, who then end it.
    pub fn start(command: &mut Command) -> io::Result<(Self, Option<ChildStderr>)> {
        // Locked over both steps: a signal between them would leave the child behind.
        let mut leftovers = registry();
        let mut child = command.process_group(0).spawn()?;
        let stderr = child.stderr.take();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        leftovers.push((id, What::Process(child)));
        Ok((Self(id), stderr))
    }

    /// Its exit status, once it has ended.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let mut leftovers = registry();
        match leftovers.iter_mut().find(|(id, _)| *id == self.0) {
            Some((_, What::Process(child))) => child.try_wait(),
            _ => Ok(None),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(what) = take(self.0) {
            what.remove();
        }
    }
}

/// Nothing happens to a child that has been waited for: its number may be another's by now.
fn kill(mut child: Child) {
    if let Ok(None) = child.try_wait() {
        os::kill_group(child.id());
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn take(id: u64) -> Option<What> {
    let mut leftovers = registry();
    let at = leftovers.iter().position(|(other, _)| *other == id)?;
    Some(leftovers.remove(at).1)
}

impl What {
    fn remove(self) {
        match self {
            Self::Folder(path) => remove_folder(&path),
            Self::EmptyFolder(path) => drop(fs::remove_dir(path)),
            Self::Process(child) => kill(child),
        }
    }
}

/// A process that is just being killed may still create a file in there: try again then.
fn remove_folder(path: &Path) {
    for _ in 0..50 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                thread::sleep(std::time::Duration::from_millis(10));
            }
            _ => return,
        }
    }
}

fn registry() -> MutexGuard<'static, Vec<(u64, What)>> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}
