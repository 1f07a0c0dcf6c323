//! From words to [`Cli`], and clap's complaints to our one line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::error::ErrorKind;
use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

use oarlock::visible::Visible;

use super::options::Cli;
use crate::terminal::console;
use crate::terminal::errors::{Outcome, Stop, fault};

/// Reads the command line; `None` if it asked for help or the version and has got it.
pub fn parse(args: impl Iterator<Item = OsString>) -> Outcome<Option<Cli>> {
    let args = shield_text(args.collect());
    let read = command().try_get_matches_from(&args);
    match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => {
            console::put_line(error.render().to_string().trim_end()).map(|()| None)
        }
        Err(error) => Err(usage(&args, &spelled_out(&args, error))),
    }
}

/// The definition; that `stream` compares several numbers of sinks; and that a date is for what is
/// put into a chat template.
fn command() -> Command {
    let several = |sinks: clap::Arg| {
        let help = "First tokens, kept for ever; several numbers are compared";
        sinks.action(ArgAction::Append).value_delimiter(',').help(help)
    };
    // Not `requires`: clap lets that be where what is required conflicts with what is there.
    let of_messages = |date: clap::Arg| date.conflicts_with_all(["text", "file"]);
    Cli::command()
        .mut_subcommand("stream", |stream| stream.mut_arg("sinks", several))
        .mut_subcommand("tokenize", |tokenize| tokenize.mut_arg("date", of_messages))
        .mut_subcommand("generate", |generate| {
            generate.mut_arg("date", |date| date.requires("chat"))
        })
}

/// Options of `tokenize` that take the next argument, and those that do not.
const TOKENIZE_VALUES: [&str; 7] =
    ["-m", "--model", "--weights", "-f", "--file", "--messages", "--date"];
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

/// The same complaint about words in which controls are spelled out: of what it repeats, clap
/// leaves the escape sequences out, which hides what was given.
fn spelled_out(args: &[OsString], error: clap::Error) -> clap::Error {
    let visible = args.iter().map(|arg| Visible::line(arg.as_bytes()).to_string());
    let again = command().try_get_matches_from(visible);
    again.err().filter(|again| again.kind() == error.kind()).unwrap_or(error)
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
    use super::super::options::Command;
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
        command().debug_assert();
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
