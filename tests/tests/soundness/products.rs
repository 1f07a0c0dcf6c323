//! Products of matrices, and rows of embeddings.

use oarlock::Machine;
use oarlock::internal::format::layout::{WeightType, blocks, matrix_bytes};
use oarlock::internal::format::matrix::{Linear, Matrix};
use oarlock::internal::format::{Activation, Clamped};
use oarlock::internal::kernels::{
    Input, Job, QuantizedActivationsMut, Task, add_embedding_row, embedding_row, matmul,
};

use crate::executors::Liar;
use crate::hostile::Hostile;

/// A matrix, in bytes that need not be aligned.
struct Weights {
    kind: WeightType,
    rows: usize,
    cols: usize,
    bytes: Vec<u8>,
    bias: Option<Vec<f32>>,
}

impl Weights {
    fn any(hostile: &mut Hostile, rows: usize, cols: usize) -> Option<Self> {
        let kind = hostile.pick(&WeightType::ALL);
        let (rows, cols) = (hostile.about(rows), hostile.about(cols));
        let len = matrix_bytes(kind, rows, cols).filter(|&len| len < 1 << 22)?;
        let bytes = hostile.bytes(1 + len);
        let bias = hostile.one_in(2).then(|| hostile.len(rows)).map(|len| hostile.floats(len));
        Some(Self { kind, rows, cols, bytes, bias })
    }

    fn linear(&self) -> Option<Linear<'_>> {
        let weight = Matrix::new(self.kind, self.rows, self.cols, &self.bytes[1..])?;
        Some(Linear { weight, bias: self.bias.as_deref() })
    }
}

/// The buffers of a job.
struct Buffers {
    weights: [Weights; 2],
    n: usize,
    cols: usize,
    x: Vec<f32>,
    x_stride: usize,
    q: Vec<i8>,
    scale: Vec<f32>,
    sum: Vec<f32>,
    n_acts: usize,
    cols_acts: usize,
    quantized: bool,
    out: Vec<f32>,
    stride: usize,
    task: usize,
    numbers: [f32; 3],
}

impl Buffers {
    fn any(hostile: &mut Hostile) -> Option<Self> {
        let (rows, cols) = (hostile.size(), hostile.size());
        let n = hostile.pick(&[1, 1, 2, 3, 5, 17, 65]);
        let (x_stride, stride) = (hostile.about(cols), hostile.about(rows.next_multiple_of(16)));
        let tokens = n * blocks(cols);
        let x = hostile.len(n * cols);
        let (q, scale, sum) = (hostile.len(tokens * 32), hostile.len(tokens), hostile.len(tokens));
        let out = hostile.len(n * stride.min(1 << 10));
        Some(Self {
            weights: [Weights::any(hostile, rows, cols)?, Weights::any(hostile, rows, cols)?],
            n: hostile.about(n),
            cols: hostile.about(cols),
            x: hostile.floats(x),
            x_stride,
            q: hostile.quants(q),
            scale: hostile.floats(scale),
            sum: hostile.floats(sum),
            n_acts: hostile.about(n),
            cols_acts: hostile.about(cols),
            quantized: hostile.one_in(2),
            out: hostile.floats(out),
            stride,
            task: hostile.random.below(5),
            numbers: [hostile.float(), hostile.float(), hostile.float()],
        })
    }

    fn job(&mut self, isa: oarlock::Isa) -> Option<Job<'_>> {
        let Self { q, scale, sum, x, out, numbers: [a, b, c], .. } = self;
        let (first, second) = (self.weights[0].linear()?, self.weights[1].linear()?);
        let mut acts = QuantizedActivationsMut::new(self.n_acts, self.cols_acts, q, scale, sum);
        if let (true, Some(acts)) = (self.quantized, &mut acts) {
            let tokens = x.chunks(self.cols_acts.max(1)).enumerate().take(acts.n());
            for (token, x) in tokens.filter(|(_, x)| x.len() == self.cols_acts) {
                acts.quantize(isa, token, x);
            }
        }
        let acts = acts.map(QuantizedActivationsMut::freeze);
        let clamped = (*c > 0.0).then_some(Clamped { slope: *a, limit: *b });
        let activation = [Activation::Silu, Activation::GeluErf, Activation::Relu][self.n % 3];
        let task = match self.task {
            0 | 1 => Task::Store(first),
            2 => Task::Add(first, *a),
            3 => Task::Activated(first, activation),
            _ => Task::Gated { gate: first, up: second, activation, clamped },
        };
        let input = Input { n: self.n, cols: self.cols, x, stride: self.x_stride, acts };
        Some(Job { input, task, out, stride: self.stride })
    }
}

/// One round.
pub fn round(hostile: &mut Hostile) {
    let isa = hostile.isa();
    let exec = Liar::new(hostile);
    let n = hostile.pick(&[1, 1, 2, 5]);
    let mut buffers: Vec<_> = (0..n).filter_map(|_| Buffers::any(hostile)).collect();
    let what = format!("matmul on {isa:?}, {exec:?}");
    hostile.kernel(&what, || {
        let mut jobs: Vec<_> = buffers.iter_mut().filter_map(|all| all.job(isa)).collect();
        matmul(&Machine { isa, exec: &exec }, &mut jobs);
    });
    for Buffers { weights: [weights, _], out, .. } in &mut buffers {
        let (row, len) = (hostile.about(weights.rows / 2), hostile.len(weights.cols));
        out.resize(len, 0.0);
        let Some(Linear { weight, .. }) = weights.linear() else { continue };
        assert!(weight.tiles().len() + weight.levels().len() > 0);
        hostile.kernel("embedding_row", || embedding_row(&weight, row, out));
        hostile.kernel("add_embedding_row", || add_embedding_row(&weight, row, out));
    }
}
