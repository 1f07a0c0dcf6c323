//! `oarlock chat`: a conversation that never fills up.

mod conversation;
mod lines;

use std::ffi::OsStr;
use std::io::IsTerminal;

use crate::engine::Engine;
use crate::errors::{Outcome, Stop};
use crate::model_file::ModelFile;
use crate::signals::Answering;
use crate::words::Words;
use crate::{args, chatting, console, note, sampling, texts};
use conversation::{Conversation, Talk};
use lines::Lines;

const HELP: &str = "\
/help           this list
/clear          forget the conversation
/system [TEXT]  start anew with this system prompt, or with none
/stats          how much was said and how fast
/regen          answer the last message again
/exit           leave, as Ctrl-D does
Ctrl-C stops an answer. Everything else is a message.";

/// Answers one message, or whatever comes on stdin.
pub fn run(args: &args::Chat) -> Outcome {
    let stops = sampling::stops(&args.sampling)?;
    let system = text("--system", args.system.as_deref())?;
    let message = text("--message", args.message.as_deref())?;
    let file = ModelFile::open(&args.run.model)?;
    let model = file.model()?;
    let chat = chatting::program(&file, &model)?;
    let words = Words::new(file.tokenizer(&model)?);
    let drafts = usize::from(args.lookup);
    let mut engine = Engine::with(&args.run, &model, |options| options.draft = drafts)?;
    let options = engine.options();
    let (session, machine) = engine.session(model)?;
    let interactive = message.is_none() && std::io::stdin().is_terminal();
    let sampler = sampling::sampler(&args.sampling, &model);
    let limit = args.limit.unwrap_or(if interactive { u64::MAX } else { args::DEFAULT_LIMIT });
    let talk = Talk { chat, words, limit, pin_system: args.run.sinks.is_none() };
    let mut conversation = Conversation::new(talk, session, machine, sampler, stops, system);
    if let Some(message) = message {
        return answer_once(&mut conversation, &message);
    }
    if interactive {
        let (isa, threads) = (machine.isa.name(), machine.exec.threads());
        note!("{}, context {}, {threads} threads, {isa}", file.name(), options.context);
        note!("Type a message. /help lists the commands, Ctrl-D leaves.");
    }
    converse(&mut conversation, &mut Lines::new(interactive))
}

fn text(name: &str, given: Option<&OsStr>) -> Outcome<Option<String>> {
    given.map(|text| texts::argument(name, text).map(str::to_owned)).transpose()
}

/// `-p`: an interrupted answer is then an interrupted program.
fn answer_once(conversation: &mut Conversation<'_>, message: &str) -> Outcome {
    let answer = conversation.say(message, &|| false)?;
    console::put(b"\n")?;
    note!("{answer}");
    Ok(())
}

fn converse(conversation: &mut Conversation<'_>, lines: &mut Lines) -> Outcome {
    while let Some(line) = lines.next()? {
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        match command {
            "" if rest.trim().is_empty() => {}
            "/help" => note!("{HELP}"),
            "/clear" => conversation.start_anew(None)?,
            "/system" => conversation.start_anew(Some(rest.trim()))?,
            "/stats" => note!("{}", conversation.stats()),
            "/regen" => answer(conversation, Conversation::regenerate)?,
            "/exit" => return Ok(()),
            _ if lines.interactive() && looks_like_command(command) => {
                note!("There is no command {command}: /help lists them.");
            }
            _ => answer(conversation, |it, interrupted| it.say(&line, interrupted))?,
        }
    }
    Ok(())
}

/// `/usr/bin` is not one.
fn looks_like_command(word: &str) -> bool {
    word.strip_prefix('/').is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase()))
}

/// One answer, which the first Ctrl-C stops.
fn answer<'a>(
    conversation: &mut Conversation<'a>,
    act: impl FnOnce(&mut Conversation<'a>, &dyn Fn() -> bool) -> Outcome<crate::answer::Answer>,
) -> Outcome {
    let answering = Answering::start();
    let answer = match act(conversation, &|| answering.stopped()) {
        // Not the end of the conversation: there is nothing to regenerate, say.
        Err(Stop::Refused(why)) => {
            note!("{why}");
            return Ok(());
        }
        other => other?,
    };
    console::put(b"\n")?;
    note!("{answer}");
    Ok(())
}
