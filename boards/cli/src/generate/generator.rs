//! The loop that every answer comes from: feed, sample, show, until something ends it.

use std::convert::Infallible;
use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use oarlock::Sampler;
use oarlock::tokenizer::Tokenizer;
use oarlock::{Drafts, Machine, Session};

use super::printer::AnswerPrinter;
use crate::note;
use crate::terminal::errors::Outcome;

/// A session that answers.
pub struct Generator<'a> {
    /// The stream of all turns.
    pub session: Session<'a>,
    /// What computes.
    pub machine: Machine<'a>,
    /// What chooses.
    pub sampler: Sampler,
    /// What turns ids into text.
    pub tokenizer: Tokenizer<'a>,
    /// Texts before which an answer stops.
    pub stops: Vec<String>,
    /// Tokens that belong to the stream and are fed with the next turn: the last one of an
    /// answer that was cut short, or the rest of a prompt that was interrupted.
    pub unfed: Vec<u32>,
    /// The tokens of the answers since this was emptied, if they are wanted.
    pub heard: Option<Vec<u32>>,
    /// What stands before the text of an answer, if the model thinks before it answers.
    pub mark: Option<&'a str>,
    /// The session as it was before the last answer, if that is wanted and there is memory for
    /// it: empty if that has not begun.
    pub before: Option<Vec<u8>>,
}

/// When an answer ends, other than by the model's wish or a stop string.
pub struct Limits<'l> {
    /// Tokens at most.
    pub tokens: u64,
    /// Whether to go on when the model says that it is done.
    pub ignore_end: bool,
    /// Whether the answer is a text of its own, and not the rest of one.
    pub is_text: bool,
    /// Asked before every token.
    pub interrupted: &'l dyn Fn() -> bool,
}

/// How an answer went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// Tokens fed before the first one.
    pub prompt_tokens: usize,
    /// Time that this took.
    pub prompt_time: Duration,
    /// Tokens of the answer.
    pub tokens: u64,
    /// Time from the first to the last of them.
    pub time: Duration,
    /// What drafting has brought: [`Session::feed_speculative`].
    pub drafts: Drafts,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// Chunks that are fed between two looks at whether to stop.
const CHUNKS_AT_ONCE: usize = 4;

impl Generator<'_> {
    /// Feeds `ids` and writes what follows to stdout, without a newline at the end.
    pub fn answer(&mut self, ids: &[u32], limits: &Limits<'_>) -> Outcome<Answer> {
        self.unfed.extend_from_slice(ids);
        self.before.iter_mut().for_each(Vec::clear);
        let mut answer = Answer { prompt_tokens: self.unfed.len(), ..Answer::default() };
        let (start, drafts) = (Instant::now(), self.session.drafts());
        if self.feed(limits)? {
            answer.prompt_time = start.elapsed();
            self.remember();
            self.speak(limits, &mut answer)?;
        } else {
            answer.interrupted = true;
        }
        let Drafts { drafted, accepted } = self.session.drafts();
        answer.drafts.drafted = drafted - drafts.drafted;
        answer.drafts.accepted = accepted - drafts.accepted;
        Ok(answer)
    }

    /// Feeds what is to be fed; false if that was interrupted.
    fn feed(&mut self, limits: &Limits<'_>) -> Outcome<bool> {
        let step = self.session.options().chunk.saturating_mul(CHUNKS_AT_ONCE).max(1);
        while !self.unfed.is_empty() {
            if (limits.interrupted)() {
                return Ok(false);
            }
            let n = step.min(self.unfed.len());
            self.session.feed(&self.machine, &self.unfed[..n])?;
            self.unfed.drain(..n);
        }
        Ok(true)
    }

    /// Keeps the session as it is, if that is wanted. Where the memory does not suffice it is
    /// wanted no more: it will not later either, when more is filled.
    fn remember(&mut self) {
        let Some(before) = &mut self.before else { return };
        let mut len = 0;
        let Ok(()) = self.session.save::<Infallible>(&mut |bytes| {
            len += bytes.len();
            Ok(())
        });
        // Grown piece by piece it could take twice that, and would end the program for want of it.
        if before.try_reserve_exact(len).is_err() {
            note!("(no {len} bytes of memory to keep thoughts out of the stream: they stay in it)");
            self.before = None;
            return;
        }
        let Ok(()) = self.session.save::<Infallible>(&mut |bytes| {
            before.extend_from_slice(bytes);
            Ok(())
        });
    }

    /// Feeds the last token, and drafts those after it that are still wanted.
    fn feed_last(&mut self, wanted: u64) -> Outcome {
        let [token] = self.unfed[..] else { return Ok(()) };
        let most = usize::try_from(wanted - 1).unwrap_or(usize::MAX);
        self.session.feed_speculative(&self.machine, token, most)?;
        self.unfed.clear();
        Ok(())
    }

    /// Samples and shows tokens. The last prompt token has been fed.
    fn speak(&mut self, limits: &Limits<'_>, answer: &mut Answer) -> Outcome {
        let stops = std::mem::take(&mut self.stops);
        let mut printer = AnswerPrinter::new(self.mark, &stops);
        let start = Instant::now();
        let done = self.speak_into(limits, answer, &mut printer);
        answer.time = start.elapsed();
        let done = done.and_then(|()| printer.finish());
        let unanswered = printer.only_thought() && !answer.interrupted && limits.tokens > 0;
        match done {
            Ok(()) if unanswered && answer.tokens == limits.tokens => {
                note!("(it thought for all of {} tokens: give more with -n)", limits.tokens);
            }
            Ok(()) if unanswered => note!("(it ended without an answer)"),
            _ => {}
        }
        self.stops = stops;
        done
    }

    fn speak_into(
        &mut self,
        limits: &Limits<'_>,
        answer: &mut Answer,
        printer: &mut AnswerPrinter<'_>,
    ) -> Outcome {
        while answer.tokens < limits.tokens && !printer.stopped() {
            answer.interrupted = (limits.interrupted)();
            // The last token is in the stream only once the next one is wanted.
            if answer.interrupted {
                return Ok(());
            }
            self.feed_last(limits.tokens - answer.tokens)?;
            let id = self.session.sample(&self.machine, &mut self.sampler);
            if self.tokenizer.is_end(id) && !limits.ignore_end {
                return Ok(()); // The next turn begins by saying so itself.
            }
            answer.tokens += 1;
            self.unfed.push(id);
            self.heard.iter_mut().for_each(|heard| heard.push(id));
            printer.push(&self.tokenizer, id, limits.is_text && answer.tokens == 1)?;
        }
        Ok(())
    }
}

impl Answer {
    /// Tokens of the answer in a second.
    pub fn speed(&self) -> f64 {
        per_second(self.tokens as f64, self.time)
    }

    /// Prompt tokens in a second.
    pub fn prompt_speed(&self) -> f64 {
        per_second(self.prompt_tokens as f64, self.prompt_time)
    }
}

impl AddAssign for Answer {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.prompt_time += other.prompt_time;
        self.tokens += other.tokens;
        self.time += other.time;
        self.drafts.drafted += other.drafts.drafted;
        self.drafts.accepted += other.drafts.accepted;
        self.interrupted |= other.interrupted;
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prompt, tokens) = (self.prompt_tokens, self.tokens);
        let (prompt_speed, speed) = (self.prompt_speed(), self.speed());
        write!(
            f,
            "[{tokens} tokens, {speed:.1} tok/s; prompt {prompt} tokens, {prompt_speed:.1} tok/s"
        )?;
        let Drafts { drafted, accepted } = self.drafts;
        if drafted > 0 {
            write!(f, "; {accepted} of {drafted} drafts")?;
        }
        write!(f, "]")
    }
}

/// `count` in a second, if they took `time`.
pub fn per_second(count: f64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { count / seconds } else { 0.0 }
}
