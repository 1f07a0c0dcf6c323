//! The matrices of a layer's experts, which sources keep in one tensor each or all in one.

use oarlock::format::Role;

use super::{Origin, Place, Planned, Planner, Pool, RowOrder};
use crate::error::{Error, Result};
use crate::names::{Names, Stacks};
use crate::source::Raw;
use crate::write::Spec;

/// What stands for the number of an expert in the name of a stack.
const ANY: &str = "*";

impl Planned<'_, '_> {
    /// The names of the tensors that it is made of.
    pub(super) fn sources(&self) -> Vec<String> {
        let name = &self.spec.name;
        match self.from {
            Origin::Apart(_) => {
                (0..self.experts).map(|expert| name.replace(ANY, &expert.to_string())).collect()
            }
            _ => vec![name.clone()],
        }
    }
}

impl<'t, 'm> Planner<'_, 't, 'm> {
    /// The tensors of this role of all experts.
    pub(super) fn stack(&self, role: Role, layer: Option<usize>) -> Result<Planned<'t, 'm>> {
        let (name, names) = self.named(role, layer);
        let from = if name.contains("{}") {
            self.apart(role, &name)?
        } else {
            self.together(role, &name, names)?
        };
        let config = &self.model.config;
        let ((rows, cols), experts) = (role.shape(config), config.n_experts);
        let first = match &from {
            Origin::Tensor(raw) | Origin::Columns(raw) => raw,
            Origin::Apart(raws) => raws[0],
            Origin::Values(_) => unreachable!("no expert is made up"),
        };
        let kind = self.kind(role, &name, first)?;
        let (name, layer) = (name.replace("{}", ANY), layer.map(|i| i as u32));
        let order = RowOrder { interleaved: None, place: self.place_among(role, names) };
        let spec = Spec { name, role, layer, kind };
        Ok(Planned { spec, from, experts, rows, cols, order, pool: Pool::NONE, add: 0.0 })
    }

    /// A tensor for each expert.
    fn apart(&self, role: Role, name: &str) -> Result<Origin<'t, 'm>> {
        let (rows, cols) = role.shape(&self.model.config);
        let wanted = if role.is_vector() { vec![cols] } else { vec![rows, cols] };
        let mut raws: Vec<&'t Raw<'m>> = Vec::new();
        for expert in 0..self.model.config.n_experts {
            let name = name.replace("{}", &expert.to_string());
            let raw = self.raw(&name, &wanted)?;
            if raws.first().is_some_and(|first| first.dtype != raw.dtype) {
                let what = "not of the type of the experts before it";
                return Err(Error::new(&name, what, "get the model in one type"));
            }
            raws.push(raw);
        }
        Ok(Origin::Apart(raws))
    }

    /// All in one tensor, the experts one after another.
    fn together(&self, role: Role, name: &str, names: &Names) -> Result<Origin<'t, 'm>> {
        let (rows, cols) = role.shape(&self.model.config);
        let outputs = if is_half(role, names) { 2 * rows } else { rows };
        self.raw(name, &[self.model.config.n_experts, outputs, cols]).map(Origin::Tensor)
    }

    /// Where the rows are among those of all experts, and of gate and up.
    fn place_among(&self, role: Role, names: &Names) -> Place {
        let rows = self.model.config.expert_ffn_dim;
        if !is_half(role, names) {
            return Place::default();
        }
        let first = if role == Role::ExpertUp { rows } else { 0 };
        Place::Grouped { group: 2 * rows, first, rows }
    }
}

/// Whether gate and up are in one tensor, of which this is one.
fn is_half(role: Role, names: &Names) -> bool {
    names.stacks == Stacks::Halves && matches!(role, Role::ExpertGate | Role::ExpertUp)
}
