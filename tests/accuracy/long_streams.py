"""Measures the table of streams in docs/lab/streams.md: sinks and rings over a long text.

    python3 tests/accuracy/long_streams.py --scratch DIR --text TEXT [--bin target/release] [--model M.oar] \\
        [--tokens 100000] [--contexts 256,1024] [--sinks 0,1,2,4,8] [--threads 1]

Needs numpy. DIR is reused: a second run does only what is missing. Three kinds of runs over the
first `--tokens` tokens of TEXT, each of which scores every token after the first:

ring        `oarlock stream --context C --sinks S`
dense       `oarlock perplexity` in windows of the model's own context: attention to all that
            precedes, from the window's beginning
recomputed  a window of C tokens that slides, computed anew for each token, which is C times the
            work. Sampled: `oarlock perplexity` in windows of C + 9, of which the last 16 scores
            count, whose tokens saw C − 7 … C + 8 others. Rings are compared with it on the very
            same tokens, by the mean of the differences and its standard error (over windows).
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

LAST, BEYOND = 16, 8  # scores of a recomputed window that count; how far it reaches past C


def run(*command):
    command = list(map(str, command))
    print("+", " ".join(command)[:160], flush=True)
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} exited {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return done.stdout


class Runs:
    def __init__(self, args):
        self.args, self.dir, self.oarlock = args, args.scratch, args.bin.resolve() / "oarlock"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.model = ["-m", args.model] if args.model else []
        self.text = self.dir / "text"
        if not self.text.exists():
            self.text.write_bytes(self.first_tokens())

    def first_tokens(self):
        ids = json.loads(run(self.oarlock, "tokenize", "--no-special", "-f", self.args.text, *self.model))
        if len(ids) < self.args.tokens:
            raise SystemExit(f"{self.args.text} has {len(ids)} tokens only")
        (self.dir / "ids").write_text(" ".join(map(str, ids[: self.args.tokens])))
        with open(self.dir / "ids") as ids:
            detokenize = [self.oarlock, "detokenize", *self.model, "-"]
            return subprocess.run(detokenize, stdin=ids, capture_output=True, check=True).stdout

    def scores(self, name, command, *options):
        """What a command writes with --per-token, kept in DIR."""
        path = self.dir / f"{name}.npy"
        if not path.exists():
            common = ["--json", "-f", self.text, "--per-token", path, "-t", self.args.threads]
            report = run(self.oarlock, command, *common, *options, *self.model)
            (self.dir / f"{name}.json").write_bytes(report)
        return np.load(path).astype(np.float64)

    def ring(self, context, sinks):
        return self.scores(f"ring-{context}-{sinks}", "stream", "--context", context, "--sinks", sinks)

    def dense(self):
        inspect = json.loads(run(self.oarlock, "inspect", "--json", *self.model))
        return inspect["context"], self.scores("dense", "perplexity", "--context", inspect["context"])

    def recomputed(self, context):
        """Scores that count, (windows, LAST), and the places of the same tokens in a stream."""
        length = context + BEYOND + 1
        nll = self.scores(f"recomputed-{context}", "perplexity", "--context", length)
        places = np.arange(len(nll))[:, None] * length + np.arange(length - 1)
        return nll[:, -LAST:], places[:, -LAST:]


def table(runs):
    args = runs.args
    for context in args.contexts:
        recomputed, places = runs.recomputed(context)
        print(f"\n{context} slots; recomputed: perplexity {np.exp(recomputed.mean()):.3f} over {recomputed.size} tokens\n")
        print("| sinks | perplexity | tokens | NLL less that of the recomputed window | peak memory, MB |\n|---|---|---|---|---|")
        for sinks in args.sinks:
            ring = runs.ring(context, sinks)
            off = (ring[places] - recomputed).mean(-1)
            error = off.std(ddof=1) / np.sqrt(len(off))
            rss = json.loads((runs.dir / f"ring-{context}-{sinks}.json").read_text())["steps"][-1]["rss"]
            print(f"| {sinks} | {np.exp(ring.mean()):.3f} | {ring.size} | {off.mean():+.4f} ± {error:.4f} | {rss / 1e6:.1f} |")
        print()
    own, dense = runs.dense()
    print(f"dense, windows of {own}: perplexity {np.exp(dense.mean()):.3f} over {dense.size} tokens")


def main():
    numbers = lambda text: [int(n) for n in text.split(",")]  # noqa: E731
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scratch", type=Path, required=True)
    p.add_argument("--text", type=Path, required=True)
    p.add_argument("--bin", type=Path, default=Path("target/release"), help="folder of oarlock")
    p.add_argument("--model", type=Path, help="default: the default model")
    p.add_argument("--tokens", type=int, default=100_000)
    p.add_argument("--contexts", type=numbers, default=[256, 1024])
    p.add_argument("--sinks", type=numbers, default=[0, 1, 2, 4, 8])
    p.add_argument("--threads", type=int, default=1)
    table(Runs(p.parse_args()))


if __name__ == "__main__":
    main()
