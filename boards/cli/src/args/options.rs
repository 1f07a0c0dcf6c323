//! The command line, as `docs/reference/cli.md` describes it. Scripts rely on every name here.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use oarlock::conversation::Pin;
use oarlock_convert::Weights;

use super::date;

/// Quantized language models on small machines: in place, in fixed memory, without end.
#[derive(Parser, Debug)]
#[command(name = "oarlock", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a command: chat. Without -m: SmolLM2-135M-Instruct, fetched once.")]
pub struct Cli {
    /// The command; a chat if none is given.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of that chat.
    #[command(flatten)]
    pub chat: Chat,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Talk with the model (the default command)
    Chat(Chat),
    /// Continue a text
    Generate(Generate),
    /// Text to token ids, as a JSON array
    Tokenize(Tokenize),
    /// Token ids to their exact bytes
    Detokenize(Detokenize),
    /// The logits after every token, as a NumPy array
    Logits(Logits),
    /// Score how well the model predicts a text
    Perplexity(Perplexity),
    /// Score how well the model predicts a text of any length in fixed memory
    Stream(Stream),
    /// Measure how fast this machine runs the model
    Bench(Bench),
    /// Show what is in a model and how much memory it needs
    Inspect(Inspect),
    /// Check every checksum of a model
    Verify(Verify),
    /// List or remove the models that were converted from GGUF files and directories
    Cache(Cache),
}

/// `oarlock chat`
#[derive(Args, Debug)]
pub struct Chat {
    /// System prompt, kept for ever
    #[arg(short, long, allow_hyphen_values = true)]
    pub system: Option<OsString>,
    /// Answer this message and exit
    #[arg(short = 'p', long, allow_hyphen_values = true)]
    pub message: Option<OsString>,
    /// Tokens at most in an answer [default: 512 with -p, else no limit]
    #[arg(short = 'n', value_name = "N")]
    pub limit: Option<u64>,
    /// Tokens drafted at a time where the text repeats itself; 0 for none
    #[arg(long, value_name = "N", default_value_t = CHAT_LOOKUP, value_parser = lookup())]
    pub lookup: u16,
    /// First tokens kept for ever: those of the system prompt, or a number
    #[arg(long, value_name = "system|N", default_value = "system", value_parser = pin)]
    pub pin: Pin,
    /// File that the conversation is kept in, and goes on from
    #[arg(long, value_name = "FILE")]
    pub session: Option<PathBuf>,
    #[command(flatten)]
    pub day: Day,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub run: Run,
}

/// Options on the day that chat templates are told.
#[derive(Args, Debug)]
pub struct Day {
    /// Date for templates that write one [default: today, in UTC]
    #[arg(long, value_name = "YYYY-MM-DD|none", value_parser = day)]
    pub date: Option<String>,
}

/// `--date none`.
pub const NO_DATE: &str = "none";

fn day(text: &str) -> Result<String, String> {
    let known = text == NO_DATE || date::is_day(text);
    known
        .then(|| text.to_owned())
        .ok_or_else(|| "it takes a day like 2026-01-31, or none".to_owned())
}

fn pin(text: &str) -> Result<Pin, String> {
    match text {
        "system" => Ok(Pin::System),
        n => n.parse().map(Pin::First).map_err(|_| "it takes system or a number".to_owned()),
    }
}

/// `oarlock generate`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("text").required(true))]
pub struct Generate {
    /// Text to continue; `-` reads it from stdin
    #[arg(short, long, allow_hyphen_values = true, group = "text")]
    pub prompt: Option<OsString>,
    /// File with the text to continue
    #[arg(short, long, group = "text")]
    pub file: Option<PathBuf>,
    /// Tokens at most
    #[arg(short = 'n', value_name = "N", default_value_t = DEFAULT_LIMIT)]
    pub limit: u64,
    /// Go on when the model says that it is done
    #[arg(long)]
    pub ignore_eos: bool,
    /// Put the text into the model's chat template, as a user's message
    #[arg(long)]
    pub chat: bool,
    #[command(flatten)]
    pub day: Day,
    /// Tokens drafted at a time where the text repeats itself; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = lookup())]
    pub lookup: u16,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub run: Run,
}

/// Tokens of an answer that nobody is there to stop.
pub const DEFAULT_LIMIT: u64 = 512;

const CHAT_LOOKUP: u16 = oarlock::Options::CHAT_DRAFT as u16;

fn lookup() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(0..=256)
}

/// `oarlock tokenize`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct Tokenize {
    /// The text; it may start with `-` or a space
    #[arg(group = "source", allow_hyphen_values = true)]
    pub text: Option<OsString>,
    /// File with the text; `-` reads stdin
    #[arg(short, long, group = "source", allow_hyphen_values = true)]
    pub file: Option<PathBuf>,
    /// JSON list of {"role", "content"}: the ids that chat would feed
    #[arg(long, value_name = "FILE.json", group = "source", allow_hyphen_values = true)]
    pub messages: Option<PathBuf>,
    /// Leave out the start of the assistant's answer
    #[arg(long, conflicts_with_all = ["text", "file"])]
    pub no_generation_prompt: bool,
    /// Add no BOS and no EOS
    #[arg(long)]
    pub no_special: bool,
    /// Take what looks like a special token as text
    #[arg(long)]
    pub plain: bool,
    #[command(flatten)]
    pub day: Day,
    #[command(flatten)]
    pub model: Model,
}

/// `oarlock detokenize`
#[derive(Args, Debug)]
pub struct Detokenize {
    /// Token ids, separated by spaces or commas; `-` reads them from stdin
    #[arg(required = true)]
    pub ids: Vec<String>,
    /// Write the bytes as they are to a terminal too, controls included
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub model: Model,
}

/// `oarlock logits`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("input").required(true))]
pub struct Logits {
    /// Token ids, separated by commas
    #[arg(long, value_name = "IDS", group = "input")]
    pub tokens: Option<String>,
    /// Text, tokenized as `tokenize` does
    #[arg(short, long, allow_hyphen_values = true, group = "input")]
    pub prompt: Option<OsString>,
    /// File for the array: f32 [tokens, vocabulary]
    #[arg(short, long, value_name = "OUT.npy")]
    pub output: PathBuf,
    /// Position of the first token in its stream
    #[arg(long, default_value_t = 0)]
    pub position: u64,
    #[command(flatten)]
    pub run: Run,
}

/// `oarlock perplexity`
#[derive(Args, Debug)]
pub struct Perplexity {
    /// File with the text
    #[arg(short, long)]
    pub file: PathBuf,
    /// Windows at most [default: the whole text]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub windows: Option<u64>,
    /// File for every token's negative log likelihood: f32 [windows, context - 1]
    #[arg(long, value_name = "OUT.npy")]
    pub per_token: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub run: Run,
}

/// `oarlock stream`
#[derive(Args, Debug)]
pub struct Stream {
    /// File with the text
    #[arg(short, long)]
    pub file: PathBuf,
    /// Position of the first token in its stream
    #[arg(long, default_value_t = 0)]
    pub position: u64,
    /// File for every token's negative log likelihood: f32 [tokens - 1]
    #[arg(long, value_name = "OUT.npy")]
    pub per_token: Option<PathBuf>,
    /// File for a picture of the running perplexity
    #[arg(long, value_name = "OUT.svg")]
    pub plot: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub run: Run,
}

/// `oarlock bench`
#[derive(Args, Debug)]
pub struct Bench {
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 512)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub prompt_tokens: u64,
    /// Tokens to generate
    #[arg(short = 'n', value_name = "N", default_value_t = 128)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Tokens in the cache before each run
    #[arg(long, value_name = "D", default_value_t = 0)]
    pub depth: u64,
    /// Position of the first token in its stream
    #[arg(long, default_value_t = 0)]
    pub position: u64,
    /// Read everything anew for each token, as if there were no cache
    #[arg(long)]
    pub no_cache: bool,
    /// Runs of each kind
    #[arg(short, long, value_name = "R", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: u32,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub run: Run,
}

/// `oarlock inspect`
#[derive(Args, Debug)]
pub struct Inspect {
    /// The model, as -m
    #[arg(value_name = "MODEL", conflicts_with = "path")]
    pub file: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Tokens drafted at a time, which take memory too
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = lookup())]
    pub lookup: u16,
    #[command(flatten)]
    pub run: Run,
}

/// `oarlock verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// The model, as -m
    #[arg(value_name = "MODEL", conflicts_with = "path")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub model: Model,
}

/// `oarlock cache`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cache {
    /// Something else than to list them
    #[command(subcommand)]
    pub action: Option<CacheAction>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Things to do with the converted models.
#[derive(Subcommand, Debug)]
pub enum CacheAction {
    /// Remove converted models: all, or some
    Clear(CacheClear),
}

/// `oarlock cache clear`
#[derive(Args, Debug)]
pub struct CacheClear {
    /// Those of a source: its path or its name
    #[arg(value_name = "NAME", conflicts_with = "stale")]
    pub name: Option<OsString>,
    /// Those whose source is gone or has changed, or that another version made
    #[arg(long)]
    pub stale: bool,
}

/// The model, which every command takes.
#[derive(Args, Debug)]
pub struct Model {
    /// Model: an .oar, a .gguf, or a directory with safetensors [default: SmolLM2-135M-Instruct]
    #[arg(short = 'm', long = "model", value_name = "MODEL")]
    pub path: Option<PathBuf>,
    /// Storage of a .gguf's or directory's matrices, which are converted once [default: auto]
    #[arg(long, value_name = "W", value_parser = weights())]
    pub weights: Option<Weights>,
}

fn weights() -> impl TypedValueParser<Value = Weights> {
    let unknown = "there is no such type of weights";
    PossibleValuesParser::new(Weights::NAMES)
        .try_map(move |name| Weights::from_name(&name).ok_or(unknown))
}

/// Options on how to run the model.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub model: Model,
    /// Threads [default: the physical cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Instruction set: scalar, avx2, avx-vnni, avx512-vnni, avx512-amx, neon, neon-dotprod or neon-i8mm
    #[arg(long)]
    pub isa: Option<String>,
    /// Tokens that the cache holds [default: the model's own, at most 4096]
    #[arg(long, value_name = "N")]
    pub context: Option<usize>,
    /// First tokens, kept for ever
    #[arg(long, value_name = "S", action = clap::ArgAction::Set)]
    pub sinks: Vec<usize>,
    /// Type of the cache [default: f16, f32 for f32 models]
    #[arg(long, value_name = "T", value_parser = ["int8", "f16", "f32"])]
    pub kv: Option<String>,
    /// Tokens that a prompt is read in at a time
    #[arg(long, value_name = "C")]
    pub chunk: Option<usize>,
}

/// Options on how to pick tokens; those that are not given come from the model.
#[derive(Args, Debug)]
pub struct Sampling {
    /// Temperature; 0 always takes the likeliest token
    #[arg(long, value_parser = not_negative)]
    pub temp: Option<f64>,
    /// Only the K likeliest; 0 for all
    #[arg(long, value_name = "K")]
    pub top_k: Option<u32>,
    /// Only the likeliest that together have this probability
    #[arg(long, value_name = "P", value_parser = probability)]
    pub top_p: Option<f64>,
    /// Only those at least this likely, relative to the likeliest
    #[arg(long, value_name = "P", value_parser = probability)]
    pub min_p: Option<f64>,
    /// Makes tokens that the model still sees less likely; 1 for off
    #[arg(long, value_name = "R", value_parser = positive)]
    pub repeat_penalty: Option<f64>,
    /// Same seed, same text [default: random, printed on stderr]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Stop before this text (may be given several times)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub stop: Vec<OsString>,
    /// Write the answer to a terminal as it is, control characters too
    #[arg(long)]
    pub raw: bool,
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |v| v >= 0.0, "a number that is not negative")
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |v| v > 0.0, "a number above 0")
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, |v| (0.0..=1.0).contains(&v), "a number from 0 to 1")
}

fn number(text: &str, fits: impl Fn(f64) -> bool, want: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|v: &f64| v.is_finite() && fits(*v));
    value.ok_or_else(|| format!("it takes {want}"))
}
