#!/usr/bin/env python3
"""Compares Oarlock with llama.cpp and candle: same weights, same bits, same threads, in turns.

    cargo build --release -p oarlock-cli -p oarlock-convert
    python3 tests/bench/compare.py --scratch FOLDER

fetches and builds the rivals in FOLDER (Python with pip, CMake's needs, a C++ compiler and
Cargo; some ten minutes), makes the models there, checks that the answers agree, measures, and
prints the tables; `--chart FILE.svg` draws the ratios. What is already in FOLDER is used. Give
`--llama`, `--native` and `--candle` to use builds from elsewhere, or `none` to do without.

Each figure is the median of `--rounds` rounds; in a round everyone has one turn, each in a
process of its own. Nothing else may run meanwhile: all sides spin while they wait for
threads, and a shared core makes any of them look absurd. The load is printed.
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys

import tables
import chart
import models
import rivals
from contenders import Candle, Llama, Oarlock, first_byte, output

ROOT = pathlib.Path(__file__).resolve().parents[2]
# 16 tokens of SmolLM2's, and a continuation that no rounding changes.
SHORT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
COUNT = "1 2 3 4 5 6 7 8 9"


def cpu():
    """The processor's name, where the system tells it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown CPU"


def agreement(args, us, llama, model):
    """How many of the first greedy tokens' characters both sides share."""
    mine, other = (output(side.generate(model, args.threads[0], COUNT, 8)).strip() for side in (us, llama))
    same = len(os.path.commonprefix([mine, other]))
    print(f"{model}: {COUNT!r} goes on as {mine!r}; the same in {same} of {len(mine)} characters", flush=True)
    # Random weights have nothing to say: near-ties, which any rounding turns.
    if same == 0 and model.name not in models.MAKERS:
        sys.exit(f"error: {model}: {llama.name} says {other!r}")


def turns(rounds, sides, turn):
    """{side: {figure: median}} of `rounds` rounds in which every side has a turn."""
    got = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            got[side.name].append(turn(side))
    median = lambda runs, figure: statistics.median(run[figure] for run in runs)
    return {name: {figure: median(runs, figure) for figure in runs[0] if runs[0][figure] is not None} for name, runs in got.items()}


def start(side, model, threads):
    seconds, _ = first_byte(side.generate(model, threads, SHORT, 1))
    return {"first": seconds}


def memory(side, model, threads):
    prompt = " ".join(str(i) for i in range(10, 150))
    return {"memory": first_byte(side.generate(model, threads, prompt, 64))[1]}


def measure(args, sides, model):
    """All figures of one model: {(kind, threads): {side: {figure: median}}}."""
    us, llama = sides["us"], sides["llama"]
    everyone = [side for side in sides.values() if side]
    figures = {}
    for threads in args.threads:
        at = lambda kind: f"{kind} {threads}"
        if "speed" in args.only:
            figures[at("speed")] = turns(args.rounds, everyone, lambda s: s.speed(model, threads, args.prompt, args.generate))
        if "long" in args.only:
            figures[at("long")] = turns(args.long_rounds, [us, llama], lambda s: s.speed(model, threads, args.long, 1))
        if "start" in args.only:
            figures[at("start")] = turns(args.rounds, [us, llama], lambda s: start(s, model, threads))
    if "memory" in args.only:
        figures["memory"] = turns(1, [us, llama], lambda s: memory(s, model, args.threads[-1]))
    if "threads" in args.only:
        cores = args.threads[-1]
        few, many = Threads(us, cores), Threads(us, 2 * cores)
        figures["threads"] = turns(args.rounds, [few, many], lambda s: s.speed(model, args.generate))
    return figures


class Threads:
    """Oarlock at a number of threads, as a side of its own."""

    def __init__(self, us, threads):
        self.us, self.threads, self.name = us, threads, f"{threads} threads"

    def speed(self, model, generate):
        return self.us.speed(model, self.threads, 64, generate)


def contenders(args):
    """Who takes part: ours with AVX2, ours with the best that there is, and the rivals."""
    scratch = args.scratch
    place = lambda given, make: None if given == "none" else pathlib.Path(given).resolve() if given else make(scratch)
    llama, native, candle = place(args.llama, rivals.llama_avx2), place(args.native, rivals.llama_native), place(args.candle, rivals.candle)
    if not llama:
        sys.exit("error: --llama: llama.cpp also makes the models (give the folder of a build's programs)")
    return {
        "us": Oarlock(args.oarlock, args.isa, args.kv),
        "best": Oarlock(args.oarlock, kv=args.kv) if args.best else None,
        "llama": Llama(llama, "AVX2"),
        "native": Llama(native, "native") if native else None,
        "candle": Candle(candle) if candle else None,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", required=True, type=pathlib.Path, help="where rivals and models go: 8 GB")
    parser.add_argument("--llama", help="bin folder of a llama.cpp without anything newer than AVX2")
    parser.add_argument("--native", help="bin folder of a llama.cpp for this CPU")
    parser.add_argument("--candle", help="a build of tests/bench/candle")
    parser.add_argument("--oarlock", type=pathlib.Path, default=ROOT / "target/release/oarlock")
    parser.add_argument("--convert", type=pathlib.Path, default=ROOT / "target/release/oarlock-convert")
    parser.add_argument("--isa", default="avx2", help="what we run with beside llama.cpp's AVX2 build")
    parser.add_argument("--kv", default="f16", help="the type of our cache; llama.cpp's is f16")
    parser.add_argument("--best", action="store_true", help="also run the best instruction set of this CPU, if it is another")
    parser.add_argument("--models", nargs="+", choices=models.NAMES, default=["smollm2", "random-1b"])
    parser.add_argument("--bits", nargs="+", choices=models.BITS, default=list(models.BITS))
    parser.add_argument("--only", nargs="+", default=["speed", "long", "start", "memory", "threads"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--long", type=int, default=4096, help="tokens of the long prompt")
    parser.add_argument("--results", type=pathlib.Path, help="a JSON file that figures are added to")
    parser.add_argument("--chart", type=pathlib.Path, help="an SVG file of the ratios")
    args = parser.parse_args()
    args.scratch = args.scratch.resolve()
    args.scratch.mkdir(parents=True, exist_ok=True)
    args.results = args.results or args.scratch / "results.json"
    return args


def main():
    args = arguments()
    sides = contenders(args)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    load = os.getloadavg()[0]
    print(f"{cpu()}, {datetime.date.today()}, load {load:.2f}, {rivals.version(args.scratch)}; medians of {args.rounds} rounds\n")
    for name in args.models:
        for bits in args.bits:
            model = models.model(args.scratch, name, bits, sides["llama"].bin, args.convert)
            agreement(args, sides["us"], sides["llama"], model)
            results.setdefault(f"{name} {bits}", {}).update(measure(args, sides, model))
            args.results.write_text(json.dumps(results, indent=1))
    print(tables.figures(results))
    rows = tables.bars(results)
    print(tables.table(rows))
    if args.chart:
        args.chart.write_text(chart.svg(rows))


if __name__ == "__main__":
    main()
