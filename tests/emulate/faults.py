"""Makes things go wrong on a board: each is said there, and the board lives on.

    faults.py KERNEL8 MODEL MACHINE
"""

import sys
import tempfile
from pathlib import Path

from board import Board, Failed, PROMPT
from conversation import check

FLAGS = "oarlock.temp=0 oarlock.n=8"
# The first tensor begins where the header says that the metadata ends (docs/reference/format.md).
METADATA_LEN = slice(24, 32)


def lives(board):
    """Whether the prompt answers."""
    check("/reboot" in board.line("/help"), "the prompt does not answer")


def damaged(machine, kernel, model, change, told):
    """Boots with a changed model: what is told at the prompt, twice."""
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "model.oar"
        data = bytearray(model.read_bytes())
        bad.write_bytes(change(data))
        with Board(machine, kernel, bad, FLAGS) as board:
            boot = board.boot()
            check(f"error: model: {told}" in boot, boot)
            lives(board)
            check(told in board.line("hello"), "the fault is not told again")
    print(f"{machine}: {told}: said, and alive")


def flip(at):
    def change(data):
        data[at] ^= 4
        return data
    return change


def models(machine, kernel, model):
    data = model.read_bytes()
    tensors = int.from_bytes(data[METADATA_LEN], "little")
    damaged(machine, kernel, model, lambda data: data[: len(data) // 2], "truncated: ")
    damaged(machine, kernel, model, lambda data: data[:40], "truncated: ")
    damaged(machine, kernel, model, flip(2), "not an .oar file")
    damaged(machine, kernel, model, flip(tensors - 200), "damaged: the metadata checksum")
    damaged(machine, kernel, model, flip(tensors + 100), "tensor ")
    damaged(machine, kernel, model, flip(len(data) - 70), "tensor ")
    with Board(machine, kernel, None, FLAGS) as board:
        check("error: model: the firmware has loaded none" in board.boot(), "no model, no word")
        lives(board)
    print(f"{machine}: no model: said, and alive")


def memory(machine, kernel, model):
    """The GPU keeps nearly all of it; then a context that no board has memory for."""
    most = {"raspi3b": 1024, "raspi4b": 2048}[machine]
    keeps = ["-global", f"bcm2835-fb.vcram-size={(min(most, 1024) - 160) << 20}"]
    large = FLAGS + " oarlock.context=4000000000"
    for flags, more in [(large, []), (FLAGS + " oarlock.context=3000000", keeps)]:
        with Board(machine, kernel, model, flags, more) as board:
            boot = board.boot()
            check("error: memory: " in boot or "error: cmdline.txt: " in boot, boot)
            lives(board)
    print(f"{machine}: too little memory: said, and alive")


def flags(machine, kernel, model):
    wrong = "oarlock.temp=warm oarlock.colour=red"
    with Board(machine, kernel, model, f"{FLAGS} {wrong}") as board:
        boot = board.boot()
        check("warning: oarlock.temp: it does not take warm" in boot, boot)
        check("warning: oarlock.colour: there is no such flag" in boot, boot)
        lives(board)
    print(f"{machine}: flags that cannot be followed: said, and alive")


def typing(machine, kernel, model):
    """100 KB on a line, every byte there is, an answer that is stopped, a new start."""
    with Board(machine, kernel, model, "oarlock.temp=0") as board:
        board.boot()
        board.type(b"a" * 100_000 + b"\r")
        board.until(b"error: line: longer than 4096 bytes (say it in parts)")
        board.until(PROMPT)
        lives(board)
        board.type(bytes(range(256)) + b"\r")
        board.until(b"error: line: not UTF-8 at byte offset")
        board.until(PROMPT)
        # The newline of the bytes above ended a line of its own, which may be answered.
        board.type(b"\x03\x15/help\r")
        board.until(b"Everything else is a message.\r\n> ")
        board.type(b"a message\x7f\x08\x08 with \xe6\xbc\xa2\x7fan end\x15Tell me everything.\r")
        board.until(b"Tell me everything.\r\n")
        board.type(b"\x03")
        text = board.until(b"tok/s")
        check(b" tokens, " in text, text)
        board.until(PROMPT)
        lives(board)
        board.type(b"/reboot\r")
        board.until(b"The board starts again.")
        check("Oarlock" in board.boot(), "no new start")
        lives(board)
    print(f"{machine}: 100 KB, all bytes, Ctrl-C, /reboot: alive")


def main():
    kernel, model, machine = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    models(machine, kernel, model)
    memory(machine, kernel, model)
    flags(machine, kernel, model)
    typing(machine, kernel, model)


if __name__ == "__main__":
    main()
