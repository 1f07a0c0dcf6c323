#!/usr/bin/env python3
"""Measures what drafting brings: the same answers with and without `--lookup`, in turns.

    python3 tests/bench/prompt_lookup.py [--oarlock PROGRAM] [-m MODEL] [--threads 1 2]

Prompts that quote (summaries, edits of code) and prompts that do not. The answers must be the
same; the table has medians of tokens a second and their ratio to plain decoding.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSAGE = (ROOT / "docs/internals/decisions.md").read_text()[:3000]
CODE = (ROOT / "tests/bench/chart.py").read_text()
PROMPTS = {
    "summary": f"Summarize the following text in a few sentences, quoting its own words:\n\n{PASSAGE}",
    "extract": f"List the headings of this text and the first sentence below each:\n\n{PASSAGE}",
    "code, rename": f"Rename the variable `parts` to `lines` in this Python program and print all of it:\n\n{CODE}",
    "code, comments": f"Add a comment to every function of this program and print the whole program:\n\n{CODE}",
    "story": "Write a short story about a lighthouse keeper who finds a message in a bottle.",
    "question": "Explain how a bicycle stays upright.",
    "recipe": "What should I cook tonight with rice, eggs and spinach?",
}


def answer(args, prompt, threads, lookup, temp):
    command = [args.oarlock, "generate", "--chat", "-p", prompt, "-n", args.tokens, "-t", threads]
    command += ["--temp", temp, "--seed", 1, "--lookup", lookup] + (["-m", args.model] if args.model else [])
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
    said = done.stderr.strip().splitlines()[-1]
    drafts = re.search(r"(\d+) of (\d+) drafts", said)
    return float(re.search(r"tokens, ([\d.]+) tok/s", said)[1]), drafts and drafts[0], done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oarlock", default=str(ROOT / "target/release/oarlock"))
    parser.add_argument("-m", "--model")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--lookup", type=int, nargs="+", default=[3, 8])
    parser.add_argument("--temps", nargs="+", default=["0", "0.7"])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.2f}, medians of {args.rounds} rounds, tokens a second\n")
    print("| prompt | threads | temp | plain |" + "".join(f" --lookup {n} | drafts right |" for n in args.lookup))
    print("|---|---|---|---|" + "---|---|" * len(args.lookup))
    for name, prompt in PROMPTS.items():
        for threads, temp in ((t, temp) for t in args.threads for temp in args.temps):
            rounds = [[answer(args, prompt, threads, n, temp) for n in [0, *args.lookup]] for _ in range(args.rounds)]
            if len({said for turn in rounds for _, _, said in turn}) != 1:
                sys.exit(f"error: {name}: the answers differ")
            plain, *speeds = (statistics.median(turn[i][0] for turn in rounds) for i in range(len(rounds[0])))
            with_drafts = zip(speeds, (run[1] for run in rounds[0][1:]))
            cells = [f" {speed / plain:.2f} × | {drafts or 'none'} |" for speed, drafts in with_drafts]
            print(f"| {name} | {threads} | {temp} | {plain:.0f} |" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
