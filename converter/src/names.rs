//! What each family calls its tensors: one table per family and kind of source.

mod gguf;
mod hf;

use oarlock::internal::format::Role;

pub use gguf::*;
pub use hf::*;

/// A family's names; the first `{}` stands for the layer, a second for the expert.
#[derive(Debug)]
pub struct Names {
    /// The tensors that make the model.
    pub roles: &'static [(Role, &'static str)],
    /// Where the other roles are, in a family that follows another.
    pub base: Option<&'static Names>,
    /// Tensors that say nothing which is not known otherwise.
    pub harmless: &'static [&'static str],
    /// How queries, keys and values lie in one tensor, if they do.
    pub qkv: Qkv,
    /// Whether gate and up are one tensor, the gate's rows first.
    pub gate_up: bool,
    /// How the matrices of experts lie in one tensor, where they do.
    pub stacks: Stacks,
    /// What some sources call them instead.
    pub others: Option<&'static Names>,
    /// Whether rows of matrices inside layers are columns.
    pub transposed: bool,
    /// Rows before the first position's.
    pub position_offset: usize,
    /// What names begin with in some sources and not in others.
    pub prefix: &'static str,
}

/// Where queries, keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qkv {
    /// In a tensor each.
    Apart,
    /// All queries, then all keys, then all values.
    Stacked,
    /// For each key its queries, itself and its value.
    Grouped,
}

/// Where the gates and ups of all experts are, if not in a tensor for each expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// In a tensor each.
    Apart,
    /// In one, of each expert the gate's rows first.
    Halves,
    /// In one, rows of gate and up in turns; all matrices of experts are stored as columns.
    Woven,
    /// As [`Stacks::Woven`], but stored as rows, 32 numbers in 16 bytes and their scales apart.
    Blocks,
}

impl Names {
    const NONE: Self = Self {
        roles: &[],
        base: None,
        harmless: &[],
        qkv: Qkv::Apart,
        gate_up: false,
        stacks: Stacks::Apart,
        others: None,
        transposed: false,
        position_offset: 0,
        prefix: "",
    };

    /// The name of the tensor with this role, in this layer if it has one. Where there is one for
    /// each expert, a `{}` is left for it.
    pub fn of(&self, role: Role, layer: Option<usize>) -> Option<String> {
        let Some((_, name)) = self.roles.iter().find(|(r, _)| *r == role) else {
            return self.base?.of(role, layer);
        };
        Some(layer.map_or_else(|| (*name).into(), |i| name.replacen("{}", &i.to_string(), 1)))
    }

    /// Whether a tensor of this name may be left out.
    pub fn is_harmless(&self, name: &str) -> bool {
        let known = self.harmless.iter().any(|pattern| match pattern.split_once("{}") {
            None => *pattern == name,
            Some((before, after)) => name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|layer| layer.parse::<u32>().is_ok()),
        });
        known || self.base.is_some_and(|base| base.is_harmless(name))
    }
}
