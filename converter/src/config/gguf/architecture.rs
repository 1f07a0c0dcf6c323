//! Differences between the architectures of GGUF, as fields of one struct.

use oarlock::internal::format::Config;

use super::keys::GgufKeys;
use crate::config::names::Names;
use crate::config::traits::Traits;
use crate::error::Result;

/// A family, as one of GGUF's architectures.
pub(super) struct Architecture {
    /// Its name in `general.architecture`.
    pub arch: &'static str,
    /// Keys that it does not share with others.
    pub reads: &'static [&'static str],
    /// Whether elements (2i, 2i + 1) are rotated together: rows of q and k were reordered for
    /// it when the file was made, or the model is so by itself.
    pub interleaved: bool,
    /// Names of its tensors where q, k and v are apart, and where they are one.
    pub names: [&'static Names; 2],
    /// Whether YaRN's ramp begins and ends at whole numbers of frequencies.
    pub truncated: bool,
    /// A property of published models that the file does not say, and the user should know.
    pub warning: Option<&'static str>,
    /// Sets the family's options, and reads the keys that it does not share with others.
    pub traits: fn(&GgufKeys<'_, '_>, &mut Config) -> Result<Traits>,
}
