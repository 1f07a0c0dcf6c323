//! The command line, as `docs/cli.md` describes it. Scripts rely on every name here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::console;
use crate::errors::{Outcome, Stop, fault};

/// Quantized language models on small machines: in place, in fixed memory, without end.
#[derive(Parser, Debug)]
#[command(name = "oarlock", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a command: chat. Without -m: SmolLM2-135M-Instruct, fetched once.")]
pub struct Cli {
    /// What to do; a chat if nothing is said.
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
    /// How well the model predicts a text
    Perplexity(Perplexity),
    /// How fast this machine runs the model
    Bench(Bench),
    /// What is in a model and how much memory it needs
    Inspect(Inspect),
    /// Check every checksum of a model
    Verify(Verify),
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
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub run: Run,
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
    pub sampling: Sampling,
    #[command(flatten)]
    pub run: Run,
}

/// Tokens of an answer that nobody is there to stop.
pub const DEFAULT_LIMIT: u64 = 512;

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
    #[arg(long, requires = "messages")]
    pub no_generation_prompt: bool,
    /// Add no BOS and no EOS
    #[arg(long)]
    pub no_special: bool,
    /// Take what looks like a special token as text
    #[arg(long)]
    pub plain: bool,
    #[command(flatten)]
    pub model: Model,
}

/// `oarlock detokenize`
#[derive(Args, Debug)]
pub struct Detokenize {
    /// Token ids, separated by spaces or commas; `-` reads them from stdin
    #[arg(required = true, allow_hyphen_values = true)]
    pub ids: Vec<String>,
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
    /// Where the array goes: f32 [tokens, vocabulary]
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
    /// Where every token's negative log likelihood goes: f32 [windows, context - 1]
    #[arg(long, value_name = "OUT.npy")]
    pub per_token: Option<PathBuf>,
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

/// The model, which every command takes.
#[derive(Args, Debug)]
pub struct Model {
    /// Model file (.oar) [default: SmolLM2-135M-Instruct]
    #[arg(short = 'm', long = "model", value_name = "MODEL")]
    pub path: Option<PathBuf>,
}

/// How to run it.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub model: Model,
    /// Threads [default: the physical cores]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Instruction set: scalar, avx2, avx-vnni, avx512-vnni, neon, neon-dotprod or neon-i8mm
    #[arg(long)]
    pub isa: Option<String>,
    /// Tokens that the cache holds [default: the model's own, at most 4096]
    #[arg(long, value_name = "N")]
    pub context: Option<usize>,
    /// First tokens, kept for ever
    #[arg(long, value_name = "S")]
    pub sinks: Option<usize>,
    /// Type of the cache [default: int8, f32 for f32 models]
    #[arg(long, value_name = "T", value_parser = ["int8", "f16", "f32"])]
    pub kv: Option<String>,
    /// Tokens that a prompt is read in at a time
    #[arg(long, value_name = "C")]
    pub chunk: Option<usize>,
}

/// How to pick tokens. What is not given comes from the model.
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

/// Reads the command line; `None` if it asked for help or the version and has got it.
pub fn parse(args: impl Iterator<Item = OsString>) -> Outcome<Option<Cli>> {
    let args = shield_text(args.collect());
    match Cli::try_parse_from(&args) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => {
            console::put(error.render().to_string().as_bytes()).map(|()| None)
        }
        Err(error) => Err(usage(&args, &error)),
    }
}

/// Options of `tokenize` that take the next argument, and those that do not.
const TOKENIZE_VALUES: [&str; 5] = ["-m", "--model", "-f", "--file", "--messages"];
const TOKENIZE_FLAGS: [&str; 5] =
    ["--no-generation-prompt", "--no-special", "--plain", "-h", "--help"];

/// `tokenize` takes any text, also `-5` or `-minus`: what is not exactly one of its options
/// is put behind a `--`, so that no letter of it is taken for an option.
fn shield_text(args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_none_or(|command| command != "tokenize") {
        return args;
    }
    let (mut options, mut texts) = (Vec::new(), Vec::new());
    let mut rest = args.into_iter();
    options.extend(rest.by_ref().take(2));
    while let Some(arg) = rest.next() {
        if arg == "--" {
            texts.extend(rest.by_ref());
        } else if TOKENIZE_VALUES.iter().any(|option| arg == *option) {
            options.push(arg);
            options.extend(rest.next());
        } else if is_tokenize_option(&arg) {
            options.push(arg);
        } else {
            texts.push(arg);
        }
    }
    options.push("--".into());
    options.extend(texts);
    options
}

fn is_tokenize_option(arg: &OsStr) -> bool {
    let name = arg.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
    TOKENIZE_FLAGS.iter().any(|flag| arg == *flag)
        || (name.len() < arg.len()
            && name.starts_with(b"--")
            && TOKENIZE_VALUES.iter().any(|option| name == option.as_bytes()))
}

/// clap's complaint as one line of our form.
fn usage(args: &[OsString], error: &clap::Error) -> Stop {
    let given = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default();
    let known = Cli::command().get_subcommands().any(|command| command.get_name() == given);
    let (thing, help) = if known {
        (given.to_owned(), format!("see oarlock {given} --help"))
    } else {
        ("command line".to_owned(), "see oarlock --help".to_owned())
    };
    fault(thing, complaint(error), help)
}

/// The first paragraph of what clap prints, which is its complaint.
fn complaint(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "something is missing".to_owned();
    }
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    words.strip_prefix("error: ").unwrap_or(&words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Outcome<Option<Cli>> {
        parse(std::iter::once("oarlock").chain(line.iter().copied()).map(OsString::from))
    }

    fn text(line: &[&str]) -> OsString {
        match read(line) {
            Ok(Some(Cli { command: Some(Command::Tokenize(it)), .. })) => it.text.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_chat() {
        let cli = read(&["-p", "- a", "-n", "3", "--temp", "0"]).unwrap().unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.chat.message.unwrap(), "- a");
    }

    #[test]
    fn any_text_can_be_tokenized() {
        for odd in ["-5", "-minus", "- a", " x", "--", "-f.", "--plainer", "-", "", "a=b"] {
            let line =
                if odd == "--" { vec!["tokenize", "--", odd] } else { vec!["tokenize", odd] };
            assert_eq!(text(&line), odd);
        }
        assert_eq!(text(&["tokenize", "-5", "--plain", "-m", "x"]), "-5");
        assert!(read(&["tokenize", "a", "-f", "b"]).is_err());
    }

    #[test]
    fn a_usage_error_is_one_line() {
        for line in [
            &["generate"][..],
            &["frobnicate"],
            &["--temp", "hot"],
            &["generate", "-p", "x", "-f", "y"],
            &["bench", "-n", "0"],
            &["chat", "--top-p", "1.5"],
            &["inspect", "a", "-m", "b"],
        ] {
            let Err(Stop::Fault(said)) = read(line) else { panic!("{line:?}") };
            assert!(said.ends_with("--help)") && !said.contains('\n'), "{said}");
        }
    }
}
