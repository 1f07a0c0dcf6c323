#!/usr/bin/env python3
"""Measures what threads cost and bring: while nobody asks for anything, and in decode.

    python3 tests/bench/thread_pool.py [--oarlock PROGRAM] [-t 2] [--seconds 10]

A chat on a terminal of its own answers once and then waits, as it does while a person types;
its processor time over those seconds should be under 1 %. A benchmark's processor time
divided by its duration is how many cores it used: with two threads on a quiet machine above
1.5. Linux only; nothing else may run meanwhile.
"""

import argparse
import os
import pathlib
import pty
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(terminal, *texts):
    """Reads until all of the texts have come, in this order."""
    seen, patience = b"", time.monotonic() + 60
    for text in texts:
        while text not in seen:
            if time.monotonic() > patience:
                sys.exit(f"error: pool: the chat never said {text!r}")
            seen += os.read(terminal, 4096)
        seen = seen.partition(text)[2]


def idle(args):
    """The share of a core that a waiting chat takes."""
    command = [args.oarlock, "chat", "-t", str(args.threads), "-n", "20", "--temp", "0"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(args.oarlock, command)
    wait_for(terminal, b"> ")
    os.write(terminal, b"Hello.\r")
    wait_for(terminal, b"tok/s", b"> ")
    before = cpu_seconds(pid)
    time.sleep(args.seconds)
    share = (cpu_seconds(pid) - before) / args.seconds
    os.write(terminal, b"\x04")
    os.waitpid(pid, 0)
    return share


def cores(args):
    """Cores used while the model runs, opening it included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [args.oarlock, "bench", "-t", args.threads, "-r", 5, "--prompt-tokens", 256, "-n", 256]
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oarlock", default=str(ROOT / "target/release/oarlock"))
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    load, waiting, used = os.getloadavg()[0], idle(args), cores(args)
    print(f"load {load:.2f}; a chat that waits takes {100 * waiting:.2f} % of a core")
    print(f"decode and prefill with {args.threads} threads use {used:.2f} cores")
    if waiting >= 0.01 or used < 0.75 * args.threads:
        sys.exit("error: pool: too little work or too much waiting (on a machine with nothing else to do?)")


if __name__ == "__main__":
    main()
