//! `oarlock perplexity`: how well the model predicts a text.

use oarlock::tokenizer::Special;
use oarlock::{Machine, Options, Session};
use oarlock_hosted::TextEncoder;
use serde_json::json;

use super::logits::{ROWS_AT_ONCE, feed_each};
use super::npy::Npy;
use crate::terminal::errors::{Outcome, Stop, fault};
use crate::terminal::{console, input};
use crate::{args, model};

/// Scores the text in whole windows and writes the mean to stdout.
pub fn run(args: &args::Perplexity) -> Outcome {
    let text = input::file(&args.file)?;
    let engine = model::engine(&args.run)?;
    let model = engine.model();
    let encoder = model::encoder(engine.file(), &model)?;
    let options = Options { logit_rows: ROWS_AT_ONCE, ..model::options(&args.run, &model) };
    let mut memory = model::memory(&model, options)?;
    let context = options.context;
    let windows = windows(&encoder, &text, context, args.windows)?;
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let mut scorer = Scorer { session, machine, sum: 0.0, tokens: 0 };
    let mut npy = match &args.per_token {
        Some(path) => Some(Npy::create(path, &[windows.len(), context - 1])?),
        None => None,
    };
    for (i, window) in windows.iter().enumerate() {
        let scores = scorer.score(window)?;
        if let Some(npy) = &mut npy {
            npy.row(&scores)?;
        }
        console::progress(|| {
            format!("window {} of {}: perplexity {:.4}", i + 1, windows.len(), scorer.nll().exp())
        });
    }
    model::unchanged(engine.file())?;
    npy.map_or(Ok(()), Npy::finish)?;
    report(&scorer, windows.len(), args.json)
}

fn report(scorer: &Scorer<'_>, windows: usize, as_json: bool) -> Outcome {
    let (nll, tokens) = (scorer.nll(), scorer.tokens);
    let ppl = nll.exp();
    if as_json {
        let report = json!({ "nll": nll, "ppl": ppl, "tokens": tokens, "windows": windows });
        return console::put_json(&report);
    }
    console::put_line(&format!(
        "perplexity {ppl:.4}  (nll {nll:.6}, {tokens} tokens in {windows} windows)"
    ))
}

/// The text in windows of `context` tokens; the rest is dropped.
fn windows(
    encoder: &TextEncoder<'_>,
    text: &str,
    context: usize,
    most: Option<u64>,
) -> Outcome<Vec<Vec<u32>>> {
    let prefix: Vec<u32> = encoder.tokenizer().prefix().take(context - 1).collect();
    let ids = model::told(|| encoder.encode(text, Special::All))?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let whole = ids.chunks_exact(context - prefix.len()).take(most);
    let windows: Vec<_> = whole.map(|ids| [&prefix, ids].concat()).collect();
    if windows.is_empty() { Err(too_short(ids.len(), context)) } else { Ok(windows) }
}

fn too_short(tokens: usize, context: usize) -> Stop {
    let what = format!("its {tokens} tokens are less than one window of {context}");
    fault("text", what, "give a longer text or a smaller --context")
}

struct Scorer<'a> {
    session: Session<'a>,
    machine: Machine<'a>,
    /// The sum of all negative log likelihoods so far.
    sum: f64,
    /// The number of them.
    tokens: u64,
}

impl Scorer<'_> {
    /// Negative log likelihoods of every token of a window after its first.
    fn score(&mut self, window: &[u32]) -> Outcome<Vec<f32>> {
        let sinks = self.session.options().sinks;
        self.session.reset(sinks).map_err(|error| fault("--sinks", error, "give fewer"))?;
        let mut scores = Vec::with_capacity(window.len() - 1);
        // The logits of the last token predict what is not there.
        let fed = &window[..window.len() - 1];
        feed_each(&mut self.session, &self.machine, fed, &mut |i, logits| {
            let nll = nll(logits, window[i + 1]);
            self.sum += nll;
            self.tokens += 1;
            scores.push(nll as f32);
            Ok(())
        })?;
        Ok(scores)
    }

    /// The mean so far.
    fn nll(&self) -> f64 {
        self.sum / self.tokens as f64
    }
}

/// −ln softmax(logits)[id]
pub fn nll(logits: &[f32], id: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - most).exp())).sum();
    let logit = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
    sum.ln() + f64::from(most) - f64::from(logit)
}

#[cfg(test)]
mod tests {
    use super::nll;

    #[test]
    fn likelihoods_add_up_to_one() {
        let logits = [1.0, -2.0, 30.0, 29.0];
        let sum: f64 = (0..4).map(|id| (-nll(&logits, id)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert!((nll(&[0.0; 8], 3) - 8_f64.ln()).abs() < 1e-12);
    }
}
