"""Runs a program on a terminal of its own, and writes all that the terminal is told to stdout.

    on_terminal.py PROGRAM [ARG…]

What is read from stdin is typed, a part at a time: parts end with a zero byte, and each waits
until the program asks for a line.
"""

import os
import pty
import select
import sys
import time

PROMPT = b"> "
PATIENCE = 60


def main():
    typed = [part for part in sys.stdin.buffer.read().split(b"\0") if part]
    program, terminal = pty.fork()
    if program == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    end, asked = time.monotonic() + PATIENCE, b""
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            told = os.read(terminal, 4096)
        except OSError:  # Linux' way to say that nobody is there any more.
            break
        if not told:
            break
        sys.stdout.buffer.write(told)
        asked += told
        if typed and PROMPT in asked:
            os.write(terminal, typed.pop(0))
            asked = b""
    else:
        os.kill(program, 9)
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))


if __name__ == "__main__":
    main()
