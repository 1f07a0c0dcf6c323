//! A conversation at the console, as on the hosted board.
#![allow(unsafe_code)]

use core::convert::Infallible;
use core::fmt;

use heapless::String;
use oarlock::chat::{Chat, ChatUnavailable};
use oarlock::conversation::{
    Conversation, Pin, RecentTokens, StateSource, TurnBuffers, TurnError,
};
use oarlock::generator::Generator;
use oarlock::tokenizer::{Encoded, Symbol, Tokenizer};
use oarlock::{FeedError, Isa, Machine, Model, Options, Sampler, Session};
use oarlock_raspi::line::LINE;
use oarlock_raspi::units::{Celsius, Percent, Speed};

use crate::console::{print, println};
use crate::cores::Cores;
use crate::firmware::Firmware;
use crate::mailbox::Mailbox;
use crate::model::Fault;
use crate::registers::system_register;
use crate::scratch::Scratch;
use crate::shown::ShownAnswer;
use crate::{console, log, timer};

/// Bytes of a turn: the longest message, a system prompt as long, and the template's text.
const TEXT: usize = 4 * LINE;

/// A conversation with the model, in what memory is left.
pub struct ConsoleChat {
    conversation: Conversation<'static, TurnBuffers<'static>, RecentTokens<'static>>,
    /// Whether the conversation has a first turn.
    begun: bool,
    machine: Machine<'static>,
    cores: &'static Cores,
    sampler: Sampler,
    mailbox: Mailbox,
    system: Option<String<LINE>>,
    /// Tokens at most in an answer.
    limit: u64,
    totals: Totals,
}

/// Counts of answers, and microseconds.
#[derive(Clone, Copy, Default)]
struct Totals {
    answers: u64,
    prompt: u64,
    prompt_time: u64,
    tokens: u64,
    time: u64,
}

impl ConsoleChat {
    /// Opens the model's session, turn buffers and sampler.
    pub fn new(
        model: Model<'static>,
        firmware: &Firmware,
        cores: &'static Cores,
        mut scratch: Scratch,
    ) -> Result<Self, Fault> {
        let (tokenizer, chat) = programs(&model)?;
        let flags = firmware.flags();
        let options = options(&flags, &model);
        let needed = Session::bytes_needed(&model, &options).map_err(Fault::Options)?;
        let free = scratch.len();
        let short = || Fault::Memory(needed, free);
        let buffers = TurnBuffers {
            tokenizer,
            text: scratch.filled(2 * TEXT, 0).ok_or_else(short)?,
            symbols: scratch.filled(TEXT, Symbol::default()).ok_or_else(short)?,
        };
        let tokens = RecentTokens::new(scratch.filled(2 * TEXT, 0).ok_or_else(short)?);
        let memory = scratch.bytes(needed).ok_or_else(short)?;
        let session = Session::new(model, options, memory).map_err(Fault::Options)?;
        let sampling = flags.sampling(model.sampling());
        let seed = flags.seed.unwrap_or_else(|| timer::now() & 0xFFFF_FFFF);
        let machine = Machine { isa: isa(), exec: cores };
        announce(&options, needed, machine, (sampling.temp > 0.0).then_some(seed));
        let generator = Generator::new(session, tokens);
        // Sinks that were asked for are all that is kept.
        let pin = flags.sinks.map_or(Pin::System, |_| Pin::First(0));
        Ok(Self {
            conversation: Conversation::new(generator, chat, buffers, pin),
            begun: false,
            machine,
            cores,
            sampler: Sampler::new(sampling, seed),
            mailbox: firmware.mailbox,
            system: flags.system.and_then(|text| String::try_from(text).ok()),
            limit: flags.limit.unwrap_or(u64::MAX),
            totals: Totals::default(),
        })
    }

    /// Forgets everything; with a system prompt (empty for none), sets that.
    pub fn reset(&mut self, system: Option<&str>) {
        if let Some(text) = system {
            self.system = String::try_from(text).ok().filter(|text| !text.is_empty());
        }
        self.begun = false;
    }

    /// Says a message and streams the answer.
    pub fn say(&mut self, message: &str) {
        match self.turn(message) {
            Ok(encoded) if encoded.dropped_bytes > 0 => {
                let bytes = encoded.dropped_bytes;
                println!("warning: {bytes} bytes have no token and were left out");
            }
            Ok(_) => {}
            Err(error) => return println!("error: message: {error} (say it in other words)"),
        }
        console::begin_answer();
        let answer = self.answer();
        console::end_answer();
        self.totals.add(answer);
        println!("\n[{answer}{}]", self.temperature());
        let Totals { prompt, prompt_time, tokens, time, .. } = answer;
        log::info!("answer: {=u64} tokens in {=u64} us", tokens, time);
        log::info!("prompt: {=u64} tokens in {=u64} us", prompt, prompt_time);
    }

    /// Puts the message to the model, in a new stream if nothing was said yet.
    fn turn(&mut self, message: &str) -> Result<Encoded, TurnError> {
        let system = self.system.as_deref();
        if !self.begun {
            self.conversation.start(system)?;
        }
        let encoded = self.conversation.turn(system, message)?;
        self.begun = true;
        Ok(encoded)
    }

    /// Feeds the turn and streams what follows.
    fn answer(&mut self) -> Totals {
        let mut answer = Totals {
            prompt: self.conversation.generator().unfed().len() as u64,
            ..Totals::default()
        };
        let start = timer::micros();
        if self.feed() {
            answer.prompt_time = timer::micros() - start;
            answer.tokens = self.speak();
            answer.time = timer::micros() - start - answer.prompt_time;
        }
        answer
    }

    /// Sums up what was said so far.
    pub fn stats(&self) {
        let (session, totals) = (self.conversation.session(), &self.totals);
        let options = session.options();
        println!("{} answers, {totals}{}", totals.answers, self.temperature());
        println!(
            "{} tokens in the stream, the last {} and the first {} in sight",
            session.len(),
            options.context - options.sinks,
            options.sinks
        );
        let all: u64 = self.cores.pieces().sum();
        if all == 0 {
            return; // Nothing is counted where one core does everything.
        }
        print!("{all} pieces of work, by core:");
        self.cores.pieces().for_each(|pieces| print!(" {}", Percent(pieces, all)));
        println!();
    }

    /// Feeds what is to be fed; false if that was interrupted.
    fn feed(&mut self) -> bool {
        while !console::interrupted() {
            // Ids come from the tokenizer of the same model; what it does not know ends here.
            match self.conversation.feed(&self.machine) {
                Ok(false) => {}
                Ok(true) => return true,
                Err(error) => {
                    refuse(error);
                    return false;
                }
            }
        }
        false
    }

    /// Samples and shows tokens; how many.
    fn speak(&mut self) -> u64 {
        let (mut tokens, mut shown) = (0, ShownAnswer::new(self.conversation.chat().thinking()));
        while tokens < self.limit && !console::interrupted() {
            let wanted = self.limit - tokens;
            let next = self.conversation.next(&self.machine, &mut self.sampler, wanted);
            let id = match next {
                Ok(Some(id)) => id,
                Ok(None) => break,
                Err(error) => {
                    refuse(error);
                    break;
                }
            };
            tokens += 1;
            let tokenizer = self.conversation.tokenizer();
            let first = tokens == 1;
            let bytes = if first { tokenizer.first_bytes(id) } else { tokenizer.bytes(id) };
            shown.push(bytes, tokenizer.is_special(id));
        }
        shown.finish();
        // What the ring has let go of stays: there is no room for a state to go back to.
        let none: Option<&mut StateSource<'_, Infallible>> = None;
        let _ = self.conversation.forget_thoughts(none);
        tokens
    }

    fn temperature(&self) -> Temperature {
        Temperature(self.mailbox.temperature())
    }
}

/// Reads the sections of text.
fn programs(model: &Model<'static>) -> Result<(Tokenizer<'static>, Chat<'static>), Fault> {
    let tokenizer = Tokenizer::new(model.tokenizer_section());
    let tokenizer = tokenizer.map_err(|_| Fault::Section("tokenizer"))?;
    let chat = Chat::new(model.chat_section()).map_err(|why| match why {
        ChatUnavailable::Reason(why) => Fault::Reason(why),
        ChatUnavailable::BadSection => Fault::Section("chat"),
    })?;
    Ok((tokenizer, chat))
}

/// Says why tokens were not fed.
fn refuse(error: FeedError) {
    let todo = match error {
        FeedError::UnknownToken { .. } => "convert the model again",
        FeedError::NoPositions { .. } => "begin anew, or take a model that rotates",
    };
    println!("error: tokens: {error} ({todo})");
}

/// The session that `cmdline.txt` asks for.
fn options(flags: &oarlock_raspi::flags::Flags<'_>, model: &Model<'_>) -> Options {
    let mut options = Options::for_model(model);
    if let Some(context) = flags.context {
        options.context = context;
        options.sinks = Options::DEFAULT_SINKS.min(context / 2);
    }
    options.sinks = flags.sinks.unwrap_or(options.sinks);
    options.chunk = flags.chunk.unwrap_or(options.chunk);
    options.kv = flags.kv.unwrap_or(options.kv);
    options.draft = Options::CHAT_DRAFT;
    options
}

/// Instructions of the core: the dot products of a Pi 5, by ID_AA64ISAR0_EL1.DP (DDI 0487,
/// D17.2.61).
fn isa() -> Isa {
    if system_register!("id_aa64isar0_el1") >> 44 & 0xF == 1 {
        // SAFETY: the core has just said that it has them, and all of a board's are alike.
        unsafe { Isa::neon_dotprod() }
    } else {
        Isa::NEON
    }
}

fn announce(options: &Options, bytes: usize, machine: Machine<'_>, seed: Option<u64>) {
    log::info!("session of {=usize} bytes: {}", bytes, options);
    let (threads, isa) = (machine.exec.threads(), machine.isa.name());
    print!("context {}, {threads} cores, {isa}", options.context);
    if let Some(seed) = seed {
        print!(", seed {seed}");
    }
    println!("\nType a message. /help lists the commands.");
}

/// Behind the figures of an answer, where the firmware knows it.
struct Temperature(Option<u32>);

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |milli| write!(f, "; {}", Celsius(milli)))
    }
}

impl Totals {
    fn add(&mut self, answer: Self) {
        self.answers += 1;
        self.prompt += answer.prompt;
        self.prompt_time += answer.prompt_time;
        self.tokens += answer.tokens;
        self.time += answer.time;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prompt, tokens, .. } = self;
        let (speed, prompt_speed) = (Speed(*tokens, self.time), Speed(*prompt, self.prompt_time));
        write!(f, "{tokens} tokens, {speed}; prompt {prompt} tokens, {prompt_speed}")
    }
}
