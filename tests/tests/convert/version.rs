//! The version of what conversions give, by which converted models are kept or made again.

use oarlock::internal::format::layout::WeightType;
use oarlock_convert::{VERSION, Weights};
use oarlock_tests::fixture;
use sha2::{Digest, Sha256};

use crate::source::converted;
use crate::values::options;

/// The version, and hashes of what it gives of some fixtures in every type.
const KNOWN: (&str, [(&str, &str); 4]) = (
    "0.1.0-1",
    [
        ("gqa", "75e9b416ca896c09"),
        ("gemma3", "bc309f3883905b5e"),
        ("bloom", "1558901d9ea41daa"),
        ("qwen2-moe", "77d3f666e11a2f5f"),
    ],
);

#[test]
fn other_bytes_are_another_version() {
    let (version, models) = KNOWN;
    let hash = |name| {
        let mut hash = Sha256::new();
        for kind in WeightType::ALL {
            let file = converted(&fixture("tiny").join(name), &options(kind)).unwrap();
            hash.update(&file[..]);
        }
        let hash = hash.finalize();
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let now = models.map(|(name, _)| (name, hash(name)));
    let same = now.iter().zip(models).all(|((_, now), (_, known))| now == known);
    assert!(
        same && version == VERSION,
        "{VERSION} gives {now:?}: if these bytes should be other ones than those of {version}, raise \
         the number in VERSION (converter/src/convert.rs), so that nobody keeps the old ones, and \
         write both down here"
    );
}

#[test]
fn weights_have_the_names_of_the_command_line() {
    for name in Weights::NAMES {
        assert_eq!(Weights::from_name(name).map(Weights::name), Some(name));
    }
    assert_eq!(Weights::NAMES.len(), WeightType::ALL.len() + 2);
    assert_eq!(Weights::from_name("same"), None);
}
