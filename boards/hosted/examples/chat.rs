//! Answers lines of standard input, each knowing those before: `chat MODEL.oar [SYSTEM PROMPT]`.

use std::io::{Write, stdin, stdout};

use oarlock_hosted::Engine;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("usage: chat MODEL.oar [SYSTEM PROMPT]")?;
    let system = args.next();

    let engine = Engine::open(model)?;
    let mut memory = engine.memory(engine.options())?;
    let mut chat = engine.chat(system.as_deref(), &mut memory)?;

    for line in stdin().lines() {
        for text in chat.ask(&line?)? {
            print!("{}", text?);
            stdout().flush()?;
        }
        println!("\n");
    }
    Ok(())
}
