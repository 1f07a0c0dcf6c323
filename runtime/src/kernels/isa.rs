//! The `Isa` token: a value of this type is proof that the CPU can.
#![allow(unsafe_code)]

#[cfg(all(feature = "every-isa", target_arch = "aarch64"))]
use super::arm::i8mm;
#[cfg(target_arch = "aarch64")]
use super::arm::{base, dotprod};
#[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
use super::scalar::Scalar;
use super::simd::Op;
#[cfg(target_arch = "x86_64")]
use super::x86::{amx, avx_vnni, avx2_madd, avx512};

/// An instruction set that this CPU has.
///
/// [`Isa::SCALAR`] can be had for nothing, and on 64-bit ARM `Isa::NEON`, which is part of
/// the targets that this builds for. Every other one comes from an `unsafe` constructor
/// whose caller has asked the CPU, so whoever holds the token may use the instructions
/// without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Amx,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "aarch64")]
    NeonDotprod,
    #[cfg(all(feature = "every-isa", target_arch = "aarch64"))]
    NeonI8mm,
}

impl Isa {
    /// Plain Rust, which defines the bits. (Not there on 64-bit ARM without `every-isa`.)
    #[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// One that every build has and every CPU can.
    #[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
    pub(crate) const COMMON: Self = Self::SCALAR;
    #[cfg(not(any(feature = "every-isa", not(target_arch = "aarch64"))))]
    pub(crate) const COMMON: Self = Self::NEON;

    /// AVX2 with FMA and F16C: every x86-64 since 2013 (Intel) or 2015 (AMD).
    ///
    /// # Safety
    /// The CPU must have the features `avx2`, `fma` and `f16c`.
    #[cfg(target_arch = "x86_64")]
    pub const unsafe fn avx2() -> Self {
        Self(Kind::Avx2)
    }

    /// AVX2 with the dot products of AVX-VNNI: Intel since 2021 (N100), AMD since 2024.
    ///
    /// # Safety
    /// The CPU must have the features `avx2`, `fma`, `f16c` and `avxvnni`.
    #[cfg(target_arch = "x86_64")]
    pub const unsafe fn avx_vnni() -> Self {
        Self(Kind::AvxVnni)
    }

    /// AVX-512 with VNNI: Intel's servers since 2019, AMD since 2022 (Zen 4).
    ///
    /// # Safety
    /// The CPU must have the features `avx2`, `fma`, `f16c`, `avx512f`, `avx512bw`,
    /// `avx512vl` and `avx512vnni`.
    #[cfg(target_arch = "x86_64")]
    pub const unsafe fn avx512_vnni() -> Self {
        Self(Kind::Avx512Vnni)
    }

    /// AVX-512 with products of tiles: Intel's servers since 2023.
    ///
    /// # Safety
    /// As of [`Isa::avx512_vnni`]; the CPU must have the features `amx-tile` and `amx-int8`
    /// too, and the system must let this process use tile registers.
    #[cfg(target_arch = "x86_64")]
    pub const unsafe fn avx512_amx() -> Self {
        Self(Kind::Avx512Amx)
    }

    /// NEON, which every 64-bit ARM has that this builds for.
    #[cfg(target_arch = "aarch64")]
    pub const NEON: Self = Self(Kind::Neon);

    /// NEON with 8-bit dot products: Raspberry Pi 5, Apple M1.
    ///
    /// # Safety
    /// The CPU must have the feature `dotprod`.
    #[cfg(target_arch = "aarch64")]
    pub const unsafe fn neon_dotprod() -> Self {
        Self(Kind::NeonDotprod)
    }

    /// NEON with 8-bit dot products and products of matrices: Apple M2 and later.
    ///
    /// # Safety
    /// The CPU must have the features `dotprod` and `i8mm`.
    #[cfg(all(feature = "every-isa", target_arch = "aarch64"))]
    pub const unsafe fn neon_i8mm() -> Self {
        Self(Kind::NeonI8mm)
    }

    /// Runs an operation with the registers of this ISA: the one place that picks.
    #[inline]
    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        match self.0 {
            #[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
            Kind::Scalar => op.run(Scalar),
            // SAFETY: an `Isa` of this kind exists only where the features do.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2_madd::enter(op) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni => unsafe { avx_vnni::enter(op) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => unsafe { avx512::enter(op) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Amx => unsafe { amx::enter(op) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => base::enter(op),
            // SAFETY: an `Isa` of this kind exists only where the feature does.
            #[cfg(target_arch = "aarch64")]
            Kind::NeonDotprod => unsafe { dotprod::enter(op) },
            // SAFETY: an `Isa` of this kind exists only where the features do.
            #[cfg(all(feature = "every-isa", target_arch = "aarch64"))]
            Kind::NeonI8mm => unsafe { i8mm::enter(op) },
        }
    }

    /// The name that the command line uses.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(any(feature = "every-isa", not(target_arch = "aarch64")))]
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Amx => "avx512-amx",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Kind::NeonDotprod => "neon-dotprod",
            #[cfg(all(feature = "every-isa", target_arch = "aarch64"))]
            Kind::NeonI8mm => "neon-i8mm",
        }
    }
}
