//! The control word of floating point, which every thread that computes sets.
#![allow(unsafe_code)]

/// Puts the calling thread's floating point into the state that the bits rest on:
/// nearest even, nothing flushed to zero, no traps (MXCSR 0x1F80, FPCR 0).
///
/// Every thread that runs the model calls this once, before it does.
pub fn set_control_word() {
    #[cfg(target_arch = "x86_64")]
    {
        let mxcsr = 0x1F80_u32;
        // SAFETY: SSE is part of x86-64, and the word is the default of its ABI, which
        // compiled code assumes anyway. (`_mm_setcsr` is deprecated for this form.)
        unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack)) };
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the base architecture has FPCR, and 0 is the default of its ABI.
    unsafe {
        core::arch::asm!("msr fpcr, xzr", options(nomem, nostack));
    }
}
