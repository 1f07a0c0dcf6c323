//! Four cores as an [`Executor`]: the first one runs everything, the others sleep (`wfe`)
//! until a region is to be run in parts.
//!
//! The cores are alike and have nothing else to do, so work is dealt out: every core
//! computes its share of a region, and nobody fetches work through a shared word.
#![allow(unsafe_code)]

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};

use oarlock::Executor;
use oarlock::set_control_word;

use crate::board::{Board, Release};
use crate::power::psci;
use crate::registers::{clean_and_invalidate, core_number, send_event, wait_for_event};
use crate::scratch::Scratch;
use crate::timer::wait_until;

/// Cores that every Pi since the 2 has.
pub const MAX_CORES: usize = 4;

/// A core's stack: kernels keep tiles there, and regions up to 64 pieces of work.
const STACK: usize = 256 << 10;
/// Microseconds for a core to come: it takes some dozen, but an emulated one a share of a busy machine.
const PATIENCE: u64 = 1_000_000;

/// The words at which sleeping cores look for an entry (`armstub8.S`): core n at 0xD8 + 8 n.
const SPIN_TABLE: usize = 0xD8;
const CPU_ON: u64 = 0xC400_0003;

type Region<'f> = &'f (dyn Fn(usize) + Sync);

/// Ends of the cores' stacks, which `boot.s` reads.
#[unsafe(no_mangle)]
static CORE_STACKS: [AtomicUsize; MAX_CORES] = [const { AtomicUsize::new(0) }; MAX_CORES];

unsafe extern "C" {
    fn start_core();
}

/// Keeps what one core writes often off the lines that others read.
#[repr(align(64))]
struct Line<T>(T);

/// The cores that are there.
pub struct Cores {
    /// The number of cores; written once, before regions run.
    online: AtomicUsize,
    /// Counts regions: a sleeping core runs one when this has changed.
    region: Line<AtomicUsize>,
    /// The region's closure: a pointer to the caller's reference to it.
    job: AtomicPtr<()>,
    parts: AtomicUsize,
    /// Cores that have not done their parts of the region.
    pending: Line<AtomicUsize>,
    /// Whether a region is running: another one inside it runs on its own core.
    busy: AtomicBool,
    /// Pieces that each core has computed.
    pieces: [Line<AtomicU64>; MAX_CORES],
}

static CORES: Cores = Cores {
    online: AtomicUsize::new(1),
    region: Line(AtomicUsize::new(0)),
    job: AtomicPtr::new(ptr::null_mut()),
    parts: AtomicUsize::new(0),
    pending: Line(AtomicUsize::new(0)),
    busy: AtomicBool::new(false),
    pieces: [const { Line(AtomicU64::new(0)) }; MAX_CORES],
};

/// Starts the other cores, up to `wanted` with this one. One that does not come, or for which
/// there is no stack, is done without, and so are those after it.
pub fn start(board: &Board, scratch: &mut Scratch, wanted: usize) -> &'static Cores {
    for core in 1..wanted.min(MAX_CORES) {
        let (Some(stack), Some(place)) = (scratch.bytes(STACK), CORE_STACKS.get(core)) else {
            break;
        };
        // The core reads this with its map on, so caches agree.
        place.store(stack.as_mut_ptr_range().end.expose_provenance(), Release);
        call(board.release, core);
        if !wait_until(PATIENCE, || CORES.online.load(Acquire) > core) {
            break;
        }
    }
    &CORES
}

/// Calls a core out of the firmware.
fn call(release: Release, core: usize) {
    let entry = (start_core as *const ()).addr() as u64;
    match release {
        Release::SpinTable => {
            let place = ptr::with_exposed_provenance_mut::<u64>(SPIN_TABLE + 8 * core);
            // SAFETY: the firmware keeps this word of memory for this; it is mapped, and
            // taken from whoever looks for free memory.
            unsafe {
                place.write_volatile(entry);
                // The core reads it without a cache.
                clean_and_invalidate(&*place);
            }
            send_event();
        }
        Release::Psci => {
            // Cores differ in Aff1 (DEN 0022, 5.1.4).
            psci(CPU_ON, [(core as u64) << 8, entry, 0]);
        }
    }
}

/// Runs regions for ever, called by `boot.s`.
#[unsafe(no_mangle)]
extern "C" fn core_main() -> ! {
    set_control_word();
    let core = core_number();
    let mut seen = CORES.region.0.load(Acquire);
    CORES.online.store(core + 1, Release);
    loop {
        while CORES.region.0.load(Acquire) == seen {
            wait_for_event();
        }
        seen = CORES.region.0.load(Acquire);
        // SAFETY: the pointer leads to a reference in the frame of `run`, written before the
        // region was opened; that frame stays until this core has counted itself out below.
        let f = unsafe { *CORES.job.load(Relaxed).cast::<Region<'_>>() };
        CORES.share(core, f);
        CORES.pending.0.fetch_sub(1, Release);
        send_event();
    }
}

impl Cores {
    /// Runs a core's parts of the region. Who has the first part changes from region to
    /// region, since the first parts have more to do where work does not divide evenly.
    fn share(&self, core: usize, f: Region<'_>) {
        let (parts, threads) = (self.parts.load(Relaxed), self.threads());
        let turn = self.region.0.load(Relaxed) % threads;
        let first = (core + threads - turn) % threads;
        (first..parts).step_by(threads).for_each(f);
    }

    /// Pieces of work that each core has computed.
    pub fn pieces(&self) -> impl Iterator<Item = u64> + Clone {
        self.pieces.iter().take(self.threads()).map(|count| count.0.load(Relaxed))
    }
}

impl Executor for Cores {
    fn threads(&self) -> usize {
        self.online.load(Relaxed)
    }

    fn run(&self, parts: usize, f: Region<'_>) {
        if parts <= 1 || self.threads() == 1 || self.busy.swap(true, Acquire) {
            return (0..parts).for_each(f);
        }
        self.job.store(ptr::from_ref(&f).cast_mut().cast(), Relaxed);
        self.parts.store(parts, Relaxed);
        self.pending.0.store(self.threads() - 1, Relaxed);
        self.region.0.fetch_add(1, Release);
        send_event();
        self.share(0, f);
        while self.pending.0.load(Acquire) != 0 {
            wait_for_event();
        }
        self.busy.store(false, Release);
    }

    fn deals(&self) -> bool {
        true
    }

    fn note(&self, _part: usize, pieces: usize) {
        if let Some(count) = self.pieces.get(core_number()) {
            count.0.fetch_add(pieces as u64, Relaxed);
        }
    }
}
