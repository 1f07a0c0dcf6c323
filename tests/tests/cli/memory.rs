//! Memory of a process at its peak: the file, what `inspect` announced, and a little.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use oarlock_tests::{bin, real_model, run};
use serde_json::Value;

/// Program, stacks and terminal, beyond the model and the session.
const ALLOWANCE: u64 = 16 << 20;

/// Peak resident bytes of a child, as its kernel saw it shortly before the end.
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).spawn().expect("oarlock runs");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().expect("a child can be waited for").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0) << 10);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().expect("it has ended").success());
    most
}

#[test]
fn generate_holds_what_inspect_announces() {
    let Some(model) = real_model() else { return };
    for context in ["256", "4096"] {
        let mut inspect = Command::new(bin("oarlock"));
        inspect.args(["inspect", "--json", "--context", context, "-m"]).arg(&model);
        let announced: Value = serde_json::from_str(&run(&mut inspect, 60).ok().text()).unwrap();
        let bytes = |key: &str| announced[key].as_u64().unwrap_or_else(|| panic!("{key}"));
        let mut generate = Command::new(bin("oarlock"));
        generate.args([
            "generate",
            "--ignore-eos",
            "-n",
            "300",
            "--seed",
            "1",
            "-p",
            "Once upon a time",
        ]);
        generate.args(["--context", context, "-m"]).arg(&model);
        let peak = peak(generate.stdout(Stdio::null()).stderr(Stdio::null()));
        let limit = bytes("file_bytes") + bytes("session_bytes") + ALLOWANCE;
        assert!(peak > bytes("file_bytes") / 2, "{peak} bytes are too few to be true");
        assert!(peak <= limit, "{peak} bytes at the peak, {limit} allowed, context {context}");
    }
}
