//! Messages in, answers out, and the commands between them.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use oarlock::Options;
use oarlock::conversation::Rewound;
use oarlock::visible::Visible;
use oarlock_convert::Shown;

use super::dialogue::{ChatConfig, Dialogue};
use super::saved::fingerprint;
use crate::generate::{Answer, sampling, template};
use crate::terminal::console::note;
use crate::terminal::errors::{Outcome, Stop, fault};
use crate::terminal::lines::Lines;
use crate::terminal::signals::Answering;
use crate::terminal::{console, input};
use crate::{args, model};

const HELP: &str = "\
/help           this list
/clear          forget the conversation
/system [TEXT]  start anew with this system prompt, or with none
/undo           take the last message and its answer back
/regen          answer the last message again
/context        what the model still sees
/stats          how much was said and how fast
/save [FILE]    keep the conversation in a file, by default that of --session
/load FILE      go on with the conversation in a file
/exit           leave, as Ctrl-D does
Ctrl-C stops an answer. Everything else is a message.";

/// Answers one message, or whatever comes on stdin.
pub fn run(args: &args::Chat) -> Outcome {
    let stops = sampling::stops(&args.sampling)?;
    let system = text("--system", args.system.as_deref())?;
    let message = text("--message", args.message.as_deref())?;
    let engine = model::engine(&args.run)?;
    let file = engine.file();
    let model = engine.model();
    let date = template::date(&args.day);
    let chat = template::program(file, &model, date.as_deref())?;
    let encoder = model::encoder(file, &model)?;
    let options = Options { draft: usize::from(args.lookup), ..model::options(&args.run, &model) };
    let mut memory = model::memory(&model, options)?;
    let (session, machine) = (model::session(model, &mut memory)?, engine.machine());
    let interactive = message.is_none() && std::io::stdin().is_terminal();
    let limit = args.limit.unwrap_or(if interactive { u64::MAX } else { args::DEFAULT_LIMIT });
    let (fingerprint, chosen) = (fingerprint(file, &model), &args.sampling);
    let (pin, goes_on) = (args.pin, message.is_none() || args.session.is_some());
    let config = ChatConfig { limit, pin, sampling: chosen, file, model: fingerprint, goes_on };
    let sampling = sampling::merge(chosen, model.sampling());
    let mut dialogue = Dialogue::new(config, (chat, encoder), (session, machine), sampling, stops);
    let kept = args.session.as_deref();
    begin(&mut dialogue, kept, system)?;
    if let Some(message) = message {
        answer_once(&mut dialogue, &message)?;
        return kept.map_or(Ok(()), |path| dialogue.save(path));
    }
    if interactive {
        let (isa, threads) = (machine.isa.name(), machine.exec.threads());
        let name = file.name();
        let name = Visible::line(&name);
        note!("{name}, context {}, {threads} threads, {isa}", options.context);
        note!("Type a message. /help lists the commands, Ctrl-D leaves.");
    }
    let lines = Lines::new(interactive);
    ChatLoop { dialogue, lines, session: args.session.clone() }.converse()
}

fn text(name: &str, given: Option<&OsStr>) -> Outcome<Option<String>> {
    given.map(|text| input::argument(name, text).map(str::to_owned)).transpose()
}

/// A new conversation, or the one that the session's file holds.
fn begin(dialogue: &mut Dialogue<'_>, kept: Option<&Path>, system: Option<String>) -> Outcome {
    let Some(path) = kept else { return dialogue.begin(system) };
    if !dialogue.load(path)? {
        dialogue.begin(system)?;
        // That it cannot be kept is better said before anything else is.
        return dialogue.save(path);
    }
    if system.as_deref().is_some_and(|system| dialogue.system() != Some(system)) {
        let what = format!("{} has another system prompt", path.shown());
        return Err(fault("--system", what, "leave --system out, or name another file"));
    }
    note!("{} messages so far in {}.", dialogue.turns(), path.shown());
    Ok(())
}

/// `-p`: an interrupted answer is then an interrupted program.
fn answer_once(dialogue: &mut Dialogue<'_>, message: &str) -> Outcome {
    let answer = dialogue.say(message, &|| false);
    end_line(&answer)?;
    dialogue.check_model()?;
    let answer = answer?;
    note!("{answer}");
    Ok(())
}

/// Ends the line of an answer that has come.
fn end_line(answer: &Outcome<Answer>) -> Outcome {
    if answer.is_ok() { console::put(b"\n") } else { Ok(()) }
}

/// A conversation and where it comes from and goes to.
struct ChatLoop<'a> {
    dialogue: Dialogue<'a>,
    lines: Lines,
    /// The file that is kept up to date.
    session: Option<PathBuf>,
}

impl<'a> ChatLoop<'a> {
    fn converse(mut self) -> Outcome {
        while let Some(line) = self.lines.next()? {
            let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            if command == "/exit" {
                return Ok(());
            }
            if !(command.is_empty() && rest.trim().is_empty()) {
                self.obey(&line, command, rest.trim())?;
            }
        }
        Ok(())
    }

    fn obey(&mut self, line: &str, command: &str, rest: &str) -> Outcome {
        let dialogue = &mut self.dialogue;
        let changed = match command {
            "/help" => return said(HELP),
            "/stats" => return said(&dialogue.stats()),
            "/context" => return said(&dialogue.sight()),
            "/save" => return self.save(rest),
            "/load" => self.load(rest),
            "/clear" => dialogue.reset(None),
            "/system" => dialogue.reset(Some(rest)),
            "/undo" => dialogue.undo().map(|how| note!("{}", undone(how))),
            "/regen" => {
                let how = dialogue.take_answer_back();
                let how = how.map(|how| note!("{}", regenerating(how)));
                return self.survive(how).and_then(|there| match there {
                    true => self.answer(Dialogue::answer),
                    false => Ok(()),
                });
            }
            _ if self.lines.interactive() && looks_like_command(command) => {
                return said(&format!("There is no command {command}: /help lists them."));
            }
            _ => return self.answer(|it, interrupted| it.say(line, interrupted)),
        };
        if self.survive(changed)? { self.keep() } else { Ok(()) }
    }

    /// Whether it was done. What a person can mend is said, and the conversation goes on.
    fn survive(&self, done: Outcome) -> Outcome<bool> {
        match done {
            Err(Stop::Refused(why)) => note!("{why}"),
            Err(Stop::Fault(line)) if self.lines.interactive() => note!("error: {line}"),
            other => return other.map(|()| true),
        }
        Ok(false)
    }

    /// Brings the session's file up to date.
    fn keep(&mut self) -> Outcome {
        let Some(path) = &self.session else { return Ok(()) };
        let done = self.dialogue.save(path);
        self.survive(done).map(drop)
    }

    fn save(&mut self, name: &str) -> Outcome {
        let named = Some(PathBuf::from(name)).filter(|_| !name.is_empty());
        let done = match named.as_ref().or(self.session.as_ref()) {
            Some(path) => self.dialogue.save(path).map(|()| note!("Kept in {}.", path.shown())),
            None => Err(fault("/save", "there is no --session to save", "name a file")),
        };
        self.survive(done).map(drop)
    }

    fn load(&mut self, name: &str) -> Outcome {
        if name.is_empty() {
            return Err(fault("/load", "no file is named", "name one"));
        }
        if !self.dialogue.load(Path::new(name))? {
            return Err(fault(name, "no such file or directory", "check the path"));
        }
        note!("{} messages so far in {}.", self.dialogue.turns(), Visible::line(name));
        Ok(())
    }

    /// One answer, which the first Ctrl-C stops.
    fn answer(
        &mut self,
        act: impl FnOnce(&mut Dialogue<'a>, &dyn Fn() -> bool) -> Outcome<Answer>,
    ) -> Outcome {
        let answering = Answering::start();
        let answer = act(&mut self.dialogue, &|| answering.stopped());
        drop(answering);
        end_line(&answer)?;
        // Asked first: another file is why the words of an error may make no sense.
        self.dialogue.check_model()?;
        let answer = answer?;
        note!("{answer}");
        self.keep()
    }
}

fn said(text: &str) -> Outcome {
    note!("{text}");
    Ok(())
}

fn undone(how: Rewound) -> String {
    match how {
        Rewound::AtOnce => "Taken back, at once.".to_owned(),
        Rewound::ByReplay(tokens) => format!(
            "Taken back. The ring has let go of what came before, so {tokens} tokens are read \
             again with the next message."
        ),
    }
}

fn regenerating(how: Rewound) -> String {
    match how {
        Rewound::AtOnce => "(taken back, at once)".to_owned(),
        Rewound::ByReplay(tokens) => {
            format!("(the ring has let go of what came before: {tokens} tokens are read again)")
        }
    }
}

/// `/usr/bin` is not one.
fn looks_like_command(word: &str) -> bool {
    word.strip_prefix('/').is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase()))
}
