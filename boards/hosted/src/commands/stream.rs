//! `oarlock stream`: how well the model predicts a text that is longer than its context.

use std::ops::Range;
use std::time::Instant;

use oarlock::tokenizer::Special;
use oarlock::{Machine, Session};
use serde_json::{Value, json};

use super::logits::{ROWS_AT_ONCE, feed_each};
use super::perplexity::nll;
use crate::answer::per_second;
use crate::engine::Engine;
use crate::errors::{Outcome, fault};
use crate::model_file::ModelFile;
use crate::npy::Npy;
use crate::words::Words;
use crate::{args, console, os, texts};

/// Tokens scored between two reports.
const STEP: usize = 1000;

/// Feeds the whole text through the ring and reports in steps.
pub fn run(args: &args::Stream) -> Outcome {
    let text = texts::file(&args.file)?;
    let file = ModelFile::open(&args.run.model)?;
    let model = file.model()?;
    let words = Words::new(file.tokenizer(&model)?);
    let ids: Vec<u32> =
        words.tokenizer.prefix().chain(words.encode(&text, Special::All)?).collect();
    let Some(scored) = ids.len().checked_sub(1).filter(|&scored| scored > 0) else {
        let what = format!("its {} tokens leave none to predict", ids.len());
        return Err(fault(args.file.display(), what, "give a longer text"));
    };
    let mut engine = Engine::with(&args.run, &model, |options| {
        options.base_position = args.position;
        options.logit_rows = ROWS_AT_ONCE;
    })?;
    let (session, machine) = engine.session(model)?;
    let mut npy = match &args.per_token {
        Some(path) => Some(Npy::create(path, &[scored])?),
        None => None,
    };
    let mut reader = Reader { session, machine, ids: &ids };
    let mut steps = Vec::new();
    for start in (0..scored).step_by(STEP) {
        let step = reader.read(start..scored.min(start + STEP), &mut npy)?;
        if !args.json {
            console::put_line(&step.text())?;
        }
        console::progress(|| format!("{} of {scored} tokens", step.end));
        steps.push(step);
    }
    npy.map_or(Ok(()), Npy::finish)?;
    if args.json { console::put_line(&report(&steps).to_string()) } else { Ok(()) }
}

struct Reader<'a> {
    session: Session<'a>,
    machine: Machine<'a>,
    ids: &'a [u32],
}

impl Reader<'_> {
    /// Feeds some tokens, each of which predicts the one behind it.
    fn read(&mut self, fed: Range<usize>, npy: &mut Option<Npy>) -> Outcome<Step> {
        let (mut sum, begin) = (0.0, Instant::now());
        let (tokens, next) = (&self.ids[fed.clone()], &self.ids[fed.start + 1..]);
        feed_each(&mut self.session, &self.machine, tokens, &mut |i, logits| {
            let nll = nll(logits, next[i]);
            sum += nll;
            npy.as_mut().map_or(Ok(()), |npy| npy.row(&[nll as f32]))
        })?;
        let tok_s = per_second(fed.len() as f64, begin.elapsed());
        Ok(Step { end: fed.end, tokens: fed.len(), nll: sum, tok_s, rss: os::peak_memory() })
    }
}

/// What one step of the text showed.
struct Step {
    /// Tokens scored until here.
    end: usize,
    /// Of them, in this step.
    tokens: usize,
    /// The sum over them.
    nll: f64,
    tok_s: f64,
    /// The most memory resident so far, bytes.
    rss: u64,
}

impl Step {
    fn ppl(&self) -> f64 {
        (self.nll / self.tokens as f64).exp()
    }

    fn text(&self) -> String {
        let Self { end, tok_s, rss, .. } = self;
        let mb = *rss as f64 / 1e6;
        format!("{end:>9} tokens  perplexity {:9.4}  {tok_s:8.1} tok/s  {mb:.1} MB", self.ppl())
    }

    fn json(&self) -> Value {
        let Self { end, tok_s, rss, .. } = self;
        json!({ "tokens": end, "ppl": self.ppl(), "tok_s": tok_s, "rss": rss })
    }
}

fn report(steps: &[Step]) -> Value {
    let tokens: usize = steps.iter().map(|step| step.tokens).sum();
    let nll = steps.iter().map(|step| step.nll).sum::<f64>() / tokens as f64;
    let steps: Vec<Value> = steps.iter().map(Step::json).collect();
    json!({ "tokens": tokens, "nll": nll, "ppl": nll.exp(), "steps": steps })
}
