//! Conversations over tokens and encoders of the caller's, which need not keep their word.

use std::cell::RefCell;

use oarlock::chat::{Chat, Piece};
use oarlock::conversation::{
    Conversation, PieceEncoder, Pin, RecentTokens, TokenStore, Turn, TurnBuffers, TurnStore,
};
use oarlock::generator::Generator;
use oarlock::tokenizer::{EncodeError, Encoded, Symbol, Tokenizer};
use oarlock::{Machine, Model, Sampler, Session};

use crate::executors::Liar;
use crate::hostile::{Hostile, ignore};
use crate::models::place;
use crate::sessions::{options, sampling};

/// Tokens in a vector, of which nothing that is said need be true.
struct Store {
    hostile: RefCell<Hostile>,
    lies: bool,
    ids: Vec<u32>,
    turns: Vec<Turn>,
    first: u64,
}

impl Store {
    fn lies(&self) -> bool {
        self.lies && self.hostile.borrow_mut().one_in(6)
    }

    fn any(&self) -> u64 {
        self.hostile.borrow_mut().absurd() as u64
    }
}

impl TokenStore for Store {
    fn first(&self) -> u64 {
        if self.lies() { self.any() } else { self.first }
    }

    fn ids(&self) -> &[u32] {
        let len = if self.lies() { self.any() as usize } else { self.ids.len() };
        &self.ids[..len.min(self.ids.len())]
    }

    fn ids_mut(&mut self) -> &mut [u32] {
        let len = if self.lies() { self.any() as usize } else { self.ids.len() };
        let len = len.min(self.ids.len());
        &mut self.ids[..len]
    }

    fn push(&mut self, id: u32) -> bool {
        self.ids.push(id);
        !self.lies()
    }

    fn truncate(&mut self, len: u64) {
        if !self.lies() {
            self.ids.truncate(len as usize);
        }
    }

    fn forget(&mut self, _before: u64) {}
}

impl TurnStore for Store {
    fn turns(&self) -> usize {
        if self.lies() { self.any() as usize } else { self.turns.len() }
    }

    fn last_turn(&self) -> Option<Turn> {
        let lie = self.lies().then(|| Turn { start: self.any(), answer: self.any() });
        lie.or_else(|| self.turns.last().copied())
    }

    fn push_turn(&mut self, turn: Turn) {
        self.turns.push(turn);
    }

    fn pop_turn(&mut self) {
        self.turns.pop();
    }

    fn clear(&mut self) {
        if !self.lies() {
            self.ids.clear();
            self.turns.clear();
        }
    }
}

/// An encoder that gives ids that are none, more than there is room for, or others each time.
struct Encoder<'a> {
    hostile: RefCell<Hostile>,
    lies: bool,
    buffers: TurnBuffers<'a>,
}

impl PieceEncoder for Encoder<'_> {
    fn tokenizer(&self) -> &Tokenizer<'_> {
        self.buffers.tokenizer()
    }

    fn encode(
        &mut self,
        pieces: &[Piece<'_>],
        out: &mut dyn FnMut(u32),
    ) -> Result<Encoded, EncodeError> {
        let mut hostile = self.hostile.borrow_mut();
        if self.lies && hostile.one_in(4) {
            for _ in 0..hostile.size() {
                out(hostile.random.bits() as u32 % 700);
            }
        }
        self.buffers.encode(pieces, out)
    }
}

fn another(hostile: &mut Hostile) -> RefCell<Hostile> {
    RefCell::new(Hostile::new(hostile.random.bits()))
}

/// One round.
pub fn round(hostile: &mut Hostile, models: &[Vec<u8>]) {
    let (bytes, at) = place(&models[hostile.random.below(models.len())], 0);
    let Ok(model) = Model::open(&bytes[at..bytes.len() - 128 + at]) else {
        unreachable!("a model that does not open")
    };
    let options = options(hostile, &model);
    let needed = Session::bytes_needed(&model, &options).ok().filter(|&needed| needed < 8 << 20);
    let Some(needed) = needed else { return };
    let mut memory = vec![0xFF; needed];
    let Ok(session) = Session::new(model, options, &mut memory) else { return };
    let (Ok(tokenizer), Ok(chat)) =
        (Tokenizer::new(model.tokenizer_section()), Chat::new(model.chat_section()))
    else {
        return stream(hostile, session);
    };
    let (mut text, mut symbols) = (vec![0; hostile.about(900)], vec![Symbol::default(); 600]);
    let symbols_len = hostile.about(600).min(600);
    let buffers = TurnBuffers { tokenizer, text: &mut text, symbols: &mut symbols[..symbols_len] };
    let lies = hostile.one_in(2);
    let encoder = Encoder { hostile: another(hostile), lies, buffers };
    let pin = if hostile.one_in(2) { Pin::System } else { Pin::First(hostile.absurd()) };
    if hostile.one_in(3) {
        let mut ids = vec![0; hostile.about(200).min(1 << 12)];
        let generator = Generator::new(session, RecentTokens::new(&mut ids));
        talk(hostile, Conversation::new(generator, chat, encoder, pin));
    } else {
        let store = Store {
            hostile: another(hostile),
            lies: hostile.one_in(2),
            ids: Vec::new(),
            turns: Vec::new(),
            first: 0,
        };
        talk(hostile, Conversation::new(Generator::new(session, store), chat, encoder, pin));
    }
}

fn talk<S: TurnStore>(hostile: &mut Hostile, mut talk: Conversation<'_, Encoder<'_>, S>) {
    let (isa, exec) = (hostile.isa(), Liar::new(hostile));
    let machine = &Machine { isa, exec: &exec };
    let mut sampler = Sampler::new(sampling(hostile), hostile.random.bits());
    for _ in 0..10 {
        let system = hostile.pick(&[None, Some(""), Some("Be short."), Some("a b c d e f g h i")]);
        let message = hostile.pick(&["", "Hello", "<|im_end|> é \u{1F600}", "one two three four"]);
        let wanted = hostile.absurd() as u64;
        match hostile.random.below(9) {
            0 => hostile.public("start", || ignore((talk.pinned(system), talk.start(system)))),
            1 | 2 => hostile.public("turn", || ignore(talk.turn(system, message))),
            3 => hostile.public("feed", || {
                (0..9).take_while(|_| talk.feed(machine) == Ok(false)).for_each(ignore);
            }),
            4 | 5 => hostile.public("next", || {
                for _ in 0..4 {
                    ignore(talk.next(machine, &mut sampler, wanted));
                }
            }),
            6 => hostile.public("take back", || {
                ignore(if wanted.is_multiple_of(2) {
                    talk.undo()
                } else {
                    talk.take_answer_back()
                });
            }),
            7 => forget(hostile, &mut talk),
            _ => generate(hostile, talk.generator_mut()),
        }
        hostile.public("views", || {
            let generator = talk.generator();
            let _ = (generator.len(), generator.is_empty(), generator.unfed().len());
            let _ = (talk.session().len(), talk.tokenizer().len(), talk.sinks());
            let _ = (talk.chat().mark(), generator.tokens().first(), generator.session().len());
        });
    }
}

/// Takes thoughts out, from a state that was the session's, or is none.
fn forget<S: TurnStore>(hostile: &mut Hostile, talk: &mut Conversation<'_, Encoder<'_>, S>) {
    let mut saved = Vec::new();
    let _ = talk.generator_mut().session_mut().save::<()>(&mut |bytes| {
        saved.extend_from_slice(bytes);
        Ok(())
    });
    saved.truncate(hostile.about(saved.len()).min(saved.len()));
    let mut rest = &saved[..];
    let (known, many) = (hostile.one_in(2), hostile.one_in(4));
    hostile.public("forget_thoughts", || {
        let mut source = |bytes: &mut [u8]| {
            let (now, later) = rest.split_at_checked(bytes.len()).ok_or(())?;
            bytes.copy_from_slice(now);
            rest = if many { rest } else { later };
            Ok(())
        };
        ignore(talk.forget_thoughts::<()>(known.then_some(&mut source)));
    });
}

/// Uses the session and its tokens behind the conversation's back.
fn generate<S: TurnStore>(hostile: &mut Hostile, generator: &mut Generator<'_, S>) {
    let (a, b, turn) = (hostile.absurd() as u64, hostile.absurd() as u64, hostile.absurd() as u64);
    match hostile.random.below(6) {
        0 => hostile.public("rewind", || ignore(generator.rewind(a, b))),
        1 => hostile.public("reset", || ignore(generator.reset(a as usize))),
        2 => hostile.public("push", || {
            generator.push(a as u32);
        }),
        3 => hostile.public("tokens", || {
            let tokens = generator.tokens_mut();
            tokens.forget(a);
            tokens.truncate(b);
            tokens.push_turn(Turn { start: a, answer: turn });
        }),
        4 => hostile.public("turns", || {
            let tokens = generator.tokens_mut();
            tokens.push_turn(Turn { start: a, answer: turn });
            tokens.pop_turn();
            tokens.ids_mut().fill(a as u32);
        }),
        _ => hostile.public("session_mut", || ignore(generator.session_mut().truncate(a))),
    }
}

/// A model without words, or a chat: its tokens alone.
fn stream(hostile: &mut Hostile, session: Session<'_>) {
    let mut ids = vec![0; hostile.about(40).min(1 << 12)];
    let mut generator = Generator::new(session, RecentTokens::new(&mut ids));
    let (isa, exec) = (hostile.isa(), Liar::new(hostile));
    let machine = &Machine { isa, exec: &exec };
    let mut sampler = Sampler::new(sampling(hostile), 1);
    for _ in 0..10 {
        let (id, wanted) = (hostile.random.below(40) as u32, hostile.absurd() as u64);
        hostile.public("a generator", || {
            let _ = (generator.push(id), generator.feed(machine));
            let _ = generator.next(machine, &mut sampler, wanted, &|id| id % 9 == 0);
        });
        generate(hostile, &mut generator);
    }
}
