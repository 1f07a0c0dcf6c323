//! The tensors that a quantized matrix is made of, by name: taken out, checked, put together.

use super::matrix::{Groups, Matrix};
use super::numbers::{Factor, Numbers, Scales};
use crate::error::{Error, Result};
use crate::source::dtype::Dtype;
use crate::source::tensor::{Raw, Tensors, insert};

/// Advice about parts that do not belong together.
pub const AGAIN: &str = "get the whole model again";

/// Types of scales.
pub const FLOATS: &[&str] = &["F32", "F16", "BF16"];

/// The tensors of a directory, from which quantized matrices are taken.
#[derive(Debug)]
pub struct Parts<'t, 'm> {
    tensors: &'t mut Tensors<'m>,
    /// Matrices that were put together.
    count: usize,
    /// Those of them whose groups are no neighbours.
    reordered: usize,
}

impl<'t, 'm> Parts<'t, 'm> {
    /// All tensors.
    pub const fn new(tensors: &'t mut Tensors<'m>) -> Self {
        Self { tensors, count: 0, reordered: 0 }
    }

    /// The modules that have a tensor of this name.
    pub fn modules(&self, part: &str) -> Vec<String> {
        let module = |name: &String| name.strip_suffix(part)?.strip_suffix('.').map(str::to_owned);
        self.tensors.keys().filter_map(module).collect()
    }

    /// A part of a module, if it is there.
    pub fn get(&self, module: &str, part: &str) -> Option<&Raw<'m>> {
        self.tensors.get(&format!("{module}.{part}"))
    }

    /// Whether a part of a module is there, of this type.
    pub fn is(&self, module: &str, part: &str, kind: &str) -> bool {
        self.get(module, part).is_some_and(|raw| type_of(raw.dtype) == kind)
    }

    /// Takes a part of a module, of one of these types, if it is there.
    pub fn take_if_any(
        &mut self,
        module: &str,
        part: &str,
        types: &[&str],
    ) -> Result<Option<Raw<'m>>> {
        let name = format!("{module}.{part}");
        let Some(raw) = self.tensors.remove(&name) else { return Ok(None) };
        let kind = type_of(raw.dtype);
        if !types.contains(&kind) {
            let what = format!("{kind}, where its method has {}", types.join(" or "));
            return Err(Error::new(name, what, AGAIN));
        }
        Ok(Some(raw))
    }

    /// Takes a part of a module, of one of these types.
    pub fn take(&mut self, module: &str, part: &str, types: &[&str]) -> Result<Raw<'m>> {
        let missing = || {
            let what = "a part of a quantized matrix is missing";
            Error::new(format_args!("{module}.{part}"), what, AGAIN)
        };
        self.take_if_any(module, part, types)?.ok_or_else(missing)
    }

    /// Takes a matrix that is a part of a module, and gives its two dimensions.
    pub fn take_matrix(
        &mut self,
        module: &str,
        part: &str,
        types: &[&str],
    ) -> Result<(Raw<'m>, [usize; 2])> {
        let raw = self.take(module, part, types)?;
        match *raw.shape {
            [rows, cols] if rows > 0 && cols > 0 => Ok((raw, [rows, cols])),
            _ => Err(wrong_shape(module, part, &raw.shape, "two dimensions")),
        }
    }

    /// Takes a part of a module, of this shape.
    pub fn take_shaped(
        &mut self,
        module: &str,
        part: &str,
        types: &[&str],
        shape: &[usize],
    ) -> Result<Raw<'m>> {
        let raw = self.take(module, part, types)?;
        if raw.shape != shape {
            return Err(wrong_shape(module, part, &raw.shape, format_args!("{shape:?}")));
        }
        Ok(raw)
    }

    /// Leaves parts of all modules out, which say nothing of weights.
    pub fn leave_out(&mut self, parts: &[&str]) {
        let is_left =
            |name: &str| name.rsplit('.').next().is_some_and(|last| parts.contains(&last));
        self.tensors.retain(|name, _| !is_left(name));
    }

    /// Puts the matrix of a module where its floats would be.
    pub fn put(&mut self, module: &str, matrix: Matrix<'m>) -> Result<()> {
        self.count += 1;
        self.reordered += usize::from(matches!(matrix.groups, Groups::Listed(_)));
        insert(self.tensors, &format!("{module}.weight"), Raw::quantized(matrix))
    }

    /// Puts a part of a module back under another name.
    pub fn put_raw(&mut self, module: &str, part: &str, raw: Raw<'m>) -> Result<()> {
        insert(self.tensors, &format!("{module}.{part}"), raw)
    }

    /// Lines that the user should read; that nothing was quantized is an error.
    pub fn finish(self) -> Result<Vec<String>> {
        if self.count == 0 {
            let what = "a quantization of other weights: no matrix here is quantized so";
            return Err(Error::new(
                "config.json",
                what,
                "get weights and config of the same model",
            ));
        }
        let line = |n| {
            format!(
                "{n} matrices share scales between columns that are not side by side (desc_act): they are \
                 made floats and quantized anew"
            )
        };
        Ok((self.reordered > 0).then(|| line(self.reordered)).into_iter().collect())
    }
}

/// A part whose shape is not what the others want.
pub fn wrong_shape(
    module: &str,
    part: &str,
    is: &[usize],
    wanted: impl std::fmt::Display,
) -> Error {
    let what = format!("a shape of {is:?}, where the quantized matrix wants {wanted}");
    Error::new(format_args!("{module}.{part}"), what, AGAIN)
}

/// The name of a type in safetensors.
fn type_of(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Other(name, _) => name,
        Dtype::U8 => "U8",
        _ => dtype.name(),
    }
}

/// The columns that share a scale where there are `groups` for `cols` columns: one of these sizes,
/// or what divides them evenly.
pub fn group_size(cols: usize, groups: usize, sizes: &[usize]) -> Option<usize> {
    let fits = |&&n: &&usize| n > 0 && cols.div_ceil(n) == groups;
    let even = || cols.is_multiple_of(groups).then(|| cols / groups);
    match groups {
        0 => None,
        1 => Some(cols),
        _ => sizes.iter().find(fits).copied().or_else(even),
    }
}

/// Sizes that are settings of a method, and how many rows and columns share a scale otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sharing<'s> {
    /// Columns of a group.
    pub groups: &'s [usize],
    /// Rows and columns of a block.
    pub block: Option<[usize; 2]>,
}

/// Reads scales of a tensor, of rows, of groups of columns in rows or of blocks, as their shape says.
pub fn scales<'m>(
    module: &str,
    part: &str,
    raw: &Raw<'m>,
    [rows, cols]: [usize; 2],
    sharing: Sharing<'_>,
) -> Result<(Scales<'m>, Groups<'m>)> {
    let wrong = || wrong_shape(module, part, &raw.shape, format_args!("one of [{rows}, {cols}]"));
    let numbers = Numbers::new(raw.dtype, raw.data).ok_or_else(wrong)?;
    let [lines, n] = match *raw.shape {
        [] => [1, 1],
        [n] => [n, 1],
        [lines, n] => [lines, n],
        _ => return Err(wrong()),
    };
    let block = sharing.block.unwrap_or([128, 128]);
    if lines == rows && (rows > 1 || n > 1) {
        let group = group_size(cols, n, sharing.groups).ok_or_else(wrong)?;
        return Ok((Scales::by_rows(numbers, n), Groups::Even(group)));
    }
    let factor = Factor::Times(1.0);
    if [lines, n] == [1, 1] {
        let scales = Scales { numbers, row_block: rows, row_step: 0, group_step: 0, factor };
        return Ok((scales, Groups::Even(cols)));
    }
    if block.contains(&0) || [rows.div_ceil(block[0]), cols.div_ceil(block[1])] != [lines, n] {
        return Err(wrong());
    }
    let scales = Scales { numbers, row_block: block[0], row_step: n, group_step: 1, factor };
    Ok((scales, Groups::Even(block[1])))
}
