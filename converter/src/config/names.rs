//! Names of tensors: a table for each family and kind of source.

use oarlock::internal::format::Role;

/// A family's names; the first `{}` stands for the layer, a second for the expert.
#[derive(Debug)]
pub struct Names {
    /// The tensors that make the model.
    pub roles: &'static [(Role, &'static str)],
    /// The table with the other roles, in a family that follows another.
    pub base: Option<&'static Names>,
    /// Tensors that say nothing which is not known otherwise.
    pub harmless: &'static [&'static str],
    /// The order of queries, keys and values in one tensor, if they are in one.
    pub qkv: Qkv,
    /// Whether gate and up are one tensor, the gate's rows first.
    pub gate_up: bool,
    /// The order of the experts' matrices in one tensor, where they are in one.
    pub stacks: Stacks,
    /// Names that some sources have instead.
    pub others: Option<&'static Names>,
    /// Whether rows of matrices inside layers are columns.
    pub transposed: bool,
    /// Rows before the first position's.
    pub position_offset: usize,
    /// The beginning of names in some sources and not in others.
    pub prefix: &'static str,
}

/// Arrangements of queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qkv {
    /// A tensor each.
    Separate,
    /// One tensor: all queries, then all keys, then all values.
    Stacked,
    /// One tensor: for each key its queries, itself and its value.
    Grouped,
}

/// Arrangements of the gates and ups of all experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// A tensor for each expert and role.
    Separate,
    /// One tensor, of each expert the gate's rows first.
    Halves,
    /// One tensor, rows of gate and up in turns; all matrices of experts are stored as columns.
    Interleaved,
    /// One tensor, rows in turns too, but stored as rows: 32 numbers in 16 bytes (MXFP4), and
    /// their scales in a tensor of their own.
    Mxfp4,
}

impl Names {
    pub(super) const NONE: Self = Self {
        roles: &[],
        base: None,
        harmless: &[],
        qkv: Qkv::Separate,
        gate_up: false,
        stacks: Stacks::Separate,
        others: None,
        transposed: false,
        position_offset: 0,
        prefix: "",
    };

    /// The name of the tensor with this role, in this layer if it has one. Where there is one for
    /// each expert, a `{}` is left for it.
    pub fn tensor(&self, role: Role, layer: Option<usize>) -> Option<String> {
        let Some((_, name)) = self.roles.iter().find(|(r, _)| *r == role) else {
            return self.base?.tensor(role, layer);
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
