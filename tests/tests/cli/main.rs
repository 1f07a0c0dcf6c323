//! The program `oarlock`, run as its users run it: commands, pipes, conversations, fetching, memory.

mod common;
// Sources as the tests of the converter make them; not all of that is needed here.
#[allow(dead_code)]
#[path = "../convert/gguf.rs"]
mod gguf;
#[allow(dead_code)]
#[path = "../convert/gpt_oss.rs"]
mod gpt_oss;
#[allow(dead_code)]
#[path = "../convert/published.rs"]
mod published;
#[allow(dead_code)]
#[path = "../convert/source.rs"]
mod source;

mod cached;
mod commands;
mod endless;
mod fetch;
mod files;
mod harmony;
mod limits;
mod lookup;
mod memory;
mod pipes;
mod sessions;
mod switches;
mod thinking;
mod visible;
