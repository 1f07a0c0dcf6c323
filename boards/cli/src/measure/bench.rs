//! `oarlock bench`: how fast this machine runs the model.

use std::time::Instant;

use oarlock::internal::model::Tensor;
use oarlock::{Machine, Model, Options, Session};
use serde_json::{Value, json};

use super::bandwidth;
use super::spread::Spread;
use crate::generate::per_second;
use crate::terminal::console;
use crate::terminal::errors::{Outcome, fault};
use crate::{args, model};

/// Measures prefill and decode, each from an empty cache, and writes the speeds to stdout.
pub fn run(args: &args::Bench) -> Outcome {
    let engine = model::engine(&args.run)?;
    let model = engine.model();
    let options = Options { base_position: args.position, ..model::options(&args.run, &model) };
    let mut memory = model::memory(&model, options)?;
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let mut bench = Bench { session, machine, vocab_size: model.config().vocab_size };
    let prompt = count("--prompt-tokens", args.prompt_tokens)?;
    let (depth, tokens) = (count("--depth", args.depth)?, count("-n", args.limit)?);
    // One run that nobody times brings weights and cache into memory and the cores to speed.
    bench.prefill(depth, prompt)?;
    let (mut prefill, mut first, mut decoded, mut read) = (vec![], vec![], vec![], vec![]);
    for run in 0..args.repetitions {
        let (tok_s, first_s) = bench.prefill(depth, prompt)?;
        prefill.push(tok_s);
        first.push(first_s);
        let decode = if args.no_cache { Bench::decode_anew } else { Bench::decode };
        decoded.push(decode(&mut bench, depth, tokens)?);
        read.push(bandwidth::read(machine.exec, engine.file().bytes()) / 1e9);
        console::progress(|| format!("run {} of {}", run + 1, args.repetitions));
    }
    model::unchanged(engine.file())?;
    let weight_gb = weight_bytes(&model) as f64 / 1e9;
    let report = Report {
        isa: machine.isa.name(),
        threads: machine.exec.threads(),
        options,
        cache: !args.no_cache,
        prefill_tok_s: Spread::new(prefill),
        decode_tok_s: Spread::new(decoded.iter().map(|run| run.tok_s).collect()),
        first_token_s: Spread::new(first),
        weight_gb_s: Spread::new(decoded.iter().map(|run| run.passes_s * weight_gb).collect()),
        read_gb_s: Spread::new(read),
    };
    if args.json { console::put_json(&report.json()) } else { console::put_line(&report.text()) }
}

/// The most tokens of one run: ids of all of them are made at once.
const MOST: u64 = 1 << 24;

fn count(name: &str, value: u64) -> Outcome<usize> {
    if value > MOST {
        return Err(fault(name, format!("{value} is too much"), format!("give {MOST} at most")));
    }
    Ok(value as usize)
}

/// Speed of a run of decoding.
struct Decoded {
    tok_s: f64,
    /// Times in a second that the weights were read.
    passes_s: f64,
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

    /// One token after the other, after `depth` others.
    fn decode(&mut self, depth: usize, n: usize) -> Outcome<Decoded> {
        self.start(depth)?;
        let mut next = self.tokens(depth as u64, 1);
        let start = Instant::now();
        for _ in 0..n {
            self.feed(&next)?;
            next[0] = self.choose();
        }
        let tok_s = per_second(n as f64, start.elapsed());
        Ok(Decoded { tok_s, passes_s: tok_s })
    }

    /// As [`Self::decode`], but nothing is remembered: every token is the end of a text that
    /// is read from its beginning.
    fn decode_anew(&mut self, depth: usize, n: usize) -> Outcome<Decoded> {
        let mut text = self.tokens(0, depth + 1);
        let (chunk, mut passes) = (self.session.options().chunk, 0);
        let start = Instant::now();
        for _ in 0..n {
            self.start(0)?;
            self.feed(&text)?;
            passes += text.len().div_ceil(chunk);
            text.push(self.choose());
        }
        let time = start.elapsed();
        let tok_s = per_second(n as f64, time);
        Ok(Decoded { tok_s, passes_s: per_second(passes as f64, time) })
    }

    /// An empty cache, then `depth` tokens in it.
    fn start(&mut self, depth: usize) -> Outcome {
        let sinks = self.session.options().sinks;
        self.session.reset(sinks).map_err(|error| fault("--sinks", error, "give fewer"))?;
        let tokens = self.tokens(0, depth);
        self.feed(&tokens)
    }

    fn feed(&mut self, tokens: &[u32]) -> Outcome {
        Ok(self.session.feed(&self.machine, tokens)?)
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

/// Bytes that one token of decoding reads: all but an embedding that is not the output too, and
/// experts that it does not go through.
fn weight_bytes(model: &Model<'_>) -> u64 {
    let (skipped, used) = (usize::from(!model.config().tied), model.config().n_experts_used);
    let read = |tensor: Tensor<'_>| match tensor.experts {
        Some(n) => tensor.extent.len / n.max(1) as u64 * used as u64,
        None => tensor.extent.len,
    };
    model.tensors().skip(skipped).map(read).sum()
}

struct Report {
    isa: &'static str,
    threads: usize,
    options: Options,
    cache: bool,
    prefill_tok_s: Spread,
    decode_tok_s: Spread,
    first_token_s: Spread,
    weight_gb_s: Spread,
    read_gb_s: Spread,
}

impl Report {
    fn json(&self) -> Value {
        json!({
            "isa": self.isa,
            "threads": self.threads,
            "chunk": self.options.chunk,
            "cache": self.cache,
            "prefill_tok_s": self.prefill_tok_s.json(),
            "decode_tok_s": self.decode_tok_s.json(),
            "first_token_s": self.first_token_s.json(),
            "weight_gb_s": self.weight_gb_s.json(),
            "read_gb_s": self.read_gb_s.json(),
        })
    }

    fn text(&self) -> String {
        let Self { isa, threads, options, .. } = self;
        let cache = if self.cache { "" } else { ", no cache" };
        format!(
            "isa {isa}, threads {threads}, chunk {}, context {}{cache}\n\
             prefill tok/s  {}\ndecode tok/s   {}\nfirst token s  {}\nweights GB/s   {}\n\
             memory GB/s    {}",
            options.chunk,
            options.context,
            self.prefill_tok_s.text(),
            self.decode_tok_s.text(),
            self.first_token_s.text(),
            self.weight_gb_s.text(),
            self.read_gb_s.text(),
        )
    }
}
