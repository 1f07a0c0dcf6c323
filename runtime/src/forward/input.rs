//! The input of a region of matrices: f32 for f32 matrices, quantized for the others.

use crate::base::arena::Source;
use crate::base::checked::{nonzero, part, part_mut};
use crate::base::disjoint::for_each;
use crate::format::layout::{BLOCK_COLS, blocks};
use crate::format::matrix::Linear;
use crate::format::{Config, Norm};
use crate::kernels::{Input, Isa, Machine, QuantizedActivationsMut, layer_norm, rms_norm};
use crate::model::NormWeights;

/// Rows of f32, one a token, a stride apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Tokens.
    pub(crate) n: usize,
    /// (n, cols)
    pub(crate) data: &'a [f32],
    pub(crate) cols: usize,
    pub(crate) stride: usize,
}

impl<'a> Rows<'a> {
    /// `each` rows at a time.
    fn chunks(&self, each: usize) -> core::slice::Chunks<'a, f32> {
        part(self.data, ..self.n * self.stride).chunks(nonzero(each * self.stride))
    }
}

/// Workspace for the input of one region at a time.
pub(crate) struct InputBuffers<'a> {
    /// (tokens, dim)
    normed: &'a mut [f32],
    /// (tokens, widest input)
    quants: &'a mut [i8],
    /// (tokens, blocks of the widest input)
    scales: &'a mut [f32],
    /// (tokens, blocks of the widest input)
    sums: &'a mut [f32],
}

impl<'a> InputBuffers<'a> {
    /// For inputs of up to `widest` columns.
    pub(crate) fn carve(
        source: &mut impl Source<'a>,
        tokens: usize,
        dim: usize,
        widest: usize,
    ) -> Option<Self> {
        let all_blocks = tokens.checked_mul(blocks(widest));
        Some(Self {
            normed: source.take(tokens.checked_mul(dim))?,
            quants: source.take(all_blocks?.checked_mul(BLOCK_COLS))?,
            scales: source.take(all_blocks)?,
            sums: source.take(all_blocks)?,
        })
    }

    /// The normalised rows, as `matrices` want them.
    pub(crate) fn norm<const M: usize>(
        &mut self,
        machine: &Machine<'_>,
        config: &Config,
        gain: NormWeights<'_>,
        x: Rows<'_>,
        matrices: [&Linear<'_>; M],
    ) -> Input<'_> {
        let Self { normed, quants, scales, sums } = self;
        let acts = wanted(matrices)
            .then(|| QuantizedActivationsMut::new(x.n, x.cols, quants, scales, sums));
        let (mut acts, each) = (acts.flatten(), share(machine, x.n));
        let normed = part_mut(normed, ..x.n * x.cols);
        let rows = x.chunks(each).zip(normed.chunks_mut(nonzero(each * x.cols)));
        let parts = rows.zip(parts(acts.as_mut(), x.n, each));
        run(machine, [x.n, x.cols], parts, |((x_rows, normed), mut acts)| {
            let rows =
                x_rows.chunks(nonzero(x.stride)).zip(normed.chunks_exact_mut(nonzero(x.cols)));
            for (token, (row, normed)) in rows.enumerate() {
                norm_row(machine.isa, config, gain, part(row, ..x.cols), normed);
                if let Some(acts) = &mut acts {
                    acts.quantize(machine.isa, token, normed);
                }
            }
        });
        Input {
            n: x.n,
            cols: x.cols,
            x: normed,
            stride: x.cols,
            acts: acts.map(QuantizedActivationsMut::freeze),
        }
    }

    /// The rows themselves, as `matrices` want them.
    pub(crate) fn rows<'i, const M: usize>(
        &'i mut self,
        machine: &Machine<'_>,
        x: Rows<'i>,
        matrices: [&Linear<'_>; M],
    ) -> Input<'i> {
        let Self { quants, scales, sums, .. } = self;
        let acts = wanted(matrices)
            .then(|| QuantizedActivationsMut::new(x.n, x.cols, quants, scales, sums));
        let (mut acts, each) = (acts.flatten(), share(machine, x.n));
        let parts = x.chunks(each).zip(parts(acts.as_mut(), x.n, each));
        run(machine, [x.n, x.cols], parts, |(rows, acts)| {
            let Some(mut acts) = acts else { return };
            for (token, row) in rows.chunks(nonzero(x.stride)).enumerate() {
                acts.quantize(machine.isa, token, part(row, ..x.cols));
            }
        });
        Input {
            n: x.n,
            cols: x.cols,
            x: x.data,
            stride: x.stride,
            acts: acts.map(QuantizedActivationsMut::freeze),
        }
    }

    /// These tokens of an input, in this order, as `matrices` want them.
    pub(crate) fn gather<const M: usize>(
        &mut self,
        from: &Input<'_>,
        tokens: &[u32],
        matrices: [&Linear<'_>; M],
    ) -> Input<'_> {
        let Self { normed, quants, scales, sums } = self;
        let (n, cols) = (tokens.len(), from.cols);
        let acts = from.acts.filter(|_| wanted(matrices));
        let taken = acts.and_then(|from| {
            let mut taken = QuantizedActivationsMut::new(n, cols, quants, scales, sums)?;
            for (i, token) in tokens.iter().enumerate() {
                taken.copy(i, &from, *token as usize);
            }
            Some(taken.freeze())
        });
        if matrices.iter().any(|linear| !linear.weight.kind().is_quantized()) {
            for (row, token) in normed.chunks_exact_mut(nonzero(cols)).zip(tokens) {
                let row_of = part(from.x, *token as usize * from.stride..);
                row.iter_mut().zip(row_of).for_each(|(to, from)| *to = *from);
            }
        }
        Input { n, cols, x: normed, stride: cols, acts: taken }
    }
}

/// `out = norm(x)`, all `(dim)`.
fn norm_row(isa: Isa, config: &Config, gain: NormWeights<'_>, x: &[f32], out: &mut [f32]) {
    match config.norm {
        Norm::Rms => rms_norm(isa, x, gain.gain, config.norm_eps, out),
        Norm::Layer => layer_norm(isa, x, gain.gain, gain.bias, config.norm_eps, out),
    }
}

/// Whether any of the matrices takes quantized inputs.
fn wanted<const M: usize>(matrices: [&Linear<'_>; M]) -> bool {
    matrices.iter().any(|linear| linear.weight.kind().is_quantized())
}

/// Tokens to a part.
pub(crate) fn share(machine: &Machine<'_>, n: usize) -> usize {
    n.div_ceil(machine.exec.threads().max(1)).max(1)
}

/// `acts` in parts of `each` tokens, or as many times nothing.
fn parts<'p>(
    acts: Option<&'p mut QuantizedActivationsMut<'_>>,
    n: usize,
    each: usize,
) -> impl Iterator<Item = Option<QuantizedActivationsMut<'p>>> {
    let mut rest = acts.map(QuantizedActivationsMut::reborrow);
    (0..n.div_ceil(nonzero(each))).map(move |_| {
        let (part, others) = rest.take()?.split(each);
        rest = Some(others);
        Some(part)
    })
}

/// Elements that take no longer than opening a region does.
const MAX_ALONE: usize = 8192;

/// One token is not worth a region, nor are a few short ones: what is done takes `n` tokens of
/// `cols` elements.
pub(crate) fn run<P: Send>(
    machine: &Machine<'_>,
    [n, cols]: [usize; 2],
    parts: impl Iterator<Item = P>,
    f: impl Fn(P) + Sync,
) {
    let few = n == 1 || n * cols <= MAX_ALONE;
    if few { parts.for_each(f) } else { for_each(machine.exec, parts, f) }
}
