//! The matrices of a layer's experts, which sources keep in one tensor each or all in one.

use oarlock::internal::format::{Role, TensorType};

use super::{Origin, Place, Planned, Planner, Pool, RowOrder};
use crate::error::{Error, Result};
use crate::mxfp4::{self, Mxfp4};
use crate::names::{Names, Stacks};
use crate::source::{Dtype, Raw};
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
            Origin::Mxfp4(_) => vec![name.clone(), mxfp4::scales_of(name)],
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
        let order = RowOrder { interleaved: None, place: self.place_among(role, names) };
        let (kind, layer) = (TensorType::Vector, layer.map(|i| i as u32));
        let spec = Spec { name: name.replace("{}", ANY), role, layer, kind };
        let mut planned =
            Planned { spec, from, experts, rows, cols, order, pool: Pool::NONE, add: 0.0 };
        planned.spec.kind = self.kind(role, &planned.spec.name, planned.dtype())?;
        Ok(planned)
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
        let (n, both) = (self.model.config.n_experts, if is_half(role, names) { 2 } else { 1 });
        let wanted = match (names.stacks, role.is_vector()) {
            (_, true) => vec![n, both * cols],
            (Stacks::Blocks, false) => return self.blocks(name, [n, both * rows, cols]),
            (Stacks::Woven, false) => vec![n, cols, both * rows],
            (Stacks::Apart | Stacks::Halves, false) => vec![n, both * rows, cols],
        };
        let raw = self.raw(name, &wanted)?;
        let columns = names.stacks == Stacks::Woven && !role.is_vector();
        Ok(if columns { Origin::Columns(raw) } else { Origin::Tensor(raw) })
    }

    /// Matrices in blocks, whose scales have a name of their own.
    fn blocks(&self, name: &str, [n, rows, cols]: [usize; 3]) -> Result<Origin<'t, 'm>> {
        let (scales_name, groups) = (mxfp4::scales_of(name), cols.div_ceil(mxfp4::GROUP));
        let blocks = self.shaped(name, &[n, rows, groups, mxfp4::GROUP / 2])?;
        let scales = self.shaped(&scales_name, &[n, rows, groups])?;
        let is_whole = cols.is_multiple_of(mxfp4::GROUP);
        if !is_whole || [blocks, scales].iter().any(|raw| raw.dtype != Dtype::U8) {
            let what = "no bytes, or rows that are no whole number of blocks";
            return Err(Error::new(name, what, "get the model again"));
        }
        Ok(Origin::Mxfp4(Mxfp4 { blocks, scales, groups }))
    }

    /// Where the rows, of vectors the elements, are among those of all experts, and of gate and
    /// up.
    fn place_among(&self, role: Role, names: &Names) -> Place {
        let rows = self.model.config.expert_ffn_dim;
        let is_up = matches!(role, Role::ExpertUp | Role::ExpertUpBias);
        match names.stacks {
            _ if !is_half(role, names) => Place::default(),
            Stacks::Halves => {
                Place::Grouped { group: 2 * rows, first: if is_up { rows } else { 0 }, rows }
            }
            _ => Place::Grouped { group: 2, first: usize::from(is_up), rows: 1 },
        }
    }
}

/// Whether gate and up are in one tensor, of which this is one.
fn is_half(role: Role, names: &Names) -> bool {
    use Role::{ExpertGate, ExpertGateBias, ExpertUp, ExpertUpBias};
    names.stacks != Stacks::Apart
        && matches!(role, ExpertGate | ExpertGateBias | ExpertUp | ExpertUpBias)
}
