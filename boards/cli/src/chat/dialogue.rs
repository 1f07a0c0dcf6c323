//! A conversation that is printed, and that can be kept in a file.

use std::path::Path;

use oarlock::chat::{Chat, Thinking};
use oarlock::conversation::{Conversation, Pin, Rewound, TurnError};
use oarlock::generator::Generator;
use oarlock::{Machine, Sampler, Sampling, Session};
use oarlock_convert::Shown;
use oarlock_convert::memory::fallible;
use oarlock_hosted::{ModelFile, Snapshot, TextEncoder, Transcript};

use super::bar::bar;
use super::faults::turn_fault;
use super::saved::{self, Saved, SavedChat};
use crate::args;
use crate::generate::{Answer, Answerer, Limits, sampling};
use crate::model::{self, TellingEncoder};
use crate::terminal::console::note;
use crate::terminal::errors::{Outcome, Stop, fault};

/// Everything that does not change while people talk.
pub struct ChatConfig<'a> {
    /// Tokens at most in an answer.
    pub limit: u64,
    /// First tokens that are kept for ever.
    pub pin: Pin,
    /// Options of sampling, as far as they were given.
    pub sampling: &'a args::Sampling,
    /// The model's file.
    pub file: &'a ModelFile,
    /// Its fingerprint, in the files of its conversations.
    pub model: [u8; 32],
    /// Whether anything can follow the first answer.
    pub goes_on: bool,
}

/// A conversation with its random numbers, its system prompt and its figures.
pub struct Dialogue<'a> {
    config: ChatConfig<'a>,
    conversation: Conversation<'a, TellingEncoder<'a>, Transcript>,
    answerer: Answerer<'a>,
    seed: u64,
    system: Option<String>,
    /// The session as it was before the last answer, of a model that thinks, if anything follows
    /// and there is memory for it.
    before: Option<Snapshot>,
    totals: Answer,
    answers: usize,
}

impl<'a> Dialogue<'a> {
    /// A conversation that has not begun.
    pub fn new(
        config: ChatConfig<'a>,
        (chat, encoder): (Chat<'a>, TextEncoder<'a>),
        (session, machine): (Session<'a>, Machine<'a>),
        sampling: Sampling,
        stops: Vec<String>,
    ) -> Self {
        let (tokenizer, sampler, thinking) =
            (*encoder.tokenizer(), Sampler::new(sampling, 0), chat.thinking());
        let generator = Generator::new(session, Transcript::default());
        let before = (thinking != Thinking::No && config.goes_on).then(Snapshot::default);
        Self {
            conversation: Conversation::new(generator, chat, TellingEncoder(encoder), config.pin),
            answerer: Answerer {
                machine,
                sampler,
                tokenizer,
                stops,
                thinking,
                raw: config.sampling.raw,
            },
            config,
            seed: 0,
            system: None,
            before,
            totals: Answer::default(),
            answers: 0,
        }
    }

    /// Begins with this system prompt and random numbers of the seed that was asked for.
    pub fn begin(&mut self, system: Option<String>) -> Outcome {
        let sampling = *self.answerer.sampler.sampling();
        self.seed = sampling::seed(self.config.sampling, &sampling);
        self.answerer.sampler = Sampler::new(sampling, self.seed);
        self.system = system;
        self.reset(None)
    }

    /// Says a message and streams the answer to stdout.
    pub fn say(&mut self, message: &str, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let turn = self.conversation.turn(self.system.as_deref(), message);
        turn.map_err(|error| self.fault(error))?;
        self.answer(interrupted)
    }

    /// Takes the last answer back; [`Dialogue::answer`] gives another.
    pub fn take_answer_back(&mut self) -> Outcome<Rewound> {
        self.conversation.take_answer_back().map_err(|error| match error {
            TurnError::NoTurn => Stop::Refused("There is no answer yet.".to_owned()),
            error => self.fault(error),
        })
    }

    /// Takes the last message and its answer back.
    pub fn undo(&mut self) -> Outcome<Rewound> {
        self.conversation.undo().map_err(|error| match error {
            TurnError::NoTurn => Stop::Refused("There is nothing to take back.".to_owned()),
            error => self.fault(error),
        })
    }

    /// Forgets everything; with a system prompt (empty for none), sets that.
    pub fn reset(&mut self, system: Option<&str>) -> Outcome {
        let system = match system {
            Some(system) => Some(system.to_owned()).filter(|system| !system.is_empty()),
            None => self.system.clone(),
        };
        self.conversation.start(system.as_deref()).map_err(|error| self.fault(error))?;
        self.system = system;
        Ok(())
    }

    /// Refuses to go on with a model that was written to meanwhile.
    pub fn check_model(&self) -> Outcome {
        model::unchanged(self.config.file)
    }

    /// Keeps the conversation in a file.
    pub fn save(&mut self, path: &Path) -> Outcome {
        let sampler = &self.answerer.sampler;
        let generator = self.conversation.generator_mut();
        let chat = SavedChat {
            model: self.config.model,
            sampling: *sampler.sampling(),
            seed: self.seed,
            random: sampler.state(),
            pinned: generator.session().options().sinks,
            system: self.system.clone(),
            transcript: generator.tokens().clone(),
        };
        saved::write(path, &chat, generator.session_mut())
    }

    /// Goes on with the conversation in a file; whether there is one. If that fails, this one
    /// goes on.
    pub fn load(&mut self, path: &Path) -> Outcome<bool> {
        let Some(saved) = Saved::open(path)? else { return Ok(false) };
        let chat = saved.chat.clone();
        self.check(path, &chat)?;
        let session = self.conversation.generator_mut().session_mut();
        let kept = session.options().sinks;
        if let Err(stop) = saved.restore(session) {
            if session.is_empty() {
                // All tokens of this conversation then wait to be fed again.
                session.reset(kept).map_err(|e| fault("--sinks", e, "give fewer"))?;
            }
            return Err(stop);
        }
        self.go_on(chat);
        Ok(true)
    }

    /// Refuses what was said to another model, or pinned otherwise.
    fn check(&mut self, path: &Path, chat: &SavedChat) -> Outcome {
        if chat.model != self.config.model {
            let what = "it is a conversation with another model";
            return Err(fault(path.shown(), what, "give -m with that model"));
        }
        let ours = self.conversation.pinned(chat.system.as_deref());
        let (ours, pinned) = (ours.map_err(|error| self.fault(error))?, chat.pinned);
        if pinned != ours && !chat.transcript.turns.is_empty() {
            let what = format!("it keeps {pinned} tokens for ever, with these options {ours}");
            let remedy = format!("give --sinks {pinned} --pin 0");
            return Err(fault(path.shown(), what, remedy));
        }
        Ok(())
    }

    /// Becomes what was read, with the session that came with it.
    fn go_on(&mut self, chat: SavedChat) {
        let sampling = sampling::merge(self.config.sampling, chat.sampling);
        let seed = self.config.sampling.seed.unwrap_or(chat.seed);
        self.answerer.sampler = if seed == chat.seed {
            Sampler::resume(sampling, chat.random)
        } else {
            note!("Random numbers begin anew, with seed {seed}.");
            Sampler::new(sampling, seed)
        };
        *self.conversation.generator_mut().tokens_mut() = chat.transcript;
        (self.seed, self.system) = (seed, chat.system);
    }

    /// Draws what the model still sees.
    pub fn sight(&self) -> String {
        bar(self.conversation.session(), self.conversation.sinks())
    }

    /// Sums up what was said so far.
    pub fn stats(&self) -> String {
        let (session, totals) = (self.conversation.session(), &self.totals);
        let options = session.options();
        format!(
            "{} answers, {totals}\n{} tokens in the stream, the last {} and the first {} in sight",
            self.answers,
            session.len(),
            options.context - options.sinks,
            options.sinks,
        )
    }

    /// Counts the messages, those in a file that was loaded included.
    pub fn turns(&self) -> usize {
        self.conversation.generator().tokens().turns.len()
    }

    /// The system prompt.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Answers the last message, which has no answer or whose answer was taken back.
    pub fn answer(&mut self, interrupted: &dyn Fn() -> bool) -> Outcome<Answer> {
        let limits =
            Limits { tokens: self.config.limit, ignore_end: false, is_text: true, interrupted };
        let Self { conversation, answerer, before, .. } = self;
        before.iter_mut().for_each(Snapshot::clear);
        let thinking = answerer.thinking;
        let fed = &mut |session: &mut Session<'_>| {
            if thinking.wants_state(session.len(), session.options().context) {
                remember(before, session);
            }
        };
        let answer = answerer.answer(conversation.generator_mut(), &limits, fed)?;
        let done = match before {
            Some(before) => before.forget_thoughts(conversation),
            None => Snapshot::default().forget_thoughts(conversation),
        };
        done.map_err(|error| fault("session", error, "start anew with /clear"))?;
        self.totals += answer;
        self.answers += 1;
        Ok(answer)
    }

    fn fault(&self, error: TurnError) -> Stop {
        turn_fault(error, self.config.pin, self.conversation.session().options().context)
    }
}

/// Keeps the session as it is, if that is wanted. Where the memory does not suffice it is
/// wanted no more: it will not later either, when more is filled.
fn remember(before: &mut Option<Snapshot>, session: &mut Session<'_>) {
    if let Some(Err(error)) = fallible(|| before.as_mut().map(|before| before.take(session))) {
        note!("({error} to keep thoughts out of the stream: they stay in it)");
        *before = None;
    }
}
