//! The loop that every answer comes from: feed, sample, show, until something ends it.

use std::time::Instant;

use oarlock::chat::Thinking;
use oarlock::generator::Generator;
use oarlock::tokenizer::Tokenizer;
use oarlock::{Drafts, Machine, Sampler, Session};
use oarlock_hosted::Transcript;

use super::figures::Answer;
use super::printer::AnswerPrinter;
use crate::terminal::console::note;
use crate::terminal::errors::Outcome;

/// Everything that an answer needs beside the stream that it continues.
pub struct Answerer<'a> {
    /// The instructions and the threads.
    pub machine: Machine<'a>,
    /// The choice of tokens.
    pub sampler: Sampler,
    /// Ids to text.
    pub tokenizer: Tokenizer<'a>,
    /// Texts before which an answer stops.
    pub stops: Vec<String>,
    /// Text between thoughts and answer, if the model thinks before it answers.
    pub thinking: Thinking<'a>,
    /// Whether a terminal gets the text as it is.
    pub raw: bool,
}

/// Ends of an answer other than the model's wish and a stop string.
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

type HostGenerator<'a> = Generator<'a, Transcript>;

impl Answerer<'_> {
    /// Feeds what waits, calls `fed`, and writes what follows to stdout, without a newline at
    /// the end.
    pub fn answer<'s>(
        &mut self,
        generator: &mut HostGenerator<'s>,
        limits: &Limits<'_>,
        fed: &mut dyn FnMut(&mut Session<'s>),
    ) -> Outcome<Answer> {
        let mut answer = Answer { prompt_tokens: generator.unfed().len(), ..Answer::default() };
        let (start, drafts) = (Instant::now(), generator.session().drafts());
        if self.feed(generator, limits)? {
            answer.prompt_time = start.elapsed();
            fed(generator.session_mut());
            self.show(generator, limits, &mut answer)?;
        } else {
            answer.interrupted = true;
        }
        let Drafts { drafted, accepted } = generator.session().drafts();
        answer.drafts.drafted = drafted - drafts.drafted;
        answer.drafts.accepted = accepted - drafts.accepted;
        Ok(answer)
    }

    /// Feeds what is to be fed; false if that was interrupted.
    fn feed(&self, generator: &mut HostGenerator<'_>, limits: &Limits<'_>) -> Outcome<bool> {
        while !generator.unfed().is_empty() {
            if (limits.interrupted)() {
                return Ok(false);
            }
            generator.feed(&self.machine)?;
        }
        Ok(true)
    }

    /// Samples and shows tokens. The last prompt token has been fed.
    fn show(
        &mut self,
        generator: &mut HostGenerator<'_>,
        limits: &Limits<'_>,
        answer: &mut Answer,
    ) -> Outcome {
        let stops = std::mem::take(&mut self.stops);
        let mut printer = AnswerPrinter::new(self.thinking, &stops, self.raw);
        let start = Instant::now();
        let done = self.show_by(generator, limits, answer, &mut printer);
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

    fn show_by(
        &mut self,
        generator: &mut HostGenerator<'_>,
        limits: &Limits<'_>,
        answer: &mut Answer,
        printer: &mut AnswerPrinter<'_>,
    ) -> Outcome {
        let Self { machine, sampler, tokenizer, .. } = self;
        let is_end = |id| tokenizer.is_end(id) && !limits.ignore_end;
        while answer.tokens < limits.tokens && !printer.stopped() {
            answer.interrupted = (limits.interrupted)();
            if answer.interrupted {
                return Ok(());
            }
            let wanted = limits.tokens - answer.tokens;
            let Some(id) = generator.next(machine, sampler, wanted, &is_end)? else {
                return Ok(());
            };
            answer.tokens += 1;
            printer.push(tokenizer, id, limits.is_text && answer.tokens == 1)?;
        }
        Ok(())
    }
}
