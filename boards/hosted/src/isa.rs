//! Instruction sets of this CPU: the only place that asks, and the only one that makes an [`Isa`].
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;

use oarlock::Isa;

/// The instruction sets that both this build and this CPU have, the scalar reference first and
/// the best one last.
pub fn available_isas() -> Vec<Isa> {
    #[allow(unused_mut, reason = "only some architectures add to it")]
    let mut found = vec![Isa::SCALAR];
    #[cfg(target_arch = "x86_64")]
    add_x86(&mut found);
    // The standard library asks Linux through the auxiliary vector and macOS through sysctl.
    #[cfg(target_arch = "aarch64")]
    {
        found.push(Isa::NEON);
        if is_aarch64_feature_detected!("dotprod") {
            // SAFETY: the feature that the token vouches for was just found.
            found.push(unsafe { Isa::neon_dotprod() });
            if is_aarch64_feature_detected!("i8mm") {
                // SAFETY: both features that the token vouches for were just found.
                found.push(unsafe { Isa::neon_i8mm() });
            }
        }
    }
    found
}

/// The fastest instruction set that both this build and this CPU have.
pub fn best_isa() -> Isa {
    available_isas().last().copied().unwrap_or(Isa::SCALAR)
}

#[cfg(target_arch = "x86_64")]
fn add_x86(found: &mut Vec<Isa>) {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    if !avx2 {
        return;
    }
    // SAFETY: the three features that the token vouches for were just found.
    found.push(unsafe { Isa::avx2() });
    if is_x86_feature_detected!("avxvnni") {
        // SAFETY: the three features, and the fourth that the token vouches for.
        found.push(unsafe { Isa::avx_vnni() });
    }
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
    {
        // SAFETY: the three features, and the four more that the token vouches for.
        found.push(unsafe { Isa::avx512_vnni() });
        if has_tiles() {
            // SAFETY: the same, and the CPU and the system let this process use tiles.
            found.push(unsafe { Isa::avx512_amx() });
        }
    }
}

/// Whether this process may use the tile registers of AMX on int8. Linux wants to be asked, since
/// they make what it keeps of a thread 8 KiB larger
/// (<https://docs.kernel.org/arch/x86/xstate.html>).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_tiles() -> bool {
    use std::arch::x86_64::__cpuid_count;
    const FEATURES: u32 = 7;
    const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    let has = __cpuid_count(FEATURES, 0).edx & TILE_AND_INT8 == TILE_AND_INT8;
    // SAFETY: the call reads two numbers, and an old system refuses the first.
    has && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) }
        == 0
}

/// Other systems are not asked.
#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn has_tiles() -> bool {
    false
}
