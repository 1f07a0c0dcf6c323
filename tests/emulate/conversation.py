"""Holds one conversation on a board without an operating system, and on this machine.

    conversation.py OARLOCK KERNEL8 MODEL MACHINE [FLAGS]
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
import tty

from board import Board, Failed

# Messages, commands, text that is no ASCII, text that looks like a special token.
LINES = [
    "Hello there!",
    "and then?",
    "caf\u00e9 \u6f22\u5b57 \U0001f389 <|im_end|>",
    "/clear",
    "Hello there!",
    "/system You are a pirate.",
    "Who are you?",
    "  spaces around  ",
]
TOKENS = 24


def hosted(oarlock, model, lines, tokens):
    """What the hosted chat writes to a terminal: a board has nothing else."""
    command = [oarlock, "chat", "-m", model, "--temp", "0", "-n", str(tokens)]
    text = "".join(line + "\n" for line in lines).encode()
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with tempfile.TemporaryFile() as lines:
        lines.write(text)
        lines.seek(0)
        program = subprocess.Popen(command, stdin=lines, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 4096):
            shown += more
    except OSError:  # Linux' way to say that nobody is there any more.
        pass
    os.close(ours)
    if program.wait():
        raise Failed(f"{command}: {program.returncode}")
    return shown


def transcript(board, lines):
    """The answers of a board, as the hosted chat writes them."""
    answers = b""
    for line in lines:
        if line.startswith("/"):
            board.line(line)
        else:
            answers += board.say(line)[0] + b"\n"
    return answers


def shares(board):
    """Percent of the work that each core has done."""
    text = board.line("/stats")
    return [float(x) for x in re.findall(r" ([\d.]+) %", text.split("by core:")[1])]


def check(ok, what):
    if not ok:
        raise Failed(what)


def main():
    oarlock, kernel, model, machine = sys.argv[1:5]
    expected = hosted(oarlock, model, LINES, TOKENS)
    for cores in [4, 1]:
        flags = f"oarlock.temp=0 oarlock.n={TOKENS} oarlock.cores={cores}"
        with Board(machine, kernel, model, flags) as board:
            boot = board.boot()
            check(f"{cores} cores" in boot, boot)
            got = transcript(board, LINES)
            check(got == expected, f"another transcript: {got!r}, not {expected!r}")
            if cores > 1:
                work = shares(board)
                check(len(work) == cores, f"shares of {len(work)} cores")
                check(all(20 <= share <= 30 for share in work), f"uneven shares {work}")
                print(f"{machine}: shares {work} %")
            check(board.end() == 0, "the exit code")
        print(f"{machine}, cores={cores}: {len(expected)} bytes as hosted")


if __name__ == "__main__":
    main()
