//! Chat templates that would crash, hang or fill the memory: the model converts without a chat.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oarlock_convert::template::derive;
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

/// As deep as a tag may be, without a process of its own: the stack is large enough.
#[test]
fn a_template_that_is_just_not_too_deep_is_run() {
    let deep = |open: &str, middle: &str, close: &str, n: usize| {
        format!("{{{{ {}{middle}{} }}}}", open.repeat(n), close.repeat(n))
    };
    for template in [
        deep("not ", "1", "", 2990),
        deep("-", "1", "", 2990),
        deep("", "a", ".a", 1490),
        deep("", "a", "|list", 1490),
        deep("", "1", "+1", 1490),
        deep("", "a", "~a", 1490),
        deep("", "a", " if a else a", 740),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}b".repeat(2990)),
    ] {
        let why = derive(&template, &[]).expect_err("no chat template").0;
        assert!(!why.contains("too deep"), "{why}");
    }
    let why = derive(&deep("not ", "1", "", 3010), &[]).expect_err("no chat template").0;
    assert!(why.contains("too deep"), "{why}");
}

#[test]
fn a_slow_template_hears_an_interrupt() {
    // Near the bound of steps each of the hundreds of times that it is rendered.
    let slow = "{% for a in range(40000) %}{% endfor %}{% for m in messages %}<|im_start|>\
        {{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let folder = TempDir::new();
    let (_source, mut command) = convert(slow, &folder);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert!(child.try_wait().unwrap().is_none(), "it is still at it");
    let (start, id) = (Instant::now(), child.id().to_string());
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
