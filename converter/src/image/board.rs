//! Boards that an image can be made for, and the programs that run there.

use std::path::{Path, PathBuf};

use byteorder::{ByteOrder, LittleEndian};

use super::kernel;
use super::unfit::Unfit;
use crate::error::{Error, Result, Shown};

/// A machine that an image runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Linux on 64-bit ARM: Raspberry Pi OS.
    LinuxArm64,
    /// Linux on x86-64.
    LinuxX86_64,
    /// macOS on Apple Silicon.
    Apple,
    /// A Raspberry Pi without an operating system.
    RaspberryPi,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::LinuxArm64, Self::LinuxX86_64, Self::Apple, Self::RaspberryPi];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinuxArm64 => "linux-arm64",
            Self::LinuxX86_64 => "linux-x86_64",
            Self::Apple => "apple",
            Self::RaspberryPi => "raspi",
        }
    }

    /// Rust's name of the target of its program.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::LinuxArm64 => "aarch64-unknown-linux-gnu",
            Self::LinuxX86_64 => "x86_64-unknown-linux-gnu",
            Self::Apple => "aarch64-apple-darwin",
            Self::RaspberryPi => "aarch64-unknown-none",
        }
    }

    /// The board's program, if it was built beside the running converter: in the same folder
    /// for this machine, else in the folder of its target.
    ///
    /// # Errors
    /// If it is in none of these places.
    pub fn find_program(self) -> Result<PathBuf> {
        let own = std::env::current_exe().ok();
        let folder = own.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let of_target = |up: &str| folder.join(up).join(self.triple()).join("release/oarlock");
        let candidates = [folder.join("oarlock"), of_target(".."), of_target("../..")];
        let found = candidates.into_iter().find(|path| self.check(path).is_ok());
        found.ok_or_else(|| {
            let target = self.triple();
            let bare = "build it with (cd boards/raspi && cargo build --release), see \
                 docs/guide/raspberry-pi.md, and give it with \
                 --kernel boards/raspi/target/aarch64-unknown-none/release/kernel8";
            let todo = format!(
                "build it with cargo build --release -p oarlock-cli --target {target}, see \
                 docs/guide, and give it with --program target/{target}/release/oarlock"
            );
            let todo = if self == Self::RaspberryPi { bare } else { &todo };
            Error::new(format!("--board {}", self.name()), "its program is not at hand", todo)
        })
    }

    /// Checks that the file at `path` is a program that runs on this board.
    ///
    /// # Errors
    /// If it cannot be read, or is no such program.
    pub fn check(self, path: &Path) -> Result<()> {
        let bytes = crate::map::map(path)?;
        let fits = match self {
            Self::LinuxArm64 => elf(&bytes, 183),
            Self::LinuxX86_64 => elf(&bytes, 62),
            Self::Apple => mach_o(&bytes),
            Self::RaspberryPi => kernel::flat(&bytes).map(drop),
        };
        fits.map_err(|what| {
            let todo = format!("give the oarlock built for {}, as it was built", self.triple());
            Error::new(path.shown(), what, todo)
        })
    }
}

/// A 64-bit little-endian ELF executable for `machine`.
fn elf(bytes: &[u8], machine: u16) -> std::result::Result<(), Unfit> {
    let header = bytes.get(..64).ok_or(Unfit("not an ELF program"))?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(Unfit("not a 64-bit ELF program"));
    }
    // An executable, or one that can lie anywhere.
    let kind = LittleEndian::read_u16(&header[16..18]);
    if kind != 2 && kind != 3 {
        return Err(Unfit("not an executable"));
    }
    if LittleEndian::read_u16(&header[18..20]) != machine {
        return Err(Unfit("a program for another machine"));
    }
    Ok(())
}

const MH_MAGIC_64: u32 = 0xFEED_FACF;
const CPU_TYPE_ARM64: u32 = 0x0100_000C;
const MH_EXECUTE: u32 = 2;
const LC_CODE_SIGNATURE: u32 = 0x1D;

/// A signed arm64 Mach-O executable (Apple's `mach-o/loader.h`): an unsigned one is killed
/// when it starts.
fn mach_o(bytes: &[u8]) -> std::result::Result<(), Unfit> {
    let word = |at: usize| bytes.get(at..at + 4).map(LittleEndian::read_u32);
    if word(0) != Some(MH_MAGIC_64) {
        return Err(Unfit("not a 64-bit Mach-O program"));
    }
    if word(4) != Some(CPU_TYPE_ARM64) || word(12) != Some(MH_EXECUTE) {
        return Err(Unfit("not an executable for Apple Silicon"));
    }
    let mut at = 32_usize;
    for _ in 0..word(16).unwrap_or(0) {
        match (word(at), word(at + 4)) {
            (Some(LC_CODE_SIGNATURE), _) => return Ok(()),
            (Some(_), Some(size)) if size >= 8 => at = at.saturating_add(size as usize),
            _ => return Err(Unfit("a damaged Mach-O program")),
        }
    }
    Err(Unfit("not signed (codesign -s - FILE signs it)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_apart() {
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[16], program[18]) = (3, 183);
        assert!(elf(&program, 183).is_ok() && elf(&program, 62).is_err());
        program[16] = 1;
        assert!(elf(&program, 183).is_err(), "an object file");
        assert!(elf(&program[..40], 183).is_err() && mach_o(&program).is_err());
    }

    #[test]
    fn an_apple_program_is_signed() {
        let words = [MH_MAGIC_64, CPU_TYPE_ARM64, 0, MH_EXECUTE, 2, 0, 0, 0];
        let commands = [0x19, 16, 0, 0, LC_CODE_SIGNATURE, 16, 0, 0];
        let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        let signed = [&words[..], &commands].concat();
        assert!(mach_o(&bytes(&signed)).is_ok());
        let unsigned = [&words[..], &commands[..4], &[0x19, 16, 0, 0]].concat();
        assert_eq!(
            mach_o(&bytes(&unsigned)),
            Err(Unfit("not signed (codesign -s - FILE signs it)"))
        );
        assert!(mach_o(&bytes(&signed[..12])).is_err(), "cut short");
    }
}
