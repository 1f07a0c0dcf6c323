//! Everything that a board without an operating system calls, behind one symbol.
#![no_std]

use core::panic::PanicInfo;

use oarlock::chat::Chat;
use oarlock::tokenizer::Tokenizer;
use oarlock::{Isa, Machine, Model, Options, Sampler, Serial, Session};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Opens a model, reads tokens, samples one: 0 if all went well.
///
/// # Safety
/// Each pointer is valid for its number of elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn probe(
    model: *const u8,
    model_len: usize,
    scratch: *mut u8,
    scratch_len: usize,
    tokens: *const u32,
    tokens_len: usize,
    sampled: *mut u32,
) -> u32 {
    // SAFETY: as the caller promises.
    let (model, scratch, tokens, sampled) = unsafe {
        (
            core::slice::from_raw_parts(model, model_len),
            core::slice::from_raw_parts_mut(scratch, scratch_len),
            core::slice::from_raw_parts(tokens, tokens_len),
            &mut *sampled,
        )
    };
    run(model, scratch, tokens, sampled).map_or(1, |()| 0)
}

fn run(model: &[u8], scratch: &mut [u8], tokens: &[u32], sampled: &mut u32) -> Option<()> {
    let model = Model::open(model).ok()?;
    (0..model.n_tensors()).try_for_each(|i| model.verify_tensor(i)).ok()?;
    let tokenizer = Tokenizer::new(model.tokenizer_section()).ok()?;
    let _ = Chat::new(model.chat_section()).is_ok();
    let options = Options::for_model(&model);
    let mut session = Session::new(model, options, scratch).ok()?;
    #[cfg(target_arch = "aarch64")]
    let isa = Isa::NEON;
    #[cfg(not(target_arch = "aarch64"))]
    let isa = Isa::SCALAR;
    let machine = Machine { isa, exec: &Serial };
    session.feed(&machine, tokens).ok()?;
    let mut sampler = Sampler::new(model.sampling(), 1);
    *sampled = session.sample(&machine, &mut sampler);
    session.truncate(1).ok()?;
    session.reset(0).ok()?;
    (!tokenizer.bytes(*sampled).is_empty()).then_some(())
}
