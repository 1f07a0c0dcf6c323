//! The turns of a chat and the stream of tokens that they are.

use std::io::Read;
use std::path::Path;

use oarlock::chat::{Chat, Heard, Listener};
use oarlock::tokenizer::Special;
use oarlock::{Machine, Session};
use oarlock::{Sampler, Sampling};
use oarlock_hosted::TextEncoder;

use super::bar::bar;
use super::pin::pinned;
use super::saved::{self, Saved, SavedChat};
use super::transcript::Transcript;
use crate::generate::{Answer, Generator, Limits, sampling, template};
use crate::model::told;
use crate::terminal::errors::{Outcome, Stop, fault};
use crate::{args, note};

/// What does not change while people config.
pub struct ChatConfig<'a> {
    /// What the template writes around messages.
    pub chat: Chat<'a>,
    /// Text to ids.
    pub encoder: TextEncoder<'a>,
    /// Tokens at most in an answer.
    pub limit: u64,
    /// What is kept for ever.
    pub pin: args::Pin,
    /// How tokens are to be chosen, as far as that was said.
    pub sampling: &'a args::Sampling,
    /// The model's fingerprint, in the files of its conversations.
    pub model: [u8; 32],
    /// Whether anything can follow the first answer.
    pub goes_on: bool,
}

/// A conversation.
pub struct Conversation<'a> {
    config: ChatConfig<'a>,
    generator: Generator<'a>,
    seed: u64,
    system: Option<String>,
    /// Sinks that were asked for, or come by themselves.
    sinks: usize,
    /// The stream from its beginning: what has been fed to the session, then what waits for that.
    transcript: Transcript,
    totals: Answer,
    answers: usize,
}

/// How turns were taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenBack {
    /// The ring still held all that comes before them.
    AtOnce,
    /// It did not: this many tokens are read again before the next answer.
    ByReplay(usize),
}

impl<'a> Conversation<'a> {
    /// A conversation that has not begun.
    pub fn new(
        config: ChatConfig<'a>,
        session: Session<'a>,
        machine: Machine<'a>,
        sampling: Sampling,
        stops: Vec<String>,
    ) -> Self {
        let sinks = session.options().sinks;
        let tokenizer = config.encoder.tokenizer();
        let (sampler, unfed, heard) = (Sampler::new(sampling, 0), Vec::new(), Some(Vec::new()));
        let mark = config.chat.mark();
        let before = mark.filter(|_| config.goes_on).map(|_| Vec::new());
        let generator =
            Generator { session, machine, sampler, tokenizer, stops, unfed, heard, mark, before };
        Self {
            config,
            generator,
            seed: 0,
            system: None,
            sinks,
            transcript: Transcript::default(),
            totals: Answer::default(),
            answers: 0,
        }
    }

    /// Begins with this system prompt and random numbers of the seed that was asked for.
    pub fn begin(&mut self, system: Option<String>) -> Outcome {
        let sampling = *self.generator.sampler.sampling();
        self.seed = sampling::seed(self.config.sampling, &sampling);
        self.generator.sampler = Sampler::new(sampling, self.seed);
        self.system = system;
        self.start_anew(None)
    }

    /// Says a message and streams the answer to stdout.
    pub fn say(&mut self, message: &str, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let ChatConfig { chat, encoder, .. } = &self.config;
        let turn = match self.transcript.is_empty() {
            true => chat.first_turn(self.system.as_deref(), message),
            false => chat.next_turn(message),
        };
        let ids = template::turn_ids(encoder, turn)?;
        self.transcript.ask(&ids);
        self.answer(&ids, interrupted)
    }

    /// Takes the last answer back; [`Conversation::answer_again`] gives another.
    pub fn take_answer_back(&mut self) -> Outcome<TakenBack> {
        let Some(turn) = self.transcript.turns.last().copied() else {
            return Err(Stop::Refused("There is no answer yet.".to_owned()));
        };
        // The last token before an answer is fed anew: its logits are gone.
        self.rewind(turn.answer, turn.answer.saturating_sub(1))
    }

    /// Answers the last message, whose answer was taken back.
    pub fn answer_again(&mut self, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        self.answer(&[], interrupted)
    }

    /// Takes the last message and its answer back.
    pub fn undo(&mut self) -> Outcome<TakenBack> {
        let Some(turn) = self.transcript.turns.last().copied() else {
            return Err(Stop::Refused("There is nothing to take back.".to_owned()));
        };
        let done = self.rewind(turn.start, turn.start)?;
        self.transcript.turns.pop();
        Ok(done)
    }

    /// Forgets everything; with a system prompt (empty for none), sets that.
    pub fn start_anew(&mut self, system: Option<&str>) -> Outcome {
        let system = match system {
            Some(system) => Some(system.to_owned()).filter(|system| !system.is_empty()),
            None => self.system.clone(),
        };
        let kept = self.pinned(system.as_deref())?;
        self.generator.session.reset(kept).map_err(|e| fault("--sinks", e, "give fewer"))?;
        self.generator.unfed.clear();
        (self.system, self.transcript) = (system, Transcript::default());
        Ok(())
    }

    /// Keeps the conversation in a file.
    pub fn save(&mut self, path: &Path) -> Outcome {
        let Generator { session, sampler, .. } = &mut self.generator;
        let chat = SavedChat {
            model: self.config.model,
            sampling: *sampler.sampling(),
            seed: self.seed,
            random: sampler.state(),
            pinned: session.options().sinks,
            system: self.system.clone(),
            transcript: self.transcript.clone(),
        };
        saved::write(path, &chat, session)
    }

    /// Goes on with the conversation in a file; whether there is one. If that fails, this one
    /// goes on.
    pub fn load(&mut self, path: &Path) -> Outcome<bool> {
        let Some(saved) = Saved::open(path)? else { return Ok(false) };
        if saved.chat.model != self.config.model {
            let what = "it is a conversation with another model";
            return Err(fault(path.display(), what, "give -m with that model"));
        }
        let (chat, pinned) = (saved.chat.clone(), saved.chat.pinned);
        let ours = self.pinned(chat.system.as_deref())?;
        if pinned != ours && !chat.transcript.is_empty() {
            let what = format!("it keeps {pinned} tokens for ever, with these options {ours}");
            let remedy = format!("give --sinks {pinned} --pin 0");
            return Err(fault(path.display(), what, remedy));
        }
        let session = &mut self.generator.session;
        let kept = session.options().sinks;
        if let Err(stop) = saved.restore(session) {
            if session.is_empty() {
                session.reset(kept).map_err(|e| fault("--sinks", e, "give fewer"))?;
                self.generator.unfed.clone_from(&self.transcript.ids);
            }
            return Err(stop);
        }
        self.go_on(chat);
        Ok(true)
    }

    /// What the model still sees, for people.
    pub fn sight(&self) -> String {
        bar(&self.generator.session, self.sinks)
    }

    /// What was said so far, for people.
    pub fn stats(&self) -> String {
        let (session, totals) = (&self.generator.session, &self.totals);
        let options = session.options();
        format!(
            "{} answers, {totals}\n{} tokens in the stream, the last {} and the first {} in sight",
            self.answers,
            session.len(),
            options.context - options.sinks,
            options.sinks,
        )
    }

    /// How many messages were said, those in a file that was loaded included.
    pub fn turns(&self) -> usize {
        self.transcript.turns.len()
    }

    /// The system prompt.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Becomes what was read, with the session that came with it.
    fn go_on(&mut self, chat: SavedChat) {
        let fed = usize::try_from(self.generator.session.len()).unwrap_or(usize::MAX);
        self.generator.unfed = chat.transcript.ids.get(fed..).unwrap_or_default().to_vec();
        let sampling = sampling::merge(self.config.sampling, chat.sampling);
        let seed = self.config.sampling.seed.unwrap_or(chat.seed);
        self.generator.sampler = if seed == chat.seed {
            Sampler::resume(sampling, chat.random)
        } else {
            note!("Random numbers begin anew, with seed {seed}.");
            Sampler::new(sampling, seed)
        };
        (self.seed, self.system, self.transcript) = (seed, chat.system, chat.transcript);
    }

    fn answer(&mut self, ids: &[u32], interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let limits =
            Limits { tokens: self.config.limit, ignore_end: false, is_text: true, interrupted };
        let answer = self.generator.answer(ids, &limits);
        self.generator.heard.iter_mut().for_each(|heard| self.transcript.ids.append(heard));
        let answer = answer?;
        self.forget_thoughts()?;
        self.totals += answer;
        self.answers += 1;
        Ok(answer)
    }

    /// Takes what the model thought out of the stream, once it has answered, as its template leaves
    /// it out of past answers. Without an answer, what it thought is all that there is: of the
    /// markup behind it, which may break off anywhere, the next message brings what belongs there.
    fn forget_thoughts(&mut self) -> Outcome {
        let Generator { tokenizer, mark, .. } = &self.generator;
        let Some(mark) = *mark else { return Ok(()) };
        let Some(start) = self.transcript.turns.last().map(|turn| turn.answer) else {
            return Ok(());
        };
        let mut listener = Listener::new(Some(mark));
        let mut hears = |id: u32| listener.hear(tokenizer.bytes(id), tokenizer.is_special(id));
        let said = self.transcript.ids.get(start..).unwrap_or_default();
        let heard: Vec<(u32, Heard)> = said.iter().map(|&id| (id, hears(id))).collect();
        let answer = heard.iter().filter(|(_, heard)| *heard == Heard::Answer);
        let answer: Vec<u32> = answer.map(|&(id, _)| id).collect();
        if answer.is_empty() {
            let last = heard.iter().rposition(|(_, heard)| *heard == Heard::Thought);
            let len = start + last.map_or(0, |last| last + 1);
            if len < self.transcript.ids.len() {
                self.rewind(len, len)?;
            }
            return Ok(());
        }
        let kept = [told(self.config.encoder.encode(mark, Special::All))?, answer].concat();
        if said.len() > kept.len() { self.answer_with(start, &kept) } else { Ok(()) }
    }

    /// Puts this in the place of the answer that began at `start`, to be read with the next message.
    /// Without a session from before it the answer stays as it is.
    fn answer_with(&mut self, start: usize, kept: &[u32]) -> Outcome {
        let Generator { session, unfed, before, .. } = &mut self.generator;
        let Some(mut state) = before.as_deref().filter(|state| !state.is_empty()) else {
            return Ok(());
        };
        let back = session.restore(&mut |place| state.read_exact(place));
        back.map_err(|error| fault("session", error, "start anew with /clear"))?;
        self.transcript.ids.truncate(start);
        self.transcript.ids.extend_from_slice(kept);
        let fed = usize::try_from(session.len()).unwrap_or(usize::MAX);
        *unfed = self.transcript.ids.get(fed..).unwrap_or_default().to_vec();
        Ok(())
    }

    /// Ends the stream after `len` tokens, of which the first `fed` need not be fed again.
    fn rewind(&mut self, len: usize, fed: usize) -> Outcome<TakenBack> {
        let session = &mut self.generator.session;
        let held = session.truncate(session.len().min(fed as u64)).is_ok();
        if !held {
            let kept = session.options().sinks;
            session.reset(kept).map_err(|error| fault("--sinks", error, "give fewer"))?;
        }
        self.transcript.ids.truncate(len);
        let fed = usize::try_from(session.len()).unwrap_or(usize::MAX);
        self.generator.unfed = self.transcript.ids.get(fed..).unwrap_or_default().to_vec();
        Ok(if held || len == 0 { TakenBack::AtOnce } else { TakenBack::ByReplay(len) })
    }

    fn pinned(&self, system: Option<&str>) -> Outcome<usize> {
        let ChatConfig { chat, encoder, pin, .. } = &self.config;
        pinned(*pin, self.sinks, self.generator.session.options(), chat, encoder, system)
    }
}
