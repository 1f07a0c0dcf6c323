//! Registers: those of devices, which lie in memory, and those of the core, which do not.
#![allow(unsafe_code)]

use core::arch::asm;

/// The registers of a device, from an address on.
#[derive(Clone, Copy, Debug)]
pub struct Registers(usize);

impl Registers {
    /// The registers at `address`.
    ///
    /// # Safety
    /// A device of this kind is there, mapped as device memory, and its registers may be
    /// used from here without asking anybody.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads the register at `offset`.
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: as whoever made this has promised.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    /// Writes the register at `offset`.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as whoever made this has promised.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }

    /// Writes a byte of the register file, where a device takes bytes.
    pub fn write_byte(self, offset: usize, value: u8) {
        // SAFETY: as whoever made this has promised.
        unsafe { ((self.0 + offset) as *mut u8).write_volatile(value) }
    }
}

/// Reads a system register.
macro_rules! system_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: the registers that are named here can be read at EL1 without effect.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value,
                options(nomem, nostack, preserves_flags));
        }
        value
    }};
}
pub(crate) use system_register;

/// Makes what was written before visible to every core and device before what comes after.
pub fn barrier() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// Sleeps until another core calls, or an interrupt.
pub fn wait_for_event() {
    // SAFETY: a hint; without an event it returns late, never wrongly.
    unsafe { asm!("wfe", options(nomem, nostack, preserves_flags)) };
}

/// Wakes all cores that [`wait_for_event`].
pub fn send_event() {
    // SAFETY: a barrier, so that they see what they are woken for, and a hint.
    unsafe { asm!("dsb ish", "sev", options(nostack, preserves_flags)) };
}

/// Sleeps until an interrupt.
pub fn wait_for_interrupt() {
    // SAFETY: a hint.
    unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
}

/// Lets interrupts reach this core.
pub fn unmask_interrupts() {
    // SAFETY: the handler is in place since the core began, and gives back what it takes.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
}

/// Keeps interrupts from this core.
pub fn mask_interrupts() {
    // SAFETY: nothing waits for an interrupt that cannot come: faults end in a reset.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
}

/// Writes the cache lines of a value back to memory and forgets them: before a device reads
/// it there, and again before what the device wrote is read.
pub fn clean_and_invalidate<T>(value: &T) {
    // 64 bytes on every core of every board (CTR_EL0.DminLine of A53, A72, A76).
    const LINE: usize = 64;
    let start = core::ptr::from_ref(value).addr();
    for line in (start & !(LINE - 1)..start + size_of::<T>()).step_by(LINE) {
        // SAFETY: cleaning writes what memory should hold; the value is borrowed.
        unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    barrier();
}

/// Number of this core.
pub fn core_number() -> usize {
    let mpidr = system_register!("mpidr_el1");
    // Where Aff0 counts the threads of a core (MT), Aff1 counts the cores: A76.
    let shift = if mpidr >> 24 & 1 == 1 { 8 } else { 0 };
    (mpidr >> shift & 3) as usize
}
