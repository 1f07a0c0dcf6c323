//! bitsandbytes: 16 levels in blocks of a matrix whose rows follow each other, or int8 and a scale
//! for each row.

use serde_json::Value;

use super::codes::{Codes, Order};
use super::matrix::{Groups, Levels, Matrix};
use super::numbers::{Factor, Nested, Numbers, Scales};
use super::parts::{AGAIN, Parts, wrong_shape};
use crate::error::{Error, Result};
use crate::source::dtype::Dtype;
use crate::source::tensor::Raw;

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>) -> Result<()> {
    for module in parts.modules("weight.absmax") {
        let matrix = levels(parts, &module)?;
        parts.put(&module, matrix)?;
    }
    for module in parts.modules("SCB") {
        let matrix = bytes(parts, &module)?;
        parts.put(&module, matrix)?;
    }
    Ok(())
}

/// A row's int8 are multiplied by a 127th of its scale, in single precision.
const BYTE: f32 = 1.0 / 127.0;

fn bytes<'m>(parts: &mut Parts<'_, 'm>, module: &str) -> Result<Matrix<'m>> {
    let (codes, [rows, cols]) = parts.take_matrix(module, "weight", &["I8"])?;
    let scales = parts.take_shaped(module, "SCB", &["F32"], &[rows])?;
    let format = parts.take_if_any(module, "weight_format", &["U8"])?;
    if format.is_some_and(|raw| raw.data.iter().any(|byte| *byte != 0)) {
        let todo = "get the model as GGUF or in floats";
        return Err(Error::new(format_args!("{module}.weight_format"), "no plain rows", todo));
    }
    let numbers = Numbers::new(scales.dtype, scales.data);
    let numbers = numbers.ok_or_else(|| Error::new(module, "its scales are no floats", AGAIN))?;
    Ok(Matrix {
        label: "LLM.int8",
        rows,
        cols,
        codes: Codes { data: codes.data, bits: 8, order: Order::Lines(cols), signed: true },
        groups: Groups::Even(cols),
        scales: Scales { factor: Factor::Times(BYTE), ..Scales::by_rows(numbers, 1) },
        levels: Levels::Zero(128),
    })
}

/// Settings of a matrix of 4 bits, which a tensor has as JSON.
struct State {
    rows: usize,
    cols: usize,
    block: usize,
    nested_block: usize,
    offset: f32,
}

fn levels<'m>(parts: &mut Parts<'_, 'm>, module: &str) -> Result<Matrix<'m>> {
    const KINDS: [(&str, &str); 2] = [("nf4", "NF4"), ("fp4", "FP4")];
    let part = |kind: &str| format!("weight.quant_state.bitsandbytes__{kind}");
    let found = KINDS.iter().find(|(kind, _)| parts.get(module, &part(kind)).is_some());
    let (kind, label) = *found.unwrap_or(&KINDS[0]);
    let state = parts.take(module, &part(kind), &["U8"])?;
    let state = read(&state).ok_or_else(|| {
        let what = "not what bitsandbytes says of a matrix";
        Error::new(format_args!("{module}.{}", part(kind)), what, AGAIN)
    })?;
    let State { rows, cols, block, .. } = state;
    let codes = parts.take(module, "weight", &["U8"])?;
    let n = rows.checked_mul(cols).filter(|n| n.div_ceil(2) == codes.data.len() && *n > 0);
    let n = n.ok_or_else(|| {
        let wanted = format_args!("half of {rows} times {cols} bytes");
        wrong_shape(module, "weight", &codes.shape, wanted)
    })?;
    let table = parts.take_shaped(module, "weight.quant_map", &["F32"], &[16])?;
    let table = Numbers::new(table.dtype, table.data)
        .map(|numbers| (0..16).map(|i| numbers.get(i)).collect::<Vec<_>>());
    let (row_step, groups) = match cols % block {
        0 => (cols / block, Groups::Even(block)),
        _ => (0, Groups::Flat(block)),
    };
    let numbers = absmax(parts, module, n.div_ceil(block), &state)?;
    Ok(Matrix {
        label,
        rows,
        cols,
        codes: Codes { data: codes.data, bits: 4, order: Order::HighFirst(cols), signed: false },
        groups,
        scales: Scales { row_step, ..Scales::by_rows(numbers, 1) },
        levels: Levels::Table(table.unwrap_or_default()),
    })
}

fn read(state: &Raw<'_>) -> Option<State> {
    let json: Value = serde_json::from_slice(state.data).ok()?;
    let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let [rows, cols] = json.get("shape")?.as_array()?.as_slice() else { return None };
    Some(State {
        rows: size(rows)?,
        cols: size(cols)?,
        block: size(json.get("blocksize")?)?,
        nested_block: json.get("nested_blocksize").and_then(size).unwrap_or(256),
        offset: json.get("nested_offset").and_then(Value::as_f64).unwrap_or(0.0) as f32,
    })
}

/// The largest weights of `n` blocks, which may be quantized themselves.
fn absmax<'m>(
    parts: &mut Parts<'_, 'm>,
    module: &str,
    n: usize,
    state: &State,
) -> Result<Numbers<'m>> {
    let raw = parts.take_shaped(module, "weight.absmax", &["F32", "U8"], &[n])?;
    let none = || Error::new(module, "its scales are no floats", AGAIN);
    if raw.dtype != Dtype::U8 {
        return Numbers::new(raw.dtype, raw.data).ok_or_else(none);
    }
    let outer = [n.div_ceil(state.nested_block)];
    let scales = parts.take_shaped(module, "weight.nested_absmax", &["F32"], &outer)?;
    let table = parts.take_shaped(module, "weight.nested_quant_map", &["F32"], &[256])?;
    let scales = Numbers::new(scales.dtype, scales.data).ok_or_else(none)?;
    let (block, offset) = (state.nested_block, state.offset);
    Ok(Numbers::nested(raw.data, Nested { table: table.data, scales, block, offset }))
}
