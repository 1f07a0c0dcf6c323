//! The library as programs use it: text that follows a prompt, and conversations.

use std::path::{Path, PathBuf};

use oarlock::chat::Chat;
use oarlock::conversation::{
    Conversation, PieceEncoder, Pin, RecentTokens, Rewound, TokenStore, TurnBuffers, TurnError,
    TurnStore,
};
use oarlock::generator::Generator;
use oarlock::tokenizer::Symbol;
use oarlock::{Machine, Options, Sampler, Sampling, TruncateError};
use oarlock_hosted::{Engine, Error, TextEncoder, TextStream, Transcript};

/// A tiny model with random weights, in a file that goes with this value.
struct Tiny(PathBuf);

impl Tiny {
    fn new(name: &str) -> Self {
        let file = format!("oarlock-hosted-{name}-{}.oar", std::process::id());
        let (tiny, source) =
            (Self(std::env::temp_dir().join(file)), "../../tests/fixtures/tiny/gqa");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let options = oarlock_convert::ConvertOptions::default();
        oarlock_convert::convert(&source, &tiny.0, &options, &oarlock_convert::Silent)
            .expect("a model");
        tiny
    }

    fn engine(&self) -> Engine {
        Engine::open(&self.0).expect("a model")
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn greedy() -> Sampler {
    Sampler::new(Sampling { temp: 0.0, ..Sampling::default() }, 0)
}

fn options(engine: &Engine) -> Options {
    Options { context: 64, chunk: 8, draft: 3, ..engine.options() }
}

#[test]
fn a_file_knows_when_it_was_written_to() {
    let tiny = Tiny::new("changed");
    let engine = tiny.engine();
    assert!(engine.file().is_unchanged());
    let bytes = std::fs::read(&tiny.0).expect("a model");
    let mut file = std::fs::File::options().write(true).open(&tiny.0).expect("a model");
    std::io::Write::write_all(&mut file, &bytes).expect("room");
    assert!(!engine.file().is_unchanged());
}

#[test]
fn generated_text_is_that_of_the_session() {
    let tiny = Tiny::new("text");
    let engine = tiny.engine();
    let mut memory = engine.memory(options(&engine)).expect("memory");
    let text = engine.generate("hello there", &mut memory).expect("a text").sampler(greedy());
    let text: Vec<String> = text.take(40).collect::<Result<_, _>>().expect("text");

    let model = engine.model();
    let tokenizer = engine.file().tokenizer(&model).expect("a tokenizer");
    let mut memory = engine.memory(options(&engine)).expect("memory");
    let (mut session, machine) = (engine.session(&mut memory).expect("memory"), engine.machine());
    let ids = TextEncoder::new(tokenizer).encode_prompt("hello there").expect("ids").ids;
    session.feed(&machine, &ids).expect("fed");
    let (mut sampler, mut stream, mut expected) = (greedy(), TextStream::new(&[]), Vec::new());
    while expected.len() < text.len() {
        let id = session.sample(&machine, &mut sampler);
        if tokenizer.is_end(id) {
            expected.push(stream.finish());
            break;
        }
        if !tokenizer.is_special(id) {
            expected.push(stream.push(tokenizer.bytes(id)));
        }
        expected.retain(|text| !text.is_empty());
        session.feed(&machine, &[id]).expect("fed");
    }
    assert_eq!(text, expected);
}

#[test]
fn a_text_without_tokens_has_no_continuation() {
    let tiny = Tiny::new("none");
    let engine = tiny.engine();
    let mut memory = engine.memory(options(&engine)).expect("memory");
    assert!(matches!(engine.generate("", &mut memory).err(), Some(Error::NoTokens)));
}

#[test]
fn answers_know_what_was_said_before() {
    let tiny = Tiny::new("chat");
    let engine = tiny.engine();
    let options = Options { context: 400, ..options(&engine) };
    let mut memory = engine.memory(options).expect("memory");
    let mut chat = engine.chat(Some("Be brief."), &mut memory).expect("a chat").sampler(greedy());
    let mut ask = |message: &str| -> String {
        chat.ask(message).expect("a turn").take(12).collect::<Result<_, _>>().expect("text")
    };
    let first = ask("hello");
    assert_ne!(ask("hello"), "", "the conversation goes on");
    let rewound = chat.conversation().undo().expect("a turn");
    assert_eq!(rewound, Rewound::AtOnce);
    chat.conversation().undo().expect("a turn");
    assert!(matches!(chat.conversation().undo(), Err(TurnError::NoTurn)));
    let again: String =
        chat.ask("hello").expect("a turn").take(12).collect::<Result<_, _>>().expect("text");
    assert_eq!(again, first);
}

/// Says a message and gives the ids of the answer.
fn say<E: PieceEncoder, S: TurnStore>(
    conversation: &mut Conversation<'_, E, S>,
    machine: &Machine<'_>,
    message: &str,
) -> Vec<u32> {
    conversation.turn(None, message).expect("a turn");
    answer(conversation, machine)
}

fn answer<E: PieceEncoder, S: TurnStore>(
    conversation: &mut Conversation<'_, E, S>,
    machine: &Machine<'_>,
) -> Vec<u32> {
    let mut sampler = greedy();
    while !conversation.feed(machine).expect("known tokens") {}
    let next = |i: u64| conversation.next(machine, &mut sampler, 20 - i).expect("known tokens");
    (0..20_u64).map_while(next).collect()
}

#[test]
fn slices_hold_the_conversation_that_vectors_hold() {
    let tiny = Tiny::new("slices");
    let (engine, other) = (tiny.engine(), tiny.engine());
    let model = engine.model();
    let chat = Chat::new(model.chat_section()).expect("a template");
    let tokenizer = engine.file().tokenizer(&model).expect("a tokenizer");
    let (machine, [mut memory, mut recent]) =
        (engine.machine(), [&engine, &other].map(|e| e.memory(options(e)).expect("memory")));

    let generator =
        Generator::new(engine.session(&mut memory).expect("memory"), Transcript::default());
    let mut whole = Conversation::new(generator, chat, TextEncoder::new(tokenizer), Pin::System);
    // Room for a turn and little more, so that what was fed is let go of.
    let (mut text, mut symbols, mut ids) = (vec![0; 600], vec![Symbol::default(); 300], [0; 60]);
    let buffers = TurnBuffers { tokenizer, text: &mut text, symbols: &mut symbols };
    let tokens = RecentTokens::new(&mut ids);
    let generator = Generator::new(other.session(&mut recent).expect("memory"), tokens);
    let mut slices = Conversation::new(generator, chat, buffers, Pin::System);

    whole.start(None).expect("begun");
    slices.start(None).expect("begun");
    for message in ["hello there", "how are you", "and you", "so so", "well", "then"] {
        let said = say(&mut whole, &machine, message);
        assert_eq!(say(&mut slices, &machine, message), said, "{message}");
        assert_eq!(whole.generator().len(), slices.generator().len());
        assert!(whole.generator().tokens().ids().ends_with(slices.generator().tokens().ids()));
    }
    assert!(slices.generator().tokens().first() > 0, "some were let go of");
    let back = whole.undo().expect("a turn");
    match back {
        Rewound::AtOnce => {
            assert_eq!(slices.undo(), Ok(back));
            let again = say(&mut whole, &machine, "or not");
            assert_eq!(say(&mut slices, &machine, "or not"), again);
        }
        // Whoever has let go of the beginning cannot begin anew.
        Rewound::ByReplay(_) => {
            assert_eq!(slices.undo(), Err(TurnError::Truncate(TruncateError::Forgotten)));
        }
    }
    let long = "many words ".repeat(100);
    let before = slices.generator().len();
    assert_eq!(slices.turn(None, &long).err(), Some(TurnError::TooLong));
    assert_eq!(slices.generator().len(), before, "the turn has not been");
}
