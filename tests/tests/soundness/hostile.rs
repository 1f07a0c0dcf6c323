//! Arguments that nobody should give, and what becomes of a call with them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread;

use oarlock::Isa;
use oarlock_tests::{Random, isas};

/// A seeded source of arguments, which notes what should not have happened.
pub struct Hostile {
    pub random: Random,
    pub fault: Option<String>,
}

/// The payload of a panic that was meant.
pub struct Meant;

thread_local! {
    /// Whether a panic of this thread is caught.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    /// The last that was.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Lets panics that are caught be silent: there are thousands.
pub fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            // Threads of executors have no name of a test.
            let of_a_test =
                thread::current().name().is_some_and(|name| !name.starts_with("worker"));
            if CAUGHT.get() {
                LAST.set(info.to_string());
            } else if of_a_test {
                before(info);
            }
        }));
    });
}

impl Hostile {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), fault: None }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    pub fn isa(&mut self) -> Isa {
        self.pick(&isas())
    }

    /// A size, mostly small, around the sizes of registers and blocks.
    pub fn size(&mut self) -> usize {
        match self.random.below(12) {
            0 => 0,
            1 => 1,
            2..8 => self.random.below(40),
            8..11 => self.pick(&[16, 32, 48, 64, 96]) + self.random.below(3) - 1,
            _ => self.random.below(300),
        }
    }

    /// As [`Hostile::size`], or as none is.
    pub fn absurd(&mut self) -> usize {
        const ABSURD: [usize; 8] = [
            usize::MAX,
            usize::MAX - 1,
            usize::MAX - 31,
            usize::MAX / 2,
            usize::MAX / 32,
            1 << 63,
            1 << 60,
            1 << 32,
        ];
        if self.one_in(8) { self.pick(&ABSURD) } else { self.size() }
    }

    /// `wanted`, or now and then something else.
    pub fn about(&mut self, wanted: usize) -> usize {
        match self.random.below(24) {
            0 => wanted.wrapping_sub(1),
            1 => wanted.wrapping_add(1),
            2 => 0,
            3 => self.absurd(),
            4 => self.size(),
            _ => wanted,
        }
    }

    /// The length of a slice that should have `wanted` elements.
    pub fn len(&mut self, wanted: usize) -> usize {
        self.about(wanted).min(1 << 16)
    }

    pub fn float(&mut self) -> f32 {
        const SPECIAL: [f32; 10] = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            1e-45,
            0.0,
            -0.0,
            1e30,
            -2_147_483_648.0,
        ];
        match self.random.below(8) {
            0 => self.pick(&SPECIAL),
            1 => f32::from_bits(self.random.bits() as u32),
            _ => self.random.normal() as f32,
        }
    }

    pub fn floats(&mut self, len: usize) -> Vec<f32> {
        if self.one_in(4) {
            return vec![self.float(); len];
        }
        (0..len).map(|_| self.float()).collect()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        if self.one_in(4) {
            return vec![self.pick(&[0, 0xFF, 0x80, 0x7F]); len];
        }
        (0..len).map(|_| self.random.bits() as u8).collect()
    }

    pub fn quants(&mut self, len: usize) -> Vec<i8> {
        self.bytes(len).into_iter().map(|byte| byte as i8).collect()
    }

    /// Calls a kernel, which may refuse shapes that disagree.
    pub fn kernel(&mut self, what: &str, f: impl FnOnce()) {
        self.call(what, f, true);
    }

    /// Calls what refuses nothing by a panic.
    pub fn public(&mut self, what: &str, f: impl FnOnce()) {
        self.call(what, f, false);
    }

    fn call(&mut self, what: &str, f: impl FnOnce(), may_refuse: bool) {
        LAST.take();
        CAUGHT.set(true);
        let result = catch_unwind(AssertUnwindSafe(f));
        CAUGHT.set(false);
        let Err(panic) = result else { return };
        if panic.is::<Meant>() {
            return;
        }
        let told = message(&*panic);
        let asserted = ["assertion failed", "index", "range", "mid > len"];
        let asserted = asserted.iter().any(|known| told.contains(known));
        if !may_refuse || !asserted || told.contains("overflow") {
            self.fault.get_or_insert(format!("{what}: {} ({told})", LAST.take()));
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Takes an answer that may be any.
pub fn ignore<T>(_: T) {}
