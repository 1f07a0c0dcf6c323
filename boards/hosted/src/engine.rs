//! What a session needs beside the model: threads, instruction set, memory.

use memmap2::MmapMut;
use oarlock::internal::format::Positions;
use oarlock::{FeedError, Isa, KvType, Machine, Model, Options, OptionsError, Session};

use crate::errors::{Outcome, Stop, fault};
use crate::pool::Pool;
use crate::{args, aside, cores, detect, scratch};

/// Everything that a session borrows.
pub struct Engine {
    pool: Pool,
    isa: Isa,
    options: Options,
    scratch: MmapMut,
}

impl Engine {
    /// Sets up what the command line asks for, with options that the command itself sets.
    pub fn with(
        run: &args::Run,
        model: &Model<'_>,
        adjust: impl FnOnce(&mut Options),
    ) -> Outcome<Self> {
        let isa = detect::isa(run.isa.as_deref())?;
        let mut options = options(run, model);
        adjust(&mut options);
        let bytes = bytes_needed(model, &options)?;
        say_where_it_ends(model);
        let pool = Pool::new(run.threads.map_or_else(cores::physical, usize::from))?;
        Ok(Self { pool, isa, options, scratch: scratch::reserve(bytes)? })
    }

    /// An empty session and the machine that runs it.
    pub fn session<'e>(&'e mut self, model: Model<'e>) -> Outcome<(Session<'e>, Machine<'e>)> {
        let machine = Machine { isa: self.isa, exec: &self.pool };
        let options = self.options;
        Session::new(model, options, &mut self.scratch)
            .map(|session| (session, machine))
            .map_err(|error| options_fault(&options, error))
    }

    /// What the session is asked to be.
    pub fn options(&self) -> Options {
        self.options
    }
}

/// The session that the command line asks for.
pub fn options(run: &args::Run, model: &Model<'_>) -> Options {
    let mut options = Options::for_model(model);
    let own = model.config().context;
    if let Some(context) = run.context {
        if context > own {
            aside!(
                "warning: --context {context} is more than the {own} this model was trained for"
            );
        }
        options.context = context;
        options.sinks = Options::DEFAULT_SINKS.min(context / 2);
    }
    options.sinks = run.sinks.first().copied().unwrap_or(options.sinks);
    options.chunk = run.chunk.unwrap_or(options.chunk);
    options.kv = run.kv.as_deref().and_then(KvType::from_name).unwrap_or(options.kv);
    options
}

/// What no ring can change: a token needs a position that the model has learned.
fn say_where_it_ends(model: &Model<'_>) {
    let config = model.config();
    if config.positions == Positions::Learned {
        let most = config.context;
        aside!("note: this model has learned {most} positions: no text goes beyond {most} tokens");
    }
}

/// Why tokens were not fed.
pub fn feed_fault(error: FeedError) -> Stop {
    let (thing, todo) = match error {
        FeedError::UnknownToken { .. } => ("tokens", "convert the model again"),
        FeedError::NoPositions { .. } => ("context", "begin anew, or take a model that rotates"),
    };
    fault(thing, error, todo)
}

/// Exactly the bytes of a session with these options.
pub fn bytes_needed(model: &Model<'_>, options: &Options) -> Outcome<usize> {
    Session::bytes_needed(model, options).map_err(|error| options_fault(options, error))
}

/// Names the option that is to blame.
pub fn options_fault(options: &Options, error: OptionsError) -> Stop {
    let Options { context, sinks, chunk, .. } = options;
    match error {
        OptionsError::ContextTooShort => {
            fault(format!("--context {context}"), error, "give at least 2")
        }
        OptionsError::TooManySinks { most } => {
            fault(format!("--sinks {sinks}"), error, format!("give at most {most}"))
        }
        OptionsError::NoPositions { most } => {
            fault(format!("--context {context}"), error, format!("give at most {most}"))
        }
        OptionsError::NoChunk => fault(format!("--chunk {chunk}"), error, "give at least 1"),
        _ => fault(format!("--context {context}"), error, "use a smaller context or chunk"),
    }
}
