"""Boots a board: in time, with its log, whatever way the model comes.

    boot.py ELF KERNEL8 MODEL MACHINE FRAMES
"""

import gzip
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from board import Board
from conversation import check

# What every boot logs, in this order.
LOGGED = [r"board Raspberry Pi \d, revision [0-9a-f]+, \d+ Hz", r"memory 0 to [0-9a-f]+",
          r"4 cores", r"model at [0-9a-f]+ to [0-9a-f]+", r"model of \d+ tensors in order",
          r"session of \d+ bytes: Options \{ context: \d+, ", r"prompt after \d+ us",
          r"answer: 8 tokens in \d+ us", r"prompt: \d+ tokens in \d+ us"]
FLAGS = "oarlock.temp=0 oarlock.n=8"
# The board's clock counts instructions, each a nanosecond: how busy this machine is has no
# part in it.
COUNTED = ["-icount", "shift=0,sleep=off"]


def frames(decoder, elf, log):
    """The board's log, decoded."""
    return subprocess.run([decoder, elf, log], check=True, capture_output=True, text=True).stdout


def logged(elf, kernel, model, machine, decoder):
    with Board(machine, kernel, model, FLAGS, more=COUNTED) as board:
        board.boot()
        answer = board.say("Hello")[0]
        check(board.end() == 0, "the exit code")
        log = frames(decoder, elf, board.log)
    at = 0
    for line in LOGGED:
        match = re.compile(line).search(log, at)
        check(match, f"nothing like {line!r} in order in the log:\n{log}")
        at = match.end()
    waited = int(re.search(r"prompt after (\d+) us", log)[1])
    check(waited < 1_000_000, f"the prompt took {waited} us")
    print(f"{machine}: {len(log.splitlines())} frames, prompt after {waited} us of its time")
    return answer


def faulty(elf, kernel, model, machine, decoder):
    """Faults are logged by the runtime's own errors."""
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "model.oar"
        bad.write_bytes(Path(model).read_bytes()[:1000])
        with Board(machine, kernel, bad, FLAGS) as board:
            board.boot()
            check(board.end() == 0, "the exit code")
            log = frames(decoder, elf, board.log)
    check("model: Truncated { needed: " in log, log)
    print(f"{machine}: a fault is logged: {log.strip().splitlines()[-2]}")


def appended(kernel, model, machine, answer):
    """The model behind the program in one file."""
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "kernel8.img"
        both.write_bytes(gzip.decompress(Path(kernel).read_bytes()) + Path(model).read_bytes())
        with Board(machine, both, None, FLAGS) as board:
            board.boot()
            check(board.say("Hello")[0] == answer, "another answer from an appended model")
        # Without a device tree there are no flags, and the mailbox tells the memory.
        with Board(machine, both, None, tree_too=False) as board:
            check("context 256, 4 cores, neon, seed " in board.boot(), "not its own flags")
    print(f"{machine}: a model behind the program is found, with a device tree and without")


def main():
    elf, kernel, model, machine, decoder = sys.argv[1:6]
    answer = logged(elf, kernel, model, machine, decoder)
    faulty(elf, kernel, model, machine, decoder)
    appended(kernel, model, machine, answer)


if __name__ == "__main__":
    main()
