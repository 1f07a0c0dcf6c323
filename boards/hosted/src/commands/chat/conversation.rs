//! The turns of a chat and the stream of tokens that they are.

use oarlock::chat::Chat;
use oarlock::sampler::Sampler;
use oarlock::{Machine, Session};

use crate::answer::{Answer, Limits, Speaker};
use crate::chatting;
use crate::errors::{Outcome, Stop, fault};
use crate::words::Words;

/// What does not change while people talk.
pub struct Talk<'a> {
    /// What the template writes around messages.
    pub chat: Chat<'a>,
    /// Text to ids.
    pub words: Words<'a>,
    /// Tokens at most in an answer.
    pub limit: u64,
    /// Whether the system prompt is kept for ever, as far as the sinks may grow.
    pub pin_system: bool,
}

/// A conversation, which lives in the session's stream and is not kept elsewhere.
pub struct Conversation<'a> {
    talk: Talk<'a>,
    speaker: Speaker<'a>,
    system: Option<String>,
    /// Sinks that were asked for, or come by themselves.
    sinks: usize,
    /// Where the last turn begins in the stream, and the tokens to be fed there.
    last_turn: Option<(u64, Vec<u32>)>,
    totals: Answer,
    answers: usize,
}

impl<'a> Conversation<'a> {
    /// A conversation that has not begun.
    pub fn new(
        talk: Talk<'a>,
        session: Session<'a>,
        machine: Machine<'a>,
        sampler: Sampler,
        stops: Vec<String>,
        system: Option<String>,
    ) -> Self {
        let sinks = session.options().sinks;
        let tokenizer = talk.words.tokenizer;
        let speaker = Speaker { session, machine, sampler, tokenizer, stops, unfed: Vec::new() };
        let totals = Answer::default();
        Self { talk, speaker, system, sinks, last_turn: None, totals, answers: 0 }
    }

    /// Says a message and streams the answer to stdout.
    pub fn say(&mut self, message: &str, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let ids = if self.last_turn.is_none() {
            self.begin()?;
            let system = self.system.as_deref();
            chatting::turn_ids(&self.talk.words, self.talk.chat.first_turn(system, message))?
        } else {
            chatting::turn_ids(&self.talk.words, self.talk.chat.next_turn(message))?
        };
        let turn = [std::mem::take(&mut self.speaker.unfed), ids].concat();
        self.last_turn = Some((self.speaker.session.len(), turn.clone()));
        self.answer(&turn, interrupted)
    }

    /// Takes the last answer back and gives another.
    pub fn regenerate(&mut self, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let refused = |why: &str| Err(Stop::Refused(why.to_owned()));
        let Some((start, turn)) = self.last_turn.clone() else {
            return refused("There is no answer yet.");
        };
        if self.speaker.session.truncate(start).is_err() {
            return refused("The answer is too long to be taken back.");
        }
        self.speaker.unfed.clear();
        self.answer(&turn, interrupted)
    }

    /// Forgets everything; with a system prompt (empty for none), sets that.
    pub fn start_anew(&mut self, system: Option<&str>) -> Outcome {
        if let Some(system) = system {
            self.system = Some(system.to_owned()).filter(|system| !system.is_empty());
        }
        self.last_turn = None;
        self.begin()
    }

    /// What was said so far, for people.
    pub fn stats(&self) -> String {
        let (session, totals) = (&self.speaker.session, &self.totals);
        let options = session.options();
        format!(
            "{} answers, {totals}\n{} tokens in the stream, the last {} and the first {} in sight",
            self.answers,
            session.len(),
            options.context - options.sinks,
            options.sinks,
        )
    }

    fn answer(&mut self, turn: &[u32], interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let limits = Limits { tokens: self.talk.limit, ignore_end: false, interrupted };
        let answer = self.speaker.answer(turn, &limits)?;
        self.totals += answer;
        self.answers += 1;
        Ok(answer)
    }

    /// An empty stream, whose sinks reach over the system prompt.
    fn begin(&mut self) -> Outcome {
        let session = &mut self.speaker.session;
        let mut sinks = self.sinks;
        if let Some(system) = self.system.as_deref().filter(|_| self.talk.pin_system) {
            let turn =
                chatting::turn_ids(&self.talk.words, self.talk.chat.first_turn(Some(system), ""))?;
            sinks = sinks.max(turn.len()).min(session.options().context / 2);
        }
        self.speaker.unfed.clear();
        session.reset(sinks).map_err(|error| fault("--sinks", error, "give fewer"))
    }
}
