//! The instruction sets of the CPU that runs the tests.
#![allow(unsafe_code)]

use oarlock::Isa;

/// Every instruction set that this build and this CPU have, the scalar reference first.
pub fn isas() -> Vec<Isa> {
    #[allow(unused_mut, reason = "only some architectures add to it")]
    let mut all = vec![Isa::SCALAR];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
        // SAFETY: the three features that the constructor names were just found.
        all.push(unsafe { Isa::avx2() });
        if is_x86_feature_detected!("avxvnni") {
            // SAFETY: the three features, and the fourth that the constructor names.
            all.push(unsafe { Isa::avx_vnni() });
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
        {
            // SAFETY: the three features, and the four more that the constructor names.
            all.push(unsafe { Isa::avx512_vnni() });
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        all.push(Isa::NEON);
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            // SAFETY: the feature that the constructor names was just found.
            all.push(unsafe { Isa::neon_dotprod() });
            if std::arch::is_aarch64_feature_detected!("i8mm") {
                // SAFETY: both features that the constructor names were just found.
                all.push(unsafe { Isa::neon_i8mm() });
            }
        }
    }
    all
}
