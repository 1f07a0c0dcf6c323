//! `oarlock stream`: how well the model predicts a text that is longer than its context.

use std::ops::Range;
use std::time::Instant;

use oarlock::{Machine, Options, Session};
use oarlock_convert::Shown;
use oarlock_hosted::ModelFile;
use serde_json::{Value, json};

use super::logits::{ROWS_AT_ONCE, feed_each};
use super::npy::Npy;
use super::perplexity::nll;
use super::plot::{self, Line};
use crate::generate::per_second;
use crate::terminal::errors::{Outcome, fault, file_fault};
use crate::terminal::{console, input, os, replace};
use crate::{args, model};

/// Tokens scored between two reports.
const INTERVAL: usize = 1000;

/// Feeds the whole text through the ring, once for each number of sinks, and reports in steps.
pub fn run(args: &args::Stream) -> Outcome {
    let text = input::file(&args.file)?;
    let engine = model::engine(&args.run)?;
    let model = engine.model();
    let encoder = model::encoder(engine.file(), &model)?;
    let ids = model::told(|| encoder.encode_prompt(&text))?;
    if ids.len() < 2 {
        let what = format!("its {} tokens leave none to predict", ids.len());
        return Err(fault(args.file.shown(), what, "give a longer text"));
    }
    if args.per_token.is_some() && args.run.sinks.len() > 1 {
        let what = "it takes the scores of one stream";
        return Err(fault("--per-token", what, "give one --sinks"));
    }
    let options = Options {
        base_position: args.position,
        logit_rows: ROWS_AT_ONCE,
        ..model::options(&args.run, &model)
    };
    let mut memory = model::memory(&model, options)?;
    let all = if args.run.sinks.is_empty() { &[options.sinks] } else { &args.run.sinks[..] };
    for &sinks in all {
        model::bytes_needed(&model, &Options { sinks, ..options })?;
    }
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let mut reader = Reader { session, machine, ids: &ids };
    let mut streams = Vec::new();
    for &sinks in all {
        if all.len() > 1 && !args.json {
            console::put_line(&format!("sinks {sinks}"))?;
        }
        let steps = reader.stream(args, sinks, engine.file())?;
        streams.push(Stream { sinks, steps });
    }
    if let Some(path) = &args.plot {
        let picture = picture(&streams, options.context);
        replace::put(path, picture.as_bytes()).map_err(|error| file_fault(path, &error))?;
    }
    if args.json { console::put_json(&report(&streams)) } else { Ok(()) }
}

struct Reader<'a> {
    session: Session<'a>,
    machine: Machine<'a>,
    ids: &'a [u32],
}

impl Reader<'_> {
    /// Feeds the whole text with this many sinks.
    fn stream(
        &mut self,
        args: &args::Stream,
        sinks: usize,
        file: &ModelFile,
    ) -> Outcome<Vec<Interval>> {
        self.session.reset(sinks).map_err(|error| fault("--sinks", error, "give fewer"))?;
        let scored = self.ids.len() - 1;
        let mut npy = match &args.per_token {
            Some(path) => Some(Npy::create(path, &[scored])?),
            None => None,
        };
        // Written to before the first step, so that it takes all of its memory at once.
        let mut steps = vec![Interval::NONE; scored.div_ceil(INTERVAL)];
        for (i, step) in steps.iter_mut().enumerate() {
            *step = self.read(i * INTERVAL..scored.min((i + 1) * INTERVAL), &mut npy)?;
            if !args.json {
                console::put_line(&step.text())?;
            }
            console::progress(|| format!("{} of {scored} tokens", step.end));
        }
        model::unchanged(file)?;
        npy.map_or(Ok(()), Npy::finish)?;
        Ok(steps)
    }

    /// Feeds some tokens, each of which predicts the one behind it.
    fn read(&mut self, fed: Range<usize>, npy: &mut Option<Npy>) -> Outcome<Interval> {
        let (mut sum, begin) = (0.0, Instant::now());
        let (tokens, next) = (&self.ids[fed.clone()], &self.ids[fed.start + 1..]);
        feed_each(&mut self.session, &self.machine, tokens, &mut |i, logits| {
            let nll = nll(logits, next[i]);
            sum += nll;
            npy.as_mut().map_or(Ok(()), |npy| npy.row(&[nll as f32]))
        })?;
        let tok_s = per_second(fed.len() as f64, begin.elapsed());
        Ok(Interval { end: fed.end, tokens: fed.len(), nll: sum, tok_s, rss: os::peak_memory() })
    }
}

/// The text through a ring with some number of sinks.
struct Stream {
    sinks: usize,
    steps: Vec<Interval>,
}

impl Stream {
    fn json(&self) -> Value {
        let tokens: usize = self.steps.iter().map(|step| step.tokens).sum();
        let nll = self.steps.iter().map(|step| step.nll).sum::<f64>() / tokens as f64;
        let steps: Vec<Value> = self.steps.iter().map(Interval::json).collect();
        json!({ "tokens": tokens, "nll": nll, "ppl": nll.exp(), "steps": steps })
    }

    /// The perplexity of all until each step.
    fn line(&self) -> Line {
        let mut sum = 0.0;
        let point = |step: &Interval| {
            sum += step.nll;
            (step.end as f64, (sum / step.end as f64).exp())
        };
        let points = self.steps.iter().map(point).collect();
        let plural = if self.sinks == 1 { "" } else { "s" };
        Line { name: format!("{} sink{plural}", self.sinks), points }
    }
}

/// One stream as it is, several in a list.
fn report(streams: &[Stream]) -> Value {
    let with_sinks = |stream: &Stream| {
        let mut json = stream.json();
        json["sinks"] = stream.sinks.into();
        json
    };
    match streams {
        [one] => one.json(),
        all => json!({ "streams": all.iter().map(with_sinks).collect::<Vec<_>>() }),
    }
}

fn picture(streams: &[Stream], context: usize) -> String {
    let lines: Vec<Line> = streams.iter().map(Stream::line).collect();
    let title = format!("Perplexity so far, {context} slots");
    plot::svg(&title, "tokens", &lines)
}

/// Figures of one step through the text.
#[derive(Clone)]
struct Interval {
    /// Tokens scored until here.
    end: usize,
    /// Tokens scored in this step.
    tokens: usize,
    /// The sum of their negative log likelihoods.
    nll: f64,
    tok_s: f64,
    /// The most memory resident so far, bytes.
    rss: u64,
}

impl Interval {
    const NONE: Self = Self { end: 0, tokens: 0, nll: 0.0, tok_s: f64::NAN, rss: 1 };

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
