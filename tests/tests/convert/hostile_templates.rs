//! Chat templates that would crash, hang or fill the memory: the model converts without a chat.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oarlock_tests::{TempDir, bin, run};

use crate::source::Source;

/// Converts a model with this template by the program.
fn convert(template: &str, folder: &TempDir) -> (Source, Command) {
    let source = Source::of("gqa");
    fs::write(source.join("chat_template.jinja"), template).unwrap();
    let mut command = Command::new(bin("oarlock-convert"));
    command.arg(source.path()).arg("-o").arg(folder.join("x.oar"));
    (source, command)
}

#[test]
fn a_template_does_no_harm_whatever_it_does() {
    let deep = |open: &str, middle: &str, close: &str| {
        let n = 30_000;
        format!("{{{{ {}{middle}{} }}}}", open.repeat(n), close.repeat(n))
    };
    let double = "{% set ns = namespace(s='a') %}{% for i in range(60) %}";
    let loops = "{% for a in range(99999) %}".repeat(3) + &"{% endfor %}".repeat(3);
    let blocks = "{% if x %}".repeat(20_000) + &"{% endif %}".repeat(20_000);
    let elifs = format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}b".repeat(20_000));
    let templates = [
        deep("not ", "1", ""),
        deep("-", "1", ""),
        deep("(", "1", ")"),
        deep("[", "1", "]"),
        deep("{1: ", "1", "}"),
        deep("", "a", ".a"),
        deep("", "a", "|list"),
        deep("", "1", "+1"),
        deep("", "a", "~a"),
        deep("", "a", " if a else a"),
        deep("", "a", "[0]"),
        deep("", "a", "()"),
        loops,
        blocks,
        elifs,
        format!("{double}{{% set ns.s = ns.s ~ ns.s %}}{{% endfor %}}{{{{ ns.s }}}}"),
        format!("{double}{{% set ns.s = ns.s + ns.s %}}{{% endfor %}}{{{{ ns.s|length }}}}"),
        format!("{double}{{% set ns.s = ns.s|replace('a', 'aaaa') %}}{{% endfor %}}{{{{ ns.s }}}}"),
        format!("{double}{{% set ns.s = [ns.s, ns.s]|join %}}{{% endfor %}}{{{{ ns.s|upper }}}}"),
        "{{ 'a' * 10000000000 }}{{ 'a' * 40000000 }}".to_owned(),
        "{{ 'a'|center(1000000000)|indent(999999) }}".to_owned(),
        "{{ range(999999999999)|list }}".to_owned(),
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}".to_owned(),
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}".to_owned(),
        "{% include 'a' %}{% extends 'b' %}".to_owned(),
        "x".repeat(3 << 20),
        format!("{{% for m in messages %}}{}{{% endfor %}}", "{{ 'x' * 99999 }}".repeat(40)),
    ];
    for template in &templates {
        let (folder, start) = (TempDir::new(), Instant::now());
        let (_source, mut command) = convert(template, &folder);
        let done = run(&mut command, 60).ok();
        let shown = template.chars().take(60).collect::<String>();
        assert!(done.stderr.contains("chat will not work"), "{shown}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{shown}: {}", done.stderr);
        assert!(start.elapsed() < Duration::from_secs(40), "{shown}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_slow_template_hears_an_interrupt() {
    // Below the bound of steps each time, and rendered hundreds of times.
    let slow =
        "{% for m in messages %}{% for a in range(9000) %}{{ m.content }}{% endfor %}{% endfor %}";
    let folder = TempDir::new();
    let (_source, mut command) = convert(slow, &folder);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
    let code = child.wait().unwrap().code();
    // Where it was faster than that, it was not interrupted.
    assert!(matches!(code, Some(130 | 0)), "{code:?}");
    assert!(code == Some(0) || fs::read_dir(folder.path()).unwrap().count() == 0);
}
