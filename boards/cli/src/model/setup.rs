//! A session as the command line asks for it: threads, instruction set, memory.

use oarlock::internal::format::Positions;
use oarlock::{KvType, Model, Options, OptionsError, Session};
use oarlock_hosted::{Engine, Error, SessionMemory, physical_cores};

use super::{isa, open};
use crate::args;
use crate::terminal::console::aside;
use crate::terminal::errors::{Outcome, Stop, fault};

/// Opens the model, to run by the instructions and on the threads that were asked for.
pub fn engine(run: &args::Run) -> Outcome<Engine> {
    let file = open::open(&run.model, None)?;
    let open = open::check(file)?;
    let isa = isa::isa(run.isa.as_deref())?;
    Ok(Engine::new(open, isa, run.threads.map_or_else(physical_cores, usize::from))?)
}

/// Options of the session, which the command itself may change.
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

/// Reserves the memory of a session.
pub fn memory(model: &Model<'_>, options: Options) -> Outcome<SessionMemory> {
    bytes_needed(model, &options)?;
    say_end(model);
    Ok(SessionMemory::reserve(model, options)?)
}

/// An empty session in that memory.
pub fn session<'e>(model: Model<'e>, memory: &'e mut SessionMemory) -> Outcome<Session<'e>> {
    let options = *memory.options();
    memory.session(model).map_err(|error| match error {
        Error::Options(error) => options_fault(&options, error),
        other => other.into(),
    })
}

/// Warns of what no ring can change: a token needs a position that the model has learned.
fn say_end(model: &Model<'_>) {
    let config = model.config();
    if config.positions == Positions::Learned {
        let most = config.context;
        aside!("note: this model has learned {most} positions: no text goes beyond {most} tokens");
    }
}

/// Exactly the bytes of a session with these options.
pub fn bytes_needed(model: &Model<'_>, options: &Options) -> Outcome<usize> {
    Session::bytes_needed(model, options).map_err(|error| options_fault(options, error))
}

/// Names the option that is to blame.
fn options_fault(options: &Options, error: OptionsError) -> Stop {
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
