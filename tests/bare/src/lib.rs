//! Everything that a board without an operating system calls, behind one symbol.
#![no_std]

use core::hint::black_box;
use core::panic::PanicInfo;

use oarlock::chat::{Chat, Step};
use oarlock::tokenizer::{Scratch, Special, Symbol, Tokenizer};
use oarlock::{Isa, Machine, Model, Options, Sampler, Serial, Session};

/// Reads what it is told, so that no two panics are the same to a linker.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    loop {
        black_box(info.location());
        black_box(info.message());
    }
}

/// Opens a model, reads text, samples a token: 0 if all went well.
///
/// # Safety
/// Each pointer is valid for its number of elements, all apart from one another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn probe(
    model: *const u8,
    model_len: usize,
    scratch: *mut u8,
    scratch_len: usize,
    text: *const u8,
    text_len: usize,
    symbols: *mut Symbol,
    symbols_len: usize,
    buffer: *mut u8,
    buffer_len: usize,
    sampled: *mut u32,
) -> u32 {
    // SAFETY: as the caller promises.
    let (model, scratch, text, symbols, buffer, sampled) = unsafe {
        (
            core::slice::from_raw_parts(model, model_len),
            core::slice::from_raw_parts_mut(scratch, scratch_len),
            core::slice::from_raw_parts(text, text_len),
            core::slice::from_raw_parts_mut(symbols, symbols_len),
            core::slice::from_raw_parts_mut(buffer, buffer_len),
            &mut *sampled,
        )
    };
    run(model, scratch, text, symbols, buffer, sampled).map_or(1, |()| 0)
}

fn run(
    model: &[u8],
    scratch: &mut [u8],
    text: &[u8],
    symbols: &mut [Symbol],
    buffer: &mut [u8],
    sampled: &mut u32,
) -> Option<()> {
    let model = Model::open(model).ok()?;
    (0..model.n_tensors()).try_for_each(|i| model.verify_tensor(i)).ok()?;
    let tokenizer = Tokenizer::new(model.tokenizer_section()).ok()?;
    let text = core::str::from_utf8(text).ok()?;
    let text = Chat::new(model.chat_section()).map_or(text, |chat| chat.content(Step::User, text));
    let options = Options { logit_rows: 2, draft: 3, ..Options::for_model(&model) };
    let mut session = Session::new(model, options, scratch).ok()?;
    #[cfg(target_arch = "aarch64")]
    let isa = Isa::NEON;
    #[cfg(not(target_arch = "aarch64"))]
    let isa = Isa::SCALAR;
    let machine = Machine { isa, exec: &Serial };
    let mut feed = |id| *sampled |= u32::from(session.feed(&machine, &[id]).is_err());
    let scratch = Scratch { symbols, text: buffer };
    tokenizer.encode(text, Special::All, scratch, &mut feed).ok()?;
    let mut sampler = Sampler::new(model.sampling(), 1);
    *sampled = session.sample(&machine, &mut sampler);
    session.feed_speculative(&machine, *sampled, 3).ok()?;
    session
        .feed_each(&machine, &[0, 1, 2], &mut |_, logits| *sampled ^= logits.len() as u32)
        .ok()?;
    session.truncate(1).ok()?;
    session.reset(0).ok()?;
    (!tokenizer.bytes(*sampled).is_empty()).then_some(())
}
