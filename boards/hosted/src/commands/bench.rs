//! `oarlock bench`: how fast this machine runs the model.

use std::time::Instant;

use oarlock::{Machine, Model, Options, Session};
use serde_json::{Value, json};

use crate::answer::per_second;
use crate::engine::Engine;
use crate::errors::{Outcome, fault};
use crate::model_file::ModelFile;
use crate::{args, console};

/// Measures prefill and decode, each from an empty cache, and writes the speeds to stdout.
pub fn run(args: &args::Bench) -> Outcome {
    let file = ModelFile::open(&args.run.model)?;
    let model = file.model()?;
    let mut engine =
        Engine::with(&args.run, &model, |options| options.base_position = args.position)?;
    let options = engine.options();
    let (session, machine) = engine.session(model)?;
    let mut bench = Bench { session, machine, vocab_size: model.config().vocab_size };
    let prompt = count("--prompt-tokens", args.prompt_tokens)?;
    let (depth, decode) = (count("--depth", args.depth)?, count("-n", args.limit)?);
    // One run that nobody times brings the weights into memory and wakes the threads.
    bench.prefill(0, prompt.min(options.chunk))?;
    let (mut prefill_tok_s, mut first_token_s, mut decode_tok_s) = (vec![], vec![], vec![]);
    for run in 0..args.repetitions {
        let (tok_s, first_s) = bench.prefill(depth, prompt)?;
        prefill_tok_s.push(tok_s);
        first_token_s.push(first_s);
        decode_tok_s.push(bench.decode(depth, decode)?);
        console::progress(|| format!("run {} of {}", run + 1, args.repetitions));
    }
    let weight_bytes = weight_bytes(&model) as f64;
    let report = Report {
        isa: machine.isa.name(),
        threads: machine.exec.threads(),
        options,
        prefill_tok_s: Spread::of(prefill_tok_s),
        weight_gb_s: Spread::of(decode_tok_s.iter().map(|s| s * weight_bytes / 1e9).collect()),
        decode_tok_s: Spread::of(decode_tok_s),
        first_token_s: Spread::of(first_token_s),
    };
    console::put_line(&if args.json { report.json().to_string() } else { report.text() })
}

fn count(name: &str, value: u64) -> Outcome<usize> {
    usize::try_from(value).map_err(|_| fault(name, "is too much", "give less"))
}

struct Bench<'a> {
    session: Session<'a>,
    machine: Machine<'a>,
    vocab_size: usize,
}

impl Bench<'_> {
    /// Tokens in a second, and seconds to the first token, for a prompt of `n` tokens after
    /// `depth` others.
    fn prefill(&mut self, depth: usize, n: usize) -> Outcome<(f64, f64)> {
        self.start(depth)?;
        let prompt = self.tokens(depth as u64, n);
        let start = Instant::now();
        self.feed(&prompt)?;
        let prefill = start.elapsed();
        self.choose();
        Ok((per_second(n as f64, prefill), start.elapsed().as_secs_f64()))
    }

    /// Tokens in a second, one after the other, after `depth` others.
    fn decode(&mut self, depth: usize, n: usize) -> Outcome<f64> {
        self.start(depth)?;
        let mut next = self.tokens(depth as u64, 1);
        let start = Instant::now();
        for _ in 0..n {
            self.feed(&next)?;
            next[0] = self.choose();
        }
        Ok(per_second(n as f64, start.elapsed()))
    }

    /// An empty cache, then `depth` tokens in it.
    fn start(&mut self, depth: usize) -> Outcome {
        let sinks = self.session.options().sinks;
        self.session.reset(sinks).map_err(|error| fault("--sinks", error, "give fewer"))?;
        let tokens = self.tokens(0, depth);
        self.feed(&tokens)
    }

    fn feed(&mut self, tokens: &[u32]) -> Outcome {
        self.session
            .feed(&self.machine, tokens)
            .map_err(|error| fault("tokens", error, "convert the model again"))
    }

    /// The likeliest next token.
    fn choose(&mut self) -> u32 {
        let logits = self.session.logits(&self.machine);
        let best = logits.iter().zip(0..).max_by(|a, b| a.0.total_cmp(b.0));
        best.map_or(0, |(_, id)| id)
    }

    /// Some tokens, the same ones every time: how fast they run does not depend on which.
    fn tokens(&self, from: u64, n: usize) -> Vec<u32> {
        let hash = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let vocab_size = self.vocab_size.max(1) as u64;
        (from..).take(n).map(|i| (hash(i + 1) % vocab_size) as u32).collect()
    }
}

/// Bytes that one token of decoding reads: all but an embedding that is not the output too.
fn weight_bytes(model: &Model<'_>) -> u64 {
    let skipped = usize::from(!model.config().tied);
    model.tensors().skip(skipped).map(|tensor| tensor.extent.len).sum()
}

/// Of several measurements of one thing.
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or(0.0);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        let median = (at(low) + at(high)) / 2.0;
        Self { min: at(0), median, max: at(values.len().saturating_sub(1)) }
    }

    fn json(&self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }

    fn text(&self) -> String {
        format!("{:10.3}  ({:.3} to {:.3})", self.median, self.min, self.max)
    }
}

struct Report {
    isa: &'static str,
    threads: usize,
    options: Options,
    prefill_tok_s: Spread,
    decode_tok_s: Spread,
    first_token_s: Spread,
    weight_gb_s: Spread,
}

impl Report {
    fn json(&self) -> Value {
        json!({
            "isa": self.isa,
            "threads": self.threads,
            "chunk": self.options.chunk,
            "prefill_tok_s": self.prefill_tok_s.json(),
            "decode_tok_s": self.decode_tok_s.json(),
            "first_token_s": self.first_token_s.json(),
            "weight_gb_s": self.weight_gb_s.json(),
        })
    }

    fn text(&self) -> String {
        let Self { isa, threads, options, .. } = self;
        format!(
            "isa {isa}, threads {threads}, chunk {}, context {}\n\
             prefill tok/s  {}\ndecode tok/s   {}\nfirst token s  {}\nweights GB/s   {}",
            options.chunk,
            options.context,
            self.prefill_tok_s.text(),
            self.decode_tok_s.text(),
            self.first_token_s.text(),
            self.weight_gb_s.text(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let odd = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0]).median, 2.5);
    }
}
