//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use oarlock::visible::Visible;
use oarlock_convert::{
    Board, CardOptions, ConvertOptions, Error, ImageOptions, OutputMatrix, Shown, Weights,
    default_name,
};

/// Converts a model to .oar
#[derive(Debug, Parser)]
#[command(
    name = "oarlock-convert",
    version,
    override_usage = "oarlock-convert [convert] SRC [-o OUT.oar] [--weights W] [--output-matrix H] [--kv-heads G]"
)]
struct Convert {
    /// A Hugging Face model directory (safetensors) or a .gguf file
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The file to write [default: SRC's name + .oar, in the working directory]
    #[arg(short, long = "output", value_name = "OUT.oar")]
    out: Option<PathBuf>,
    /// Storage of matrices; auto: by what the source has [default: auto]
    #[arg(long, value_name = "W", value_parser = PossibleValuesParser::new(Weights::NAMES))]
    weights: Option<String>,
    /// Storage of the output matrix (and the embedding, when tied) [default: int8 from floats;
    /// with --weights auto, f32 or keep, the same]
    #[arg(long, visible_alias = "head", value_name = "H", value_parser = matrix_names())]
    output_matrix: Option<String>,
    /// Pool key and value heads into G, for a smaller cache and worse answers
    #[arg(long, value_name = "G")]
    kv_heads: Option<usize>,
}

/// Puts a program and a model together into one thing that runs on another machine
#[derive(Debug, Parser)]
#[command(
    name = "oarlock-convert image",
    version,
    override_usage = "oarlock-convert image --board B --model M.oar [--program FILE] -o OUT
       oarlock-convert image --board raspi --model M.oar --kernel FILE [--firmware DIR] -o OUT"
)]
struct Image {
    /// The board it is to run on
    #[arg(long, value_name = "B", value_parser = boards())]
    board: String,
    /// The model
    #[arg(short, long, value_name = "M.oar")]
    model: PathBuf,
    /// The board's oarlock [default: the one built beside this program]
    #[arg(long, visible_alias = "kernel", value_name = "FILE")]
    program: Option<PathBuf>,
    /// raspi: the firmware's files, to write a whole disk instead of a folder
    #[arg(long, value_name = "DIR")]
    firmware: Option<PathBuf>,
    /// raspi: tokens that the cache holds [default: the model's own, at most 4096]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// raspi: MiB of memory that the board has [default: 1024]
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// The file (for apple, and raspi without --firmware: the folder) to write
    #[arg(short, long = "output", value_name = "OUT")]
    out: PathBuf,
}

/// A command of the user.
#[derive(Debug)]
pub enum Command {
    /// Convert a model.
    Convert {
        /// The model's directory or file.
        source: PathBuf,
        /// The file to write.
        out: PathBuf,
        /// The user's choices.
        options: ConvertOptions,
    },
    /// Make an image.
    Image(ImageOptions),
    /// Print this and be done.
    Print(String),
}

/// Reads the arguments, program name included.
///
/// A first argument that names a command selects it; `convert` may be left out.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Command, Error> {
    let mut args: Vec<_> = args.collect();
    let command = args.get(1).filter(|arg| *arg == "convert" || *arg == "image").cloned();
    if command.is_some() {
        args.remove(1);
    }
    let read: Reader = if command.is_some_and(|name| name == "image") {
        |args| Image::try_parse_from(args).map(|image| Ok(image.command()))
    } else {
        |args| Convert::try_parse_from(args).map(Convert::command)
    };
    match read(&args) {
        Ok(command) => command,
        Err(e) if !e.use_stderr() => Ok(Command::Print(e.render().to_string())),
        Err(e) => Err(usage(&spelled_out(read, &args, e).render().to_string())),
    }
}

type Reader = fn(&[OsString]) -> Result<Result<Command, Error>, clap::Error>;

/// The same complaint about words in which controls are spelled out: of what it repeats, clap
/// leaves the escape sequences out, which hides what was given.
fn spelled_out(read: Reader, args: &[OsString], error: clap::Error) -> clap::Error {
    let visible = |arg: &OsString| Visible::line(arg.as_bytes()).to_string().into();
    let again = read(&args.iter().map(visible).collect::<Vec<OsString>>());
    again.err().filter(|again| again.kind() == error.kind()).unwrap_or(error)
}

impl Image {
    fn command(self) -> Command {
        let named = Board::ALL.into_iter().find(|board| board.name() == self.board);
        // clap has seen the name.
        let board = named.unwrap_or(Board::LinuxX86_64);
        let Self { model, program, out, firmware, context, memory: memory_mib, .. } = self;
        let card = CardOptions { firmware, context, memory_mib };
        Command::Image(ImageOptions { board, model, program, out, card })
    }
}

fn boards() -> PossibleValuesParser {
    Board::ALL.map(Board::name).into_iter().collect::<Vec<_>>().into()
}

impl Convert {
    fn command(self) -> Result<Command, Error> {
        let options = ConvertOptions {
            weights: self.weights.as_deref().and_then(Weights::from_name),
            // clap has seen the name: one that is no type is `same`.
            output_matrix: self
                .output_matrix
                .as_deref()
                .map(|name| Weights::from_name(name).map_or(OutputMatrix::Same, OutputMatrix::Own)),
            kv_heads: self.kv_heads,
        };
        let out = match self.out {
            Some(out) => out,
            None => default_out(&self.source)?,
        };
        Ok(Command::Convert { source: self.source, out, options })
    }
}

/// SRC's name, without `.gguf` and the number of a part, and `.oar`.
fn default_out(source: &std::path::Path) -> Result<PathBuf, Error> {
    // `.` and `..` have a name too.
    let full = source.canonicalize().map_err(|e| Error::read(source, &e))?;
    let unnamed = || Error::new(source.shown(), "it has no name", "give one with -o");
    default_name(&full).map(PathBuf::from).ok_or_else(unnamed)
}

fn matrix_names() -> PossibleValuesParser {
    Weights::NAMES.into_iter().chain(["same"]).into()
}

/// clap's message in one line: what is wrong, without its tips.
fn usage(message: &str) -> Error {
    let mut lines = message.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first).trim_end_matches(':');
    // The names of missing arguments, or the possible values, stand on a line below.
    let more = lines.next().filter(|line| !line.is_empty()).unwrap_or_default();
    let what = format!("{first} {more}");
    Error::new("arguments", what.trim(), "see oarlock-convert --help")
}

#[cfg(test)]
mod tests {
    use oarlock::internal::format::layout::WeightType;

    use super::*;

    fn run(args: &[&str]) -> Result<Command, Error> {
        parse(std::iter::once("oarlock-convert").chain(args.iter().copied()).map(Into::into))
    }

    #[test]
    fn commands_are_optional_and_choices_are_read() {
        for args in [&["convert", "m", "-o", "x"][..], &["m", "-o", "x"]] {
            let Ok(Command::Convert { source, out, options }) = run(args) else { panic!() };
            assert_eq!((source, out), ("m".into(), "x".into()));
            assert_eq!(options, ConvertOptions::default());
        }
        for name in ["--output-matrix", "--head"] {
            let all = ["m", "--weights", "int4a", name, "same", "-o", "x"];
            let Ok(Command::Convert { options, .. }) = run(&all) else { panic!() };
            assert_eq!(options.weights, Some(Weights::As(WeightType::Int4a)));
            assert_eq!(options.output_matrix, Some(OutputMatrix::Same));
        }
    }

    #[test]
    fn an_image_has_a_board_a_model_and_a_place() {
        let all = ["image", "--board", "apple", "--model", "m.oar", "--program", "p", "-o", "x"];
        let Ok(Command::Image(options)) = run(&all) else { panic!() };
        let (model, program) = ("m.oar".into(), Some("p".into()));
        let card = CardOptions::default();
        let expected = ImageOptions { board: Board::Apple, model, program, out: "x".into(), card };
        assert_eq!(options, expected);
        let all = ["image", "--board", "raspi", "--model", "m.oar", "--kernel", "k", "-o", "x"];
        let Ok(Command::Image(options)) = run(&[&all[..], &["--context", "9"]].concat()) else {
            panic!()
        };
        assert_eq!((options.program, options.card.context), (Some("k".into()), Some(9)));
    }

    #[test]
    fn usage_errors_are_one_line() {
        let cases = [
            (&["image", "--board", "toaster", "--model", "m", "-o", "x"][..], "'toaster'"),
            (&["image", "--board", "apple", "-o", "x"], "--model"),
            (&[], "SRC"),
            (&["m", "--weights", "int3"], "'int3'"),
            (&["m", "--bits", "4"], "'--bits'"),
            (&["m", "n"], "'n'"),
        ];
        for (args, part) in cases {
            let Err(error) = run(args) else { panic!("{args:?}") };
            let line = error.to_string();
            assert!(line.starts_with("arguments: ") && line.contains(part), "{line}");
            assert!(!line.contains('\n') && line.ends_with("--help)"), "{line}");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(matches!(run(&["--help"]), Ok(Command::Print(_))));
    }
}
