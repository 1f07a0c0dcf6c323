//! What this CPU can do: the only place that asks, and the only one that makes an [`Isa`].
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;

use oarlock::Isa;

use crate::errors::{Outcome, fault};

/// Every name that `--isa` will ever know, on any machine.
const NAMES: [&str; 7] =
    ["scalar", "avx2", "avx-vnni", "avx512-vnni", "neon", "neon-dotprod", "neon-i8mm"];

/// The instruction sets that both this build and this CPU have, the best one last.
pub fn available() -> Vec<Isa> {
    let mut found = vec![Isa::SCALAR];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
    {
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
        }
    }
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

/// The instruction set of this name, or the best one without a name.
pub fn isa(name: Option<&str>) -> Outcome<Isa> {
    let found = available();
    match name {
        None => Ok(found.last().copied().unwrap_or(Isa::SCALAR)),
        Some(name) => found
            .iter()
            .copied()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| missing(name, &found)),
    }
}

fn missing(name: &str, found: &[Isa]) -> crate::errors::Stop {
    let choice = found.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
    let what = if NAMES.contains(&name) {
        "this CPU or this build does not have it"
    } else {
        "there is no instruction set of this name"
    };
    fault(format!("--isa {name}"), what, format!("here there is: {choice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_isa_found_has_a_known_name() {
        assert!(available().iter().all(|isa| NAMES.contains(&isa.name())));
        assert_eq!(isa(None).ok(), available().last().copied());
    }

    #[test]
    fn scalar_is_everywhere_and_nonsense_nowhere() {
        assert_eq!(isa(Some("scalar")).ok(), Some(Isa::SCALAR));
        assert!(isa(Some("mmx")).is_err());
    }
}
