//! candle's quantized Llama, measured as `oarlock bench` measures: prefill, then decode from an
//! empty cache, the likeliest token each time. `candle-bench MODEL.gguf PROMPT N`

use std::fs::File;
use std::time::Instant;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, IndexOp, Result, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args[i].parse().expect("a number");
    let (prompt, n): (usize, usize) = (number(2), number(3));
    let mut file = File::open(&args[1])?;
    let content = Content::read(&mut file)?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    let ids: Vec<u32> = (0..prompt as u32).map(|i| 1000 + i % 5000).collect();
    let mut step = |ids: &[u32], at: usize| {
        let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        likeliest(&model.forward(&input, at)?)
    };
    // One run that nobody times brings the weights into memory; at position 0 the cache is empty.
    step(&ids[..1], 0)?;
    let start = Instant::now();
    step(&ids, 0)?;
    let prefill = prompt as f64 / start.elapsed().as_secs_f64();
    let mut next = step(&ids[..1], 0)?;
    let start = Instant::now();
    for i in 1..=n {
        next = step(&[next], i)?;
    }
    let decode = n as f64 / start.elapsed().as_secs_f64();
    println!("{{\"prefill\": {prefill}, \"decode\": {decode}}}");
    Ok(())
}

fn likeliest(logits: &Tensor) -> Result<u32> {
    let logits = logits.i(0)?.to_vec1::<f32>()?;
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    Ok(best.map_or(0, |(id, _)| id as u32))
}
