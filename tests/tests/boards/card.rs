//! The card of a Raspberry Pi without an operating system, as far as it can be told without
//! booting one: `.ci/raspi` does that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oarlock_tests::{Finished, TempDir, bin, run, tiny};

/// Files of a firmware, as far as names matter.
const FIRMWARE: [&str; 4] = ["start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "overlay.dtbo"];

/// A folder with a tiny model, a program that does nothing, and a firmware.
struct Inputs {
    folder: TempDir,
}

impl Inputs {
    fn new() -> Self {
        let folder = TempDir::new();
        fs::write(folder.join("tiny.oar"), &*tiny("gqa", "int4")).expect("a writable folder");
        fs::write(folder.join("kernel8"), program()).expect("a writable folder");
        fs::create_dir(folder.join("boot")).expect("a writable folder");
        for name in FIRMWARE {
            fs::write(folder.join("boot").join(name), name).expect("a writable folder");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn image(&self, out: &str, more: &[&str]) -> Finished {
        let mut convert = Command::new(bin("oarlock-convert"));
        convert.current_dir(self.folder.path());
        convert.args(["image", "--board", "raspi", "--model", "tiny.oar", "-o", out]);
        run(convert.args(more), 60)
    }
}

/// The header that the board's program begins with, and zeros.
fn program() -> Vec<u8> {
    let mut program = vec![0; 4096];
    program[8..16].copy_from_slice(&0x80000_u64.to_le_bytes());
    program[16..24].copy_from_slice(&4096_u64.to_le_bytes());
    program[56..60].copy_from_slice(b"ARM\x64");
    program
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_has_what_config_txt_names() {
    let inputs = Inputs::new();
    let done = inputs.image("card", &["--kernel", "kernel8", "--context", "64"]).ok();
    assert!(done.text().contains("MiB of memory or more"), "{}", done.text());
    let card = inputs.path("card");
    let expected = ["README.txt", "cmdline.txt", "config.txt", "kernel8.img", "model.oar"];
    assert_eq!(names(&card), expected);
    let config = fs::read_to_string(card.join("config.txt")).unwrap();
    for line in ["kernel=kernel8.img", "initramfs model.oar followkernel", "arm_64bit=1"] {
        assert!(config.lines().any(|l| l == line), "{line}");
    }
    assert_eq!(fs::read_to_string(card.join("cmdline.txt")).unwrap(), "oarlock.context=64\n");
    assert!(
        fs::read(card.join("model.oar")).unwrap() == fs::read(inputs.path("tiny.oar")).unwrap()
    );
}

#[test]
fn a_disk_is_the_same_each_time_and_leaves_out_what_nobody_reads() {
    let inputs = Inputs::new();
    let disks = ["one.img", "two.img"].map(|out| {
        inputs.image(out, &["--kernel", "kernel8", "--firmware", "boot"]).ok();
        fs::read(inputs.path(out)).expect("it was written")
    });
    assert!(disks[0] == disks[1]);
    assert_eq!(disks[0][510..512], [0x55, 0xAA]);
    let holds = |text: &[u8]| disks[0].windows(text.len()).any(|part| part == text);
    assert!(holds(b"START4  ELF") && holds(b"initramfs model.oar") && !holds(b"OVERLAY"));
}

#[test]
fn what_no_board_could_run_is_one_line() {
    let inputs = Inputs::new();
    let fails = |more: &[&str], part: &str| {
        let done = inputs.image("card", more);
        assert!(done.code() == 2 && done.stderr.lines().count() == 1, "{}", done.stderr);
        assert!(done.stderr.contains(part), "no '{part}' in {}", done.stderr);
        assert!(!inputs.path("card").exists());
    };
    fails(&[], "cd boards/raspi && cargo build --release");
    fails(&["--kernel", "tiny.oar"], "not a program for the bare board");
    fails(&["--kernel", "kernel8", "--memory", "64"], "not 64 (say with --memory");
    fails(&["--kernel", "kernel8", "--context", "1"], "--context 1");
    fails(&["--kernel", "kernel8", "--context", "9000000"], "needs a board with");
    fails(&["--kernel", "kernel8", "--firmware", "nowhere"], "nowhere");
    fs::remove_file(inputs.path("boot/start4.elf")).unwrap();
    fails(&["--kernel", "kernel8", "--firmware", "boot"], "it has no start file");
}
