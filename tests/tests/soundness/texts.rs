//! Tokenizers and chats of damaged sections, any text, and the choice of a token by any logits.

use oarlock::chat::{AnswerFilter, Chat, Step, Strip, Tags, Thinking, python_strip};
use oarlock::tokenizer::{Scratch, ScratchLen, Special, Symbol, Tokenizer, Utf8Stream};
use oarlock::visible::{Visible, VisibleStream, is_hidden};
use oarlock::{Candidate, Model, Sampler};

use crate::hostile::Hostile;
use crate::models::place;
use crate::sessions::sampling;

/// A copy, of which some bytes are others and the end may be missing.
fn damaged(hostile: &mut Hostile, section: &[u8]) -> Vec<u8> {
    let mut bytes = section.to_vec();
    if bytes.is_empty() || hostile.one_in(3) {
        return bytes;
    }
    for _ in 0..1 + hostile.random.below(4) {
        let within = if hostile.one_in(2) { bytes.len().min(256) } else { bytes.len() };
        let at = hostile.random.below(within);
        bytes[at] = hostile.pick(&[0, 1, 0x7F, 0x80, 0xFF, at as u8]);
    }
    if hostile.one_in(4) {
        bytes.truncate(hostile.random.below(bytes.len()));
    }
    bytes
}

fn text(hostile: &mut Hostile) -> String {
    let len = hostile.size();
    let mut one = |_| match hostile.random.below(6) {
        0 => char::from_u32(hostile.random.bits() as u32 % 0x11_0000).unwrap_or('\u{FFFD}'),
        1 => hostile.pick(&[' ', '\n', '\t', '\u{301}', '\u{200D}', '\u{1F600}', '中', 'é']),
        _ => char::from(b' ' + (hostile.random.bits() % 95) as u8),
    };
    (0..len).map(&mut one).collect()
}

/// One round.
pub fn round(hostile: &mut Hostile, models: &[Vec<u8>]) {
    let model = &models[hostile.random.below(models.len())];
    let (bytes, at) = place(model, 0);
    let Ok(good) = Model::open(&bytes[at..at + model.len()]) else {
        unreachable!("a model that does not open")
    };
    let sections =
        [good.tokenizer_section(), good.chat_section()].map(|section| damaged(hostile, section));
    tokenize(hostile, &sections[0]);
    chat(hostile, &sections);
    choose(hostile);
    show(hostile);
}

fn tokenize(hostile: &mut Hostile, section: &[u8]) {
    let (text, bytes, id) = (text(hostile), hostile.size(), hostile.random.bits() as u32);
    let bytes = hostile.bytes(bytes);
    let (symbols, room) = (hostile.about(1), hostile.about(1));
    hostile.public("a tokenizer", || {
        let Ok(tokenizer) = Tokenizer::new(section) else { return };
        let wanted: ScratchLen = tokenizer.scratch_len(&text);
        // Now and then less, or more, than is wanted.
        let len = |wanted: usize, about: usize| wanted.wrapping_add(about).wrapping_sub(1);
        let mut symbols = vec![Symbol::default(); len(wanted.symbols, symbols).min(1 << 16)];
        let mut room = vec![0; len(wanted.text, room).min(1 << 16)];
        for special in [Special::All, Special::None] {
            let scratch = Scratch { symbols: &mut symbols, text: &mut room };
            let _ = tokenizer.encode(&text, special, scratch, &mut |id| {
                let _ = tokenizer.bytes(id).len();
            });
        }
        let _ = tokenizer.merge_word(&bytes, &mut symbols, &mut |_| {});
        for id in [0, 1, id % 512, id, u32::MAX] {
            let _ = (tokenizer.bytes(id), tokenizer.first_bytes(id));
            let _ = (tokenizer.is_special(id), tokenizer.is_end(id));
        }
        let _ = tokenizer.prefix().chain(tokenizer.suffix()).count();
        let _ = (tokenizer.len(), tokenizer.is_empty());
        let mut stream = Utf8Stream::new();
        bytes.chunks(3).for_each(|bytes| stream.push(bytes, &mut |_| {}));
        stream.finish(&mut |_| {});
    });
}

fn chat(hostile: &mut Hostile, [tokenizer, section]: &[Vec<u8>; 2]) {
    let (message, system) = (text(hostile), text(hostile));
    let system = hostile.one_in(2).then_some(&*system);
    let (ids, begun) = (ids(hostile), hostile.one_in(2));
    let strip = Strip::from_bits(hostile.random.bits() as u32);
    hostile.public("a chat", || {
        let Ok(chat) = Chat::new(section) else { return };
        let chat = chat.dated(Some("1 January"));
        let _ = chat.first_turn(system, &message).map(|pieces| pieces.len());
        let _ = chat.system_turn(system).map(|pieces| pieces.len());
        let _ = chat.next_turn(&message).map(|pieces| pieces.len());
        let _ = (chat.mark(), chat.ignores_empty_system());
        for (from, to) in STEPS.into_iter().flat_map(|from| STEPS.map(|to| (from, to))) {
            let _ = (chat.content(to, &message), chat.content_after(from, to, &message));
        }
        for last in STEPS {
            let said = ids.iter().map(|&id| (STEPS[id as usize % 6], &*message));
            let _ = chat.conversation(said, last, &mut |piece| assert!(piece.text.len() < 1 << 20));
        }
        let _ = (python_strip(&message).len(), strip.apply(&message).len());
        let _ = (strip.and(Strip::END).bits(), strip.takes_first(b'\n'));
        let Ok(tokenizer) = Tokenizer::new(tokenizer) else { return };
        let tags = Tags { open: &message, close: "</think>", begun, kept: !begun, strip };
        let known = [Some(&*message).into(), Thinking::Tags(tags), Thinking::No];
        for thinking in known.into_iter().chain([chat.thinking(), chat.mark().into()]) {
            let _ = thinking.wants_state(u64::MAX, usize::MAX);
            let mut filter = AnswerFilter::new(thinking);
            for &id in &ids {
                let bytes = tokenizer.bytes(id);
                filter.push(bytes, tokenizer.is_special(id), &mut |_, _| {});
            }
            filter.finish(&mut |_, _| {});
        }
    });
}

const STEPS: [Step; 6] =
    [Step::Start, Step::System, Step::User, Step::Assistant, Step::Generation, Step::End];

fn ids(hostile: &mut Hostile) -> Vec<u32> {
    let any = hostile.one_in(4);
    let len = hostile.size();
    (0..len).map(|_| hostile.random.bits() as u32 % if any { u32::MAX } else { 300 }).collect()
}

/// Text on a terminal.
fn show(hostile: &mut Hostile) {
    let (text, len, most) = (text(hostile), hostile.size(), hostile.absurd());
    let bytes = hostile.bytes(len);
    hostile.public("visible", || {
        for text in [text.as_bytes(), &bytes] {
            for shown in [Visible::line(text), Visible::lines(text)] {
                let told = format!("{shown}{}", shown.at_most(most));
                assert!(!told.chars().any(|c| c != '\n' && c != '\t' && c.is_control()));
            }
        }
        let mut stream = VisibleStream::new();
        text.split_inclusive(' ').for_each(|part| stream.push(part, &mut |_| {}));
        stream.finish(&mut |_| {});
        let _ = text.chars().filter(|&c| is_hidden(c)).count();
    });
}

fn choose(hostile: &mut Hostile) {
    let len = hostile.size();
    let logits = hostile.floats(len);
    let slots = hostile.len(len);
    let mut slots = vec![Candidate::default(); slots];
    let visible: Vec<u32> = (0..len).map(|_| hostile.random.bits() as u32 % 70).collect();
    let state = [0; 4].map(|_| hostile.random.bits() * u64::from(!hostile.one_in(5)));
    let mut sampler = Sampler::resume(sampling(hostile), state);
    hostile.public("a sampler", || {
        let id = sampler.sample(&logits, visible.iter().copied(), &mut slots);
        assert!(id == 0 || (id as usize) < len);
        let _ = sampler.candidates(&logits, visible.into_iter(), &mut slots).len();
        let _ = (sampler.state(), sampler.sampling().check());
        let _ = (Candidate::new(f64::NAN, u32::MAX), Sampler::new(*sampler.sampling(), state[0]));
    });
}
