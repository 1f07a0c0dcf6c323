//! The program `oarlock`, run as its users run it: commands, pipes, conversations, fetching, memory.

mod common;

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
