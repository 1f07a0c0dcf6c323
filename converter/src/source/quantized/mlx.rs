//! MLX: codes in words, the first in the lowest bits; a scale and a bias for each group.

use super::codes::{Codes, Order};
use super::matrix::{Groups, Levels, Matrix};
use super::numbers::{Numbers, Scales, e4m3};
use super::parts::{AGAIN, FLOATS, Parts, wrong_shape};
use super::scheme::{Mlx, MlxMode, MlxModule};
use crate::error::{Error, Result};
use crate::source::tensor::Raw;

/// Puts all matrices together.
pub fn assemble(parts: &mut Parts<'_, '_>, settings: &Mlx) -> Result<()> {
    for module in parts.modules("scales") {
        let own = settings.own.get(&module).copied().unwrap_or(settings.common);
        if parts.get(&module, "weight").is_some_and(|raw| raw.shape.len() == 3) {
            unstack(parts, &module, own)?;
            continue;
        }
        let matrix = matrix(parts, &module, own)?;
        parts.put(&module, matrix)?;
    }
    Ok(())
}

fn matrix<'m>(parts: &mut Parts<'_, 'm>, module: &str, own: MlxModule) -> Result<Matrix<'m>> {
    let MlxModule { bits, group, mode } = own;
    let (codes, [rows, words]) = parts.take_matrix(module, "weight", &["U32"])?;
    let types = if mode == MlxMode::Affine { FLOATS } else { &["U8"] };
    let (scales, [lines, groups]) = parts.take_matrix(module, "scales", types)?;
    let cols = groups.checked_mul(group).filter(|_| lines == rows);
    let cols = cols.filter(|&cols| cols.checked_mul(bits) == words.checked_mul(32));
    let cols = cols.ok_or_else(|| {
        let wanted = format_args!("[{rows}, {}]", words.saturating_mul(32) / bits / group);
        wrong_shape(module, "scales", &scales.shape, wanted)
    })?;
    let numbers = |raw: &Raw<'m>| {
        let numbers = Numbers::new(raw.dtype, raw.data);
        let numbers =
            numbers.ok_or_else(|| Error::new(module, "its scales are no floats", AGAIN))?;
        Ok(Scales::by_rows(numbers, groups))
    };
    let (scales, levels) = match mode {
        MlxMode::Affine => {
            let minima = parts.take_shaped(module, "biases", FLOATS, &[rows, groups])?;
            (numbers(&scales)?, Levels::Minima(numbers(&minima)?))
        }
        MlxMode::Mxfp4 => (numbers(&scales)?, Levels::E2m1),
        MlxMode::Mxfp8 => (numbers(&scales)?, Levels::Table((0..=255).map(e4m3).collect())),
        MlxMode::Nvfp4 => (Scales::by_rows(Numbers::e4m3(scales.data), groups), Levels::E2m1),
    };
    let codes = Codes { data: codes.data, bits, order: Order::Lines(4 * words), signed: false };
    let (label, groups) = (label(own), Groups::Even(group));
    Ok(Matrix { label, rows, cols, codes, groups, scales, levels })
}

const fn label(own: MlxModule) -> &'static str {
    match (own.mode, own.bits) {
        (MlxMode::Mxfp4, _) => "MLX MXFP4",
        (MlxMode::Nvfp4, _) => "MLX NVFP4",
        (MlxMode::Mxfp8, _) => "MLX MXFP8",
        (MlxMode::Affine, 2) => "MLX of 2 bits",
        (MlxMode::Affine, 3) => "MLX of 3 bits",
        (MlxMode::Affine, 5) => "MLX of 5 bits",
        (MlxMode::Affine, 6) => "MLX of 6 bits",
        (MlxMode::Affine, 8) => "MLX of 8 bits",
        (MlxMode::Affine, _) => "MLX of 4 bits",
    }
}

/// Names of experts in a stack of MLX, and in files of each family.
const EXPERTS: &[(&str, &str)] = &[
    ("block_sparse_moe.switch_mlp.gate_proj", "block_sparse_moe.experts.{}.w1"),
    ("block_sparse_moe.switch_mlp.up_proj", "block_sparse_moe.experts.{}.w3"),
    ("block_sparse_moe.switch_mlp.down_proj", "block_sparse_moe.experts.{}.w2"),
    ("mlp.switch_mlp.gate_proj", "mlp.experts.{}.gate_proj"),
    ("mlp.switch_mlp.up_proj", "mlp.experts.{}.up_proj"),
    ("mlp.switch_mlp.down_proj", "mlp.experts.{}.down_proj"),
];

/// Takes a stack of experts apart, which other files keep by themselves.
fn unstack(parts: &mut Parts<'_, '_>, module: &str, own: MlxModule) -> Result<()> {
    let known = EXPERTS.iter().find_map(|(end, name)| Some((module.strip_suffix(end)?, *name)));
    let (before, name) = known.ok_or_else(|| {
        Error::new(module, "a stack of matrices that is not known", "get the model as GGUF")
    })?;
    let mut stacks = Vec::new();
    for part in ["weight", "scales", "biases"] {
        let types = ["U32", "U8", "F32", "F16", "BF16"];
        stacks.extend(parts.take_if_any(module, part, &types)?.map(|raw| (part, raw)));
    }
    let count = stacks.first().map_or(0, |(_, raw)| raw.shape[0]);
    for expert in 0..count {
        let module = format!("{before}{}", name.replace("{}", &expert.to_string()));
        for (part, raw) in &stacks {
            let [n, lines, len] = *raw.shape else {
                return Err(wrong_shape(&module, part, &raw.shape, "three dimensions"));
            };
            if n != count {
                return Err(wrong_shape(
                    &module,
                    part,
                    &raw.shape,
                    format_args!("{count} experts"),
                ));
            }
            let bytes = raw.data.len() / n;
            let data = &raw.data[expert * bytes..][..bytes];
            parts.put_raw(&module, part, Raw::new(raw.dtype, vec![lines, len], data))?;
        }
        let matrix = matrix(parts, &module, own)?;
        parts.put(&module, matrix)?;
    }
    Ok(())
}
