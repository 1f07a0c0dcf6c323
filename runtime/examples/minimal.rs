//! A model in a byte slice, on one thread, in memory that the program hands out: continues a text.
//! Nothing of `oarlock` here needs an operating system; printing does. (`tiny.oar` is 60 KB of
//! random weights, so what it writes means nothing.)

use oarlock::tokenizer::{Scratch, Special, Symbol, Tokenizer};
use oarlock::{Aligned, Machine, Model, Options, Sampler, Session};

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("tiny.oar"));

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open(&MODEL.0)?;
    let tokenizer = Tokenizer::new(model.tokenizer_section())?;
    let options = Options { context: 64, ..Options::for_model(&model) };
    let mut memory = [0; 330_000]; // Session::bytes_needed says how much
    let mut session = Session::new(model, options, &mut memory)?;

    let mut ids: Vec<u32> = tokenizer.prefix().collect(); // a token that begins texts, if there is one
    let mut symbols = [Symbol::default(); 64]; // Tokenizer::scratch_len says how many
    let scratch = Scratch { symbols: &mut symbols, text: &mut [] };
    tokenizer.encode("Once upon a time", Special::All, scratch, &mut |id| ids.push(id))?;
    session.feed(&Machine::SCALAR, &ids)?;

    let mut sampler = Sampler::new(model.sampling(), 1);
    for _ in 0..20 {
        let id = session.sample(&Machine::SCALAR, &mut sampler);
        if tokenizer.is_end(id) {
            break;
        }
        print!("{}", String::from_utf8_lossy(tokenizer.bytes(id)));
        session.feed(&Machine::SCALAR, &[id])?;
    }
    Ok(())
}
