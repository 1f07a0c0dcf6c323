#!/usr/bin/env python3
"""Draws a chat as it looks in a terminal: the picture on the first page.

    python3 tests/terminal_picture.py [--oarlock PROGRAM] [-m MODEL] -o docs/chat.svg

Runs PROGRAM in a terminal of its own, types the lines below, waits for each answer, and draws
what was really printed. At temperature 0 the words are the same on every machine; the speeds
are those of this one.
"""

import argparse
import html
import os
import pathlib
import pty
import select
import subprocess
import time

LINES = ["What is the capital of Japan?", "And of France?", "/context"]
PROMPT = b"> "
COLUMNS, CHARACTER, LINE, MARGIN = 84, 8.4, 20, 16
PATIENCE = 600
COLOURS = {"typed": "#e6edf3", "answer": "#a5d6a7", "aside": "#8b949e"}


def until_prompt(terminal, seen):
    """Reads what the program prints until it asks for a line, or has ended."""
    end = time.monotonic() + PATIENCE
    while not seen.endswith(PROMPT) and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            try:
                more = os.read(terminal, 4096)
            except OSError:
                break
            if not more:
                break
            seen += more
    return seen


def session(command):
    """All that a terminal shows while `LINES` are typed."""
    ours, theirs = pty.openpty()
    # A terminal that cannot move its cursor: what is typed and said stands there in order.
    shell = {**os.environ, "TERM": "dumb"}
    program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=shell, start_new_session=True)
    os.close(theirs)
    shown = b""
    for line in LINES:
        shown += until_prompt(ours, b"")
        os.write(ours, line.encode() + b"\n")
    shown += until_prompt(ours, b"")
    os.write(ours, b"\x04")
    program.wait(PATIENCE)
    return shown.decode().replace("\r", "").removesuffix(PROMPT.decode()).rstrip()


def rows(name, text):
    """Lines of the picture, with what each of them is, cut where a terminal would."""
    yield "typed", f"$ {name}"
    kind = "aside"
    for line in text.split("\n"):
        if line.startswith("> "):
            kind = "aside" if line.startswith("> /") else "answer"
            yield "typed", line
            continue
        for start in range(0, max(len(line), 1), COLUMNS):
            # Behind an answer stands how fast it was.
            yield "aside" if line.startswith("[") else kind, line[start : start + COLUMNS]


def svg(lines):
    """The window."""
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, (len(lines) + 2) * LINE + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
        "<title>A chat in a terminal</title>",
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        *(f'<circle cx="{20 + 18 * i}" cy="18" r="5" fill="{c}"/>' for i, c in enumerate(["#ff5f56", "#ffbd2e", "#27c93f"])),
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">',
    ]
    for i, (kind, text) in enumerate(lines):
        at = f'x="{MARGIN}" y="{(i + 2) * LINE + 8}" textLength="{len(text) * CHARACTER:.1f}"'
        if text:
            parts.append(f'<text {at} fill="{COLOURS[kind]}">{html.escape(text)}</text>')
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oarlock", default="target/release/oarlock")
    parser.add_argument("-m", "--model")
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    options = ["--temp", "0", "--seed", "1"]
    text = session([args.oarlock, *options, *(["-m", args.model] if args.model else [])])
    args.out.write_text(svg(list(rows("oarlock --temp 0 --seed 1", text))))


if __name__ == "__main__":
    main()
