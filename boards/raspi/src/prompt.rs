//! Lines in, answers out, for ever. Without a model the prompt is there all the same, to say
//! why.
#![allow(unsafe_code)]

use oarlock_raspi::line::{Editor, LINE, PROMPT, Typed};

use crate::board::Board;
use crate::chat::ConsoleChat;
use crate::console::{print, println};
use crate::firmware::Firmware;
use crate::model::Fault;
use crate::{console, power};

const HELP: &str = "\
/help           this list
/clear          forget the conversation
/system [TEXT]  start anew with this system prompt, or with none
/stats          how much was said and how fast, and which core did how much
/reboot         start the board again
Ctrl-C stops an answer, Ctrl-U empties a line, the arrows bring earlier ones back.
Everything else is a message.";

/// The prompt.
pub fn run(board: &Board, firmware: &Firmware, mut chat: Result<ConsoleChat, Fault>) -> ! {
    if let Err(fault) = &chat {
        println!("error: {fault}");
    }
    let mut editor = Editor::new();
    loop {
        match read_line(&mut editor) {
            Typed::Line => match core::str::from_utf8(editor.line()) {
                Ok(line) => obey(board, firmware, &mut chat, line),
                Err(error) => {
                    let at = error.valid_up_to();
                    println!("error: line: not UTF-8 at byte offset {at} (type text in UTF-8)");
                }
            },
            Typed::TooLong => {
                println!("error: line: longer than {LINE} bytes (say it in parts)");
            }
            Typed::Interrupted | Typed::More => {}
        }
        let lost = console::lost();
        if lost > 0 {
            println!("error: console: bytes came too fast, {lost} times (type again, slower)");
        }
    }
}

/// Shows the prompt and takes bytes until a line is complete.
fn read_line(editor: &mut Editor) -> Typed {
    print!("{PROMPT}");
    loop {
        let typed = editor.take(console::read(), &mut console::put);
        if typed != Typed::More {
            return typed;
        }
    }
}

fn obey(board: &Board, firmware: &Firmware, chat: &mut Result<ConsoleChat, Fault>, line: &str) {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (command, chat) {
        ("", _) if rest.trim().is_empty() => {}
        ("/help", _) => println!("{HELP}"),
        ("/reboot", _) => restart(board),
        ("/exit", _) if firmware.flags().semihosting => power::exit(0),
        (_, Err(fault)) => println!("error: {fault}"),
        ("/clear", Ok(chat)) => chat.reset(None),
        ("/system", Ok(chat)) => chat.reset(Some(rest.trim())),
        ("/stats", Ok(chat)) => chat.stats(),
        (_, Ok(_)) if looks_like_command(command) => {
            println!("There is no command {command}: /help lists them.");
        }
        (_, Ok(chat)) => chat.say(line),
    }
}

/// `/usr/bin` is not one.
fn looks_like_command(word: &str) -> bool {
    word.strip_prefix('/').is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase()))
}

fn restart(board: &Board) -> ! {
    println!("The board starts again.");
    console::flush();
    // SAFETY: the board's table says where.
    unsafe { power::reset(board.reset) }
}
