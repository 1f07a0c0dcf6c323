#!/usr/bin/env python3
"""Times our tokenizer and Hugging Face's `tokenizers`, one thread each, on many kinds of text.

    cargo build --release -p oarlock-tests --example tokenize
    python3 tests/bench/tokenize.py --gguf SmolLM2.gguf --model SmolLM2.oar [--text FILE]

Takes `pip install tokenizers gguf safetensors numpy`. The two take turns; medians, in
megabytes of text a second; the ids must be equal. Both are timed inside their process, from
the text in memory to a list of ids.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
SIZE = 1_000_000


def texts(prose):
    """Inputs of a megabyte: what people write, and what is hard on a tokenizer."""
    rng = random.Random(5)
    code = "\n".join(p.read_text() for p in sorted((ROOT / "runtime/src").rglob("*.rs")))
    fill = lambda text: (text * (SIZE // len(text.encode()) + 1)).encode()[:SIZE].decode(errors="ignore")
    some = lambda alphabet, n=20_000: "".join(rng.choice(alphabet) for _ in range(n))
    return {
        "prose": fill(prose),
        "code": fill(code),
        "digits": fill(some("0123456789")),
        "one run of spaces": " " * SIZE,
        "runs of spaces": fill("".join(" " * rng.randrange(2, 300) + "x" for _ in range(2000))),
        "newlines": "\n" * SIZE,
        "one letter": "a" * SIZE,
        "letters without spaces": fill(some("etaoinshrdlucmfwyp", 200_000)),
        "base64": fill(some("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")),
        "Chinese": fill(some([chr(c) for c in range(0x4E00, 0x5E00)])),
        "emoji": fill(some([chr(c) for c in range(0x1F600, 0x1F640)])),
    }


def theirs(tokenizer, text):
    start = time.perf_counter()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return len(text.encode()) / (time.perf_counter() - start) / 1e6, ids


def ours(args, path):
    run = [args.bench, args.model, "1", path]
    done = subprocess.run([str(c) for c in run], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["mb_s"][0]


def same_ids(args, path, ids):
    run = [args.oarlock, "tokenize", "-m", args.model, "--no-special", "-f", path]
    done = subprocess.run([str(c) for c in run], capture_output=True, text=True, check=True)
    return json.loads(done.stdout) == ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True, help="whose tokenizer it is")
    parser.add_argument("--model", required=True, type=pathlib.Path, help="the same, converted")
    parser.add_argument("--text", type=pathlib.Path, default=ROOT / "tests/fixtures/text.txt", help="prose")
    parser.add_argument("--bench", type=pathlib.Path, default=ROOT / "target/release/examples/tokenize")
    parser.add_argument("--oarlock", type=pathlib.Path, default=ROOT / "target/release/oarlock")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    from gguf import GGUFReader
    from smollm2_directory import tokenizer as hugging_face

    reference = hugging_face(GGUFReader(args.gguf))
    print(f"one thread, load {os.getloadavg()[0]:.2f}, medians of {args.rounds} rounds, MB/s\n")
    print("| text | oarlock | tokenizers | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts(args.text.read_text()).items():
            path = pathlib.Path(folder) / "text"
            path.write_text(text, newline="")
            rounds = [(ours(args, path), theirs(reference, text)) for _ in range(args.rounds)]
            if not same_ids(args, path, rounds[0][1][1]):
                sys.exit(f"error: {name}: the ids differ")
            mine = statistics.median(r[0] for r in rounds)
            other = statistics.median(r[1][0] for r in rounds)
            print(f"| {name} | {mine:.1f} | {other:.1f} | {mine / other:.1f} |", flush=True)


if __name__ == "__main__":
    main()
