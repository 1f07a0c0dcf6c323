//! Continues a text on all cores: `generate MODEL.oar "Once upon a time"`.

use std::io::Write;

use oarlock_hosted::Engine;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [model, prompt] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: generate MODEL.oar PROMPT".into());
    };
    let engine = Engine::open(model)?;
    let mut memory = engine.memory(engine.options())?;
    print!("{prompt}");
    for text in engine.generate(prompt, &mut memory)?.take(200) {
        print!("{}", text?);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
