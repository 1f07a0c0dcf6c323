//! A model and what runs it.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use oarlock::chat::{Chat, ChatUnavailable};
use oarlock::conversation::{Conversation, Pin};
use oarlock::generator::Generator;
use oarlock::{Isa, Machine, Model, Options, Sampler, Session};

use crate::chat_session::ChatSession;
use crate::cores::physical_cores;
use crate::error::Error;
use crate::isa::best_isa;
use crate::memory::SessionMemory;
use crate::model_file::ModelFile;
use crate::open_model::OpenModel;
use crate::pool::Pool;
use crate::text_encoder::TextEncoder;
use crate::text_generator::TextGenerator;
use crate::transcript::Transcript;

/// A mapped model, an instruction set and a pool of threads.
///
/// Any number of sessions may be open, each in a [`SessionMemory`] of its own. If two compute at
/// once, one has all the threads and the other only its own.
#[derive(Debug)]
pub struct Engine {
    open: OpenModel,
    isa: Isa,
    pool: Pool,
}

impl Engine {
    /// Opens the model at `path`, to run on all cores by the best instructions of this CPU.
    ///
    /// # Errors
    /// [`Error`]: the file cannot be read, or is no model; or threads cannot be started.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::new(ModelFile::open(path)?.check()?, best_isa(), physical_cores())
    }

    /// Runs a model by these instructions on this many threads, the caller's included (0 is 1).
    ///
    /// # Errors
    /// [`Error::Threads`] if they cannot be started.
    pub fn new(open: OpenModel, isa: Isa, threads: usize) -> Result<Self, Error> {
        Ok(Self { open, isa, pool: Pool::new(threads)? })
    }

    /// The file of the model.
    pub fn file(&self) -> &ModelFile {
        self.open.file()
    }

    /// The model.
    pub fn model(&self) -> Model<'_> {
        self.open.model()
    }

    /// The instruction set and the threads. A thread that computes and has not made the engine
    /// calls [`oarlock::set_control_word`] first.
    pub fn machine(&self) -> Machine<'_> {
        Machine { isa: self.isa, exec: &self.pool }
    }

    /// Options that suit the model: change what should be otherwise.
    pub fn options(&self) -> Options {
        Options::for_model(&self.model())
    }

    /// An encoder of texts, which makes token ids of them.
    ///
    /// # Errors
    /// [`Error::Model`] if the tables of the tokenizer are damaged.
    pub fn encoder(&self) -> Result<TextEncoder<'_>, Error> {
        Ok(TextEncoder::new(self.file().tokenizer(&self.model())?))
    }

    /// Reserves the memory of a session.
    ///
    /// # Errors
    /// [`Error::Options`], or [`Error::Memory`] with the bytes that the system does not give.
    pub fn memory(&self, options: Options) -> Result<SessionMemory, Error> {
        SessionMemory::reserve(&self.model(), options)
    }

    /// An empty session: feed it tokens with [`Engine::machine`].
    ///
    /// # Errors
    /// [`Error::Options`] if the memory was reserved for another model.
    pub fn session<'e>(&'e self, memory: &'e mut SessionMemory) -> Result<Session<'e>, Error> {
        memory.session(self.model())
    }

    /// Continues a text, by the sampling that the model recommends and random numbers that
    /// nobody knows; [`TextGenerator::sampler`] sets others.
    ///
    /// # Errors
    /// [`Error::NoTokens`] or [`Error::TextTooLong`] of the prompt, or as [`Engine::session`].
    pub fn generate<'e>(
        &'e self,
        prompt: &str,
        memory: &'e mut SessionMemory,
    ) -> Result<TextGenerator<'e>, Error> {
        let model = self.model();
        let encoder = self.encoder()?;
        let ids = encoder.encode_prompt(prompt)?.ids;
        let sampler = Sampler::new(model.sampling(), random_seed());
        let session = memory.session(model)?;
        TextGenerator::new(session, self.machine(), *encoder.tokenizer(), sampler, ids)
    }

    /// Begins a conversation by the chat template of the model. The system prompt is never
    /// forgotten, however long the conversation.
    ///
    /// # Errors
    /// [`Error::NoChat`] of a model without a template, or [`Error::Turn`] of a system prompt that has no place.
    pub fn chat<'e>(
        &'e self,
        system: Option<&str>,
        memory: &'e mut SessionMemory,
    ) -> Result<ChatSession<'e>, Error> {
        let model = self.model();
        let encoder = self.encoder()?;
        let chat = Chat::new(model.chat_section()).map_err(|why| self.no_chat(why))?;
        let sampler = Sampler::new(model.sampling(), random_seed());
        let generator = Generator::new(memory.session(model)?, Transcript::default());
        let conversation = Conversation::new(generator, chat, encoder, Pin::System);
        ChatSession::start(conversation, self.machine(), sampler, system)
    }

    fn no_chat(&self, why: ChatUnavailable<'_>) -> Error {
        Error::NoChat { path: self.file().path().into(), reason: why.to_string() }
    }
}

/// A number that differs from run to run.
fn random_seed() -> u64 {
    // The standard library seeds its hash maps from the system's random numbers.
    RandomState::new().hash_one(0)
}
