//! Differences between the families of Hugging Face, as fields of one struct.

use oarlock::internal::format::{Activation, Config};
use serde_json::Value;

use super::keys::Keys;
use crate::config::names::Names;
use crate::config::traits::Traits;
use crate::error::Result;

/// A family, by the name of its class.
pub(super) struct Family {
    /// Its class, as `architectures` names it.
    pub arch: &'static str,
    /// The value of the key `model_type`.
    pub model_type: &'static str,
    /// Names of the keys of its dimensions.
    pub keys: &'static DimensionKeys,
    /// Names of its tensors.
    pub names: &'static Names,
    /// The non-linearity where the config does not name it.
    pub activation: Activation,
    /// Whether the output matrix is the embedding where the config says nothing.
    pub tied: bool,
    /// Size of a head where the config says nothing of it, if not a share of the hidden one.
    pub head_dim: Option<usize>,
    /// Key and value heads where the config says nothing of them, if not as many as of queries.
    pub kv_heads: Option<usize>,
    /// Whether queries and keys are rotated.
    pub rotated: bool,
    /// The key of the base of rotary frequencies outside of their own object.
    pub base: &'static str,
    /// The base, where the config does not have it.
    pub theta: f64,
    /// The same of layers with a window, where those have their own.
    pub local_theta: Option<f64>,
    /// The key of the rotated part of a head outside of that object.
    pub part: &'static str,
    /// The rotated part where the config does not say, if it may be less than all.
    pub partial_rotary: Option<f64>,
    /// Elements of a head that are rotated where `rotary_dim` is not there, in a family that
    /// reads nothing else of rotary positions.
    pub rotary_dim: Option<usize>,
    /// Whether elements (2i, 2i + 1) are rotated together, and not (i, i + half).
    pub interleaved: bool,
    /// The one `quantization_config` that is read, by its method.
    pub quantization: Option<&'static str>,
    /// Sets the family's options, and reads the keys that it does not share with others.
    pub traits: fn(&Keys<'_>, &mut Config, &mut Vec<String>) -> Result<Traits>,
}

impl Family {
    /// The activation of this name.
    pub fn activation_of(&self, name: &Value) -> Option<Activation> {
        Some(match name.as_str()? {
            "silu" | "swish" => Activation::Silu,
            // The first files of Gemma have it so, and mean the other.
            "gelu" if self.arch == "GemmaForCausalLM" => Activation::GeluTanh,
            "gelu" | "gelu_python" => Activation::GeluErf,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            "relu2" => Activation::ReluSquared,
            _ => return None,
        })
    }
}

/// Names of the keys of dimensions; where there are several for one, the first that is there
/// counts.
pub(super) struct DimensionKeys {
    pub hidden: &'static [&'static str],
    pub heads: &'static [&'static str],
    pub layers: &'static [&'static str],
    pub ffn_hidden: &'static [&'static str],
    /// Whether the inner dimension is four times the hidden one where it is not there.
    pub four_times: bool,
    pub context: &'static [&'static str],
    pub activation: &'static [&'static str],
}
