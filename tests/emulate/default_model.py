"""Boots the default model on an emulated board: it answers as the hosted chat does.

    default_model.py OARLOCK KERNEL8 MODEL MACHINE
"""

import sys

from board import Board
from conversation import check, hosted, shares

LINES = ["What is the capital of France?"]
TOKENS = 8


def main():
    oarlock, kernel, model, machine = sys.argv[1:5]
    expected = hosted(oarlock, model, LINES, TOKENS)
    with Board(machine, kernel, model, f"oarlock.temp=0 oarlock.n={TOKENS}") as board:
        print(board.boot())
        answers = b""
        for line in LINES:
            answer, figures = board.say(line)
            answers += answer + b"\n"
            print(f"> {line}\n{answer.decode()}\n{figures}")
        check(answers == expected, f"another transcript: {answers!r}, not {expected!r}")
        work = shares(board)
        check(all(20 <= share <= 30 for share in work), f"uneven shares {work}")
        check(board.end() == 0, "the exit code")
    print(f"{machine}: as hosted, shares {work} %")


if __name__ == "__main__":
    main()
