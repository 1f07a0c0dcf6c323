//! The program for Apple Silicon, read as macOS reads it: it cannot be run here.
//!
//! `OARLOCK_APPLE_PROGRAM` names one that `boards/apple/build.sh` built; without it the test
//! says that it was skipped. Formats: Apple's `mach-o/loader.h` and `cs_blobs.h`.

use std::process::Command;

use oarlock_tests::{TempDir, bin, run, tiny};
use sha2::{Digest, Sha256};

const ARM64: u32 = 0x0100_000C;
const EXECUTE: u32 = 2;
const LOAD_DYLIB: u32 = 0x0C;
const CODE_SIGNATURE: u32 = 0x1D;
const BUILD_VERSION: u32 = 0x32;
const MACOS: u32 = 1;
const MACOS_11: u32 = 11 << 16;

fn little(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Signatures are big-endian on every machine.
fn big(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The load commands: kind, bytes.
fn commands(program: &[u8]) -> Vec<(u32, &[u8])> {
    assert_eq!(little(program, 0), 0xFEED_FACF, "not a 64-bit Mach-O file");
    assert_eq!((little(program, 4), little(program, 12)), (ARM64, EXECUTE));
    let mut rest = &program[32..];
    let commands = (0..little(program, 16)).map(|_| {
        let (command, after) = rest.split_at(little(rest, 4) as usize);
        rest = after;
        (little(command, 0), command)
    });
    commands.collect()
}

fn is_for_macos_11(commands: &[(u32, &[u8])]) {
    let version = commands.iter().find(|(kind, _)| *kind == BUILD_VERSION).expect("a version");
    assert_eq!((little(version.1, 8), little(version.1, 12)), (MACOS, MACOS_11));
}

fn needs_the_system_alone(commands: &[(u32, &[u8])]) {
    for (_, command) in commands.iter().filter(|(kind, _)| *kind == LOAD_DYLIB) {
        let name = &command[little(command, 8) as usize..];
        let name = name.split(|&byte| byte == 0).next().unwrap_or(name);
        // Part of every macOS. (On a Mac the crate `libc` brings in libiconv.)
        assert!(name.starts_with(b"/usr/lib/lib"), "{}", String::from_utf8_lossy(name));
    }
}

/// The signature is ad hoc, and the hash of every page before it is that of the page.
fn signature_fits(program: &[u8], commands: &[(u32, &[u8])]) {
    let (_, command) = commands.iter().find(|(kind, _)| *kind == CODE_SIGNATURE).expect("signed");
    let (start, len) = (little(command, 8) as usize, little(command, 12) as usize);
    let blob = &program[start..start + len];
    assert_eq!(big(blob, 0), 0xFADE_0CC0, "not a signature");
    let index = |i: usize| (big(blob, 12 + 8 * i), big(blob, 16 + 8 * i) as usize);
    let slots = (0..big(blob, 8) as usize).map(index);
    let (_, at) = slots.into_iter().find(|(kind, _)| *kind == 0).expect("a code directory");
    let directory = &blob[at..];
    assert_eq!(big(directory, 0), 0xFADE_0C02, "not a code directory");
    assert_eq!(big(directory, 12) & 2, 2, "ad hoc");
    let (hashes, pages) = (big(directory, 16) as usize, big(directory, 28) as usize);
    assert_eq!(big(directory, 32) as usize, start, "all before the signature is signed");
    assert_eq!((directory[36], directory[37]), (32, 2), "SHA-256");
    let chunks = program[..start].chunks(1 << directory[39]);
    assert_eq!(chunks.len(), pages);
    for (page, bytes) in chunks.enumerate() {
        let signed = &directory[hashes + 32 * page..][..32];
        assert!(Sha256::digest(bytes).as_slice() == signed, "page {page}");
    }
}

#[test]
fn a_mac_would_take_the_folder() {
    let Some(program) = std::env::var_os("OARLOCK_APPLE_PROGRAM") else {
        eprintln!("OARLOCK_APPLE_PROGRAM names no program: skipped");
        return;
    };
    let folder = TempDir::new();
    let (model, out) = (folder.join("tiny.oar"), folder.join("Oarlock"));
    std::fs::write(&model, &*tiny("gqa", "int4")).expect("a writable folder");
    let mut convert = Command::new(bin("oarlock-convert"));
    convert.args(["image", "--board", "apple", "--model"]).arg(&model).arg("--program");
    run(convert.arg(&program).arg("-o").arg(&out), 60).ok();

    let read = |name| std::fs::read(out.join(name)).expect("it was written");
    assert!(read("chat.oar") == std::fs::read(&model).unwrap());
    assert!(String::from_utf8(read("README.txt")).is_ok());
    let program = read("chat");
    let commands = commands(&program);
    is_for_macos_11(&commands);
    needs_the_system_alone(&commands);
    signature_fits(&program, &commands);
}
