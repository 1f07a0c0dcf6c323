//! Quantized matrices of safetensors directories.
//!
//! Each method keeps a matrix in several tensors: codes, scales, zero points. They are put together
//! under the name that the matrix has in floats, and read row by row from where they lie.

mod awq;
mod bitsandbytes;
mod codes;
mod compressed_tensors;
mod floats;
mod gptq;
pub mod matrix;
mod mlx;
mod numbers;
mod parts;
pub mod scheme;

use super::dtype::Dtype;
use super::tensor::Tensors;
use crate::error::{Error, Result};
use parts::Parts;
use scheme::Scheme;

/// Puts the quantized matrices of a directory together; returns lines that the user should read.
pub fn assemble(tensors: &mut Tensors<'_>, scheme: Option<&Scheme>) -> Result<Vec<String>> {
    let Some(scheme) = scheme else { return unannounced(tensors).map(|()| Vec::new()) };
    let mut parts = Parts::new(tensors);
    match scheme {
        Scheme::Gptq(settings) => gptq::assemble(&mut parts, settings)?,
        Scheme::Awq(settings) => awq::assemble(&mut parts, settings)?,
        Scheme::CompressedTensors(settings) => {
            compressed_tensors::assemble(&mut parts, settings)?;
        }
        Scheme::Mlx(settings) => mlx::assemble(&mut parts, settings)?,
        Scheme::Floats(settings) => floats::assemble(&mut parts, settings)?,
        Scheme::BitsAndBytes => bitsandbytes::assemble(&mut parts)?,
    }
    parts.finish()
}

/// Endings of tensors that nothing but a quantized matrix has.
const TELLING: &[&str] =
    &[".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv", ".weight.absmax", ".SCB"];

/// Refuses quantized matrices of which the config says nothing.
fn unannounced(tensors: &Tensors<'_>) -> Result<()> {
    let telling = |name: &str| TELLING.iter().any(|end| name.ends_with(end));
    let words = |name: &str, dtype| name.ends_with(".weight") && dtype == Dtype::Other("U32", 4);
    match tensors.iter().find(|(name, raw)| telling(name) || words(name, raw.dtype)) {
        None => Ok(()),
        Some((name, _)) => {
            let what = "a part of a quantized matrix, and config.json has no quantization_config";
            Err(Error::new(name, what, "get weights and config of the same model"))
        }
    }
}
