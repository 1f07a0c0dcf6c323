//! Chat templates that would crash, hang or fill the memory: the model converts without a chat.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use oarlock_convert::template::derive;
use oarlock_tests::{TempDir, bin, fixture, run, run_with_input};
use serde_json::json;

use crate::source::Source;

/// The program, to convert a model with this template to `x.oar` in `folder`.
fn convert(template: &str, folder: &TempDir) -> (Source, Command) {
    let source = Source::of("gqa");
    fs::write(source.join("chat_template.jinja"), template).unwrap();
    let mut command = Command::new(bin("oarlock-convert"));
    command.arg(source.path()).arg("-o").arg(folder.join("x.oar"));
    (source, command)
}

/// Holds that each template gives a model that does not chat, soon, and one warning that says why.
fn give_no_chat(templates: &[String]) {
    for template in templates {
        let folder = TempDir::new();
        let (_source, mut command) = convert(template, &folder);
        let done = run(&mut command, 60).ok();
        let shown = template.chars().take(60).collect::<String>();
        assert!(done.stderr.contains("chat will not work"), "{shown}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 2, "{shown}: {}", done.stderr);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // The reason lies in the file, which is small.
        assert!(fs::metadata(folder.join("x.oar")).unwrap().len() < 200_000, "{shown}");
    }
}

#[test]
fn depth_is_bounded_whatever_it_is_made_of() {
    let deep = |open: &str, middle: &str, close: &str| {
        let n = 30_000;
        format!("{{{{ {}{middle}{} }}}}", open.repeat(n), close.repeat(n))
    };
    let blocks = "{% if x %}".repeat(20_000) + &"{% endif %}".repeat(20_000);
    let elifs = format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}b".repeat(20_000));
    give_no_chat(&[
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
        blocks,
        elifs,
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}".to_owned(),
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}".to_owned(),
        "{% block a %}{{ self.a() }}{% endblock %}".to_owned(),
        "{% include 'chat' %}".to_owned(),
        "{% include 'a' %}{% extends 'b' %}".to_owned(),
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}".to_owned(),
    ]);
}

/// Text between `raw` and `endraw` may open a string or a bracket, and what is behind is a tag nevertheless.
#[test]
fn nothing_hides_depth() {
    let deep = format!("{{{{ {}1 }}}}", "not ".repeat(50_000));
    for before in [
        "{% raw %}{{ '{% endraw %}",
        "{%- raw -%}{{ ( [ {%+  endraw\n+%}",
        "{% raw %}{# {% endraw %}",
        "{# {{ ' #}",
        "{{ '\\' ~ \"' }}",
    ] {
        let (folder, template) = (TempDir::new(), format!("{before}{deep}"));
        let (_source, mut command) = convert(&template, &folder);
        let done = run(&mut command, 60).ok();
        assert!(done.stderr.contains("nested too deep"), "{before}: {}", done.stderr);
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
fn memory_is_bounded_whatever_holds_it() {
    let double = "{% set ns = namespace(s='a', l=['a']) %}{% for i in range(60) %}";
    give_no_chat(&[
        format!("{double}{{% set ns.s = ns.s ~ ns.s %}}{{% endfor %}}{{{{ ns.s }}}}"),
        format!("{double}{{% set ns.s = ns.s + ns.s %}}{{% endfor %}}{{{{ ns.s|length }}}}"),
        format!("{double}{{% set ns.s = ns.s|replace('a', 'aaaa') %}}{{% endfor %}}{{{{ ns.s }}}}"),
        format!("{double}{{% set ns.s = [ns.s, ns.s]|join %}}{{% endfor %}}{{{{ ns.s|upper }}}}"),
        format!("{double}{{% set ns.l = (ns.l + ns.l)|list %}}{{% endfor %}}"),
        "{{ 'a' * 10000000000 }}{{ 'a' * 40000000 }}".to_owned(),
        "{{ 'a'|center(1000000000)|indent(999999) }}".to_owned(),
        "{{ 'a\na'|indent(1000000000000) }}".to_owned(),
        "{{ '%1000000000s'|format('a') }}".to_owned(),
        "{{ '{:>9999999999}'.format('a') }}".to_owned(),
        "{{ 'aaaaaaaaaa'.replace('a', 'b' * 100000000)|length }}".to_owned(),
        "{{ range(2)|batch(1000000000000, 1)|list|length }}".to_owned(),
        "{{ range(999999999999)|list }}".to_owned(),
        "{{ raise_exception('a' * 20000000) }}".to_owned(),
        "x".repeat(3 << 20),
        format!("{{% for m in messages %}}{}{{% endfor %}}", "{{ 'x' * 99999 }}".repeat(40)),
    ]);
}

/// A template that a table could hold, and that takes its time before it writes.
fn slow(first: &str) -> String {
    format!(
        "{first}{{% for m in messages %}}<{{{{ m.role }}}}>{{{{ m.content }}}}{{% endfor %}}\
         {{% if add_generation_prompt %}}<assistant>{{% endif %}}"
    )
}

/// Each rendering is within the bounds, and there are hundreds.
const STRINGS: &str = "{% set x = ('a' * 40000000)|replace('a', 'b') %}";

#[test]
fn time_is_bounded_whatever_takes_it() {
    let dag = "{% set ns = namespace(a=[1]) %}{% for i in range(200) %}{% set ns.a = [ns.a, ns.a] %}\
               {% endfor %}{{ ns.a == ns.a }}{{ ns.a|string|length }}";
    give_no_chat(&[
        "{% for a in range(99999) %}".repeat(3) + &"{% endfor %}".repeat(3),
        slow("{% for a in range(15000) %}{% set x = a %}{% endfor %}"),
        slow(STRINGS),
        dag.to_owned(),
    ]);
}

/// The program at work on a template that takes seconds, when it has started on it.
fn at_work(folder: &TempDir) -> (Source, Child) {
    let (source, mut command) = convert(&slow(STRINGS), folder);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(500));
    (source, child)
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_slow_template_hears_an_interrupt() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = TempDir::new();
        let (_source, mut child) = at_work(&folder);
        let start = Instant::now();
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert!(start.elapsed() < Duration::from_secs(1), "{signal}: {:?}", start.elapsed());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{signal}");
    }
}

/// The process that a program runs its template in.
#[cfg(target_os = "linux")]
fn template_s_process(program: &Child) -> String {
    let children = format!("/proc/{0}/task/{0}/children", program.id());
    let processes = fs::read_to_string(children).unwrap();
    processes.split_whitespace().next().expect("a process of its own").to_owned()
}

/// The machine, where it is at fault, says nothing of the template: an error, and no file.
#[cfg(target_os = "linux")]
#[test]
fn a_template_s_process_that_is_killed_or_gets_no_time_is_an_error() {
    for signal in ["-KILL", "-TERM", "-STOP"] {
        let folder = TempDir::new();
        let (_source, mut command) = convert(&slow(STRINGS), &folder);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        sleep(Duration::from_millis(500));
        let process = template_s_process(&child);
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
        let mut line = String::new();
        child.stderr.take().unwrap().read_to_string(&mut line).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{signal}: {line}");
        assert!(line.starts_with("error: chat template: its process was "), "{signal}: {line}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{signal}");
    }
}

/// A program that holds a large model lends its process no peak of memory with it.
#[test]
fn a_template_s_process_has_memory_of_its_own() {
    let held = vec![1u8; 600 << 20];
    let template = fs::read_to_string(fixture("chat/qwen2.jinja")).unwrap();
    let request = json!({ "template": template, "specials": [] }).to_string();
    let mut command = Command::new(bin("oarlock-convert"));
    command.arg("--derive-chat-program");
    let done = run_with_input(&mut command, request.as_bytes(), 60).ok();
    assert_eq!(done.stdout.first(), Some(&b'+'), "{}", done.text());
    assert_eq!(held.last(), Some(&1));
}

/// Nothing can be done by a program that is killed: what it started sees it.
#[cfg(target_os = "linux")]
#[test]
fn a_template_s_process_does_not_outlive_the_program() {
    let folder = TempDir::new();
    let (_source, mut child) = at_work(&folder);
    let process = template_s_process(&child);
    kill(&child, "-KILL");
    child.wait().unwrap();
    sleep(Duration::from_millis(300));
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

/// A machine that lends nothing does not make another file of the same source.
#[test]
fn a_template_that_cannot_be_run_is_no_template_without_a_chat() {
    let chats = fs::read_to_string(fixture("chat/qwen2.jinja")).unwrap();
    let files = [None, Some("18446744073709551615")].map(|stack| {
        let folder = TempDir::new();
        let (_source, mut command) = convert(&chats, &folder);
        stack.map(|stack| command.env("RUST_MIN_STACK", stack));
        let done = run(&mut command, 60).ok();
        assert!(!done.stderr.contains("warning"), "{}", done.stderr);
        fs::read(folder.join("x.oar")).unwrap()
    });
    assert!(files[0] == files[1]);
    let folder = TempDir::new();
    let (source, _) = convert(&chats, &folder);
    let mut little = Command::new("sh");
    little.args(["-c", "ulimit -v 30000 || exit 99; exec \"$0\" \"$1\" -o \"$2\""]);
    little.arg(bin("oarlock-convert")).arg(source.path()).arg(folder.join("x.oar"));
    let done = run(&mut little, 60);
    // A system may not bound that (99).
    match done.code() {
        0 => assert!(fs::read(folder.join("x.oar")).unwrap() == files[0]),
        2 => assert!(done.stderr.starts_with("error: chat template: "), "{}", done.stderr),
        code => assert_eq!(code, 99, "{}", done.stderr),
    }
}

/// Parsing and planning have no place to ask whether to stop; they need none.
#[test]
fn a_large_tokenizer_hears_an_interrupt() {
    let (source, folder) = (Source::of("gqa"), TempDir::new());
    let long = "a".repeat(90);
    source.edit_json("tokenizer.json", |json| {
        let merges = (0..400_000).map(|i| format!("{long}{i} b").into()).collect();
        json["model"]["merges"] = serde_json::Value::Array(merges);
    });
    let mut command = Command::new(bin("oarlock-convert"));
    command.arg(source.path()).arg("-o").arg(folder.join("x.oar"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(60));
    let start = Instant::now();
    kill(&child, "-INT");
    let code = child.wait().unwrap().code();
    // One that is faster says that there are no such merges.
    assert!(matches!(code, Some(130 | 2)), "{code:?}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
