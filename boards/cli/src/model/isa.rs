//! The instruction set that the command line asks for.

use oarlock::Isa;
use oarlock_hosted::available_isas;

use crate::terminal::errors::{Outcome, fault};

/// Every name that `--isa` will ever know, on any machine.
const NAMES: [&str; 8] = [
    "scalar",
    "avx2",
    "avx-vnni",
    "avx512-vnni",
    "avx512-amx",
    "neon",
    "neon-dotprod",
    "neon-i8mm",
];

/// The instruction set of this name, or the best one without a name.
pub fn isa(name: Option<&str>) -> Outcome<Isa> {
    let found = available_isas();
    match name {
        None => Ok(found.last().copied().unwrap_or(Isa::SCALAR)),
        Some(name) => found
            .iter()
            .copied()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| missing(name, &found)),
    }
}

fn missing(name: &str, found: &[Isa]) -> crate::terminal::errors::Stop {
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
        assert!(available_isas().iter().all(|isa| NAMES.contains(&isa.name())));
        assert_eq!(isa(None).ok(), available_isas().last().copied());
    }

    #[test]
    fn scalar_is_everywhere_and_nonsense_nowhere() {
        assert_eq!(isa(Some("scalar")).ok(), Some(Isa::SCALAR));
        assert!(isa(Some("mmx")).is_err());
    }
}
