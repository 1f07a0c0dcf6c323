#!/usr/bin/env python3
"""Oarlock and llama.cpp side by side: same weights, same bits, same threads.

    cargo build --release
    python3 tests/bench/compare.py --gguf MODEL.gguf --llama BUILD [--threads 1 2] [--rounds 5]

MODEL.gguf is converted with `--weights keep`, so both sides read the same numbers in the
same number of bits. BUILD is the folder of a llama.cpp build with `bin/llama-bench`;
`--fetch FOLDER` makes one there first (PyPI's source package of llama-cpp-python, CMake,
a C++ compiler; AVX2 and nothing newer), which takes some minutes.

The two take turns, one measurement each a round; the table has medians over the rounds,
and their ratio. Nothing else may run meanwhile: both sides spin while they wait for
threads, and a shared core makes either look absurd.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE = """-G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF
 -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF
 -DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
 -DGGML_AVX512=OFF -DGGML_AVX_VNNI=OFF -DGGML_AMX_INT8=OFF -DGGML_AMX_TILE=OFF""".split()


def fetch(folder):
    """Builds llama-bench in `folder`; returns its build directory."""
    folder.mkdir(parents=True, exist_ok=True)

    def do(*command):
        print("+", *command, file=sys.stderr)
        subprocess.run([str(c) for c in command], check=True, cwd=folder, env=env)

    venv = folder / "venv" / "bin"
    env = os.environ | {"PATH": f"{venv}:{os.environ['PATH']}"}
    do(sys.executable, "-m", "venv", "venv")
    do(venv / "pip", "install", "-q", "scikit-build-core", "cmake", "ninja")
    package = ["--no-deps", "--no-build-isolation", "--no-binary", "llama-cpp-python", "llama-cpp-python"]
    do(venv / "pip", "download", "-q", *package)
    do("tar", "xf", next(folder.glob("llama_cpp_python-*.tar.gz")))
    source = next(folder.glob("llama_cpp_python-*/vendor/llama.cpp"))
    do("cmake", "-S", source, "-B", "build", *CMAKE)
    do("ninja", "-C", "build", "llama-bench")
    return folder / "build"


def output(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def ours(args, model, threads):
    """(prefill, decode) in tokens a second, from one run."""
    command = [args.oarlock, "bench", "--json", "-r", 1, "-m", model, "-t", threads, "--isa", args.isa]
    command += ["--prompt-tokens", args.prompt, "-n", args.generate, *args.ours.split()]
    got = json.loads(output(command))
    if got["isa"] != args.isa or got["threads"] != threads:
        sys.exit(f"error: oarlock ran {got['isa']} with {got['threads']} threads (asked for {args.isa}, {threads})")
    return got["prefill_tok_s"]["median"], got["decode_tok_s"]["median"]


def theirs(args, threads):
    command = [args.llama / "bin/llama-bench", "-m", args.gguf, "-o", "json", "-r", 1, "-t", threads]
    command += ["-p", args.prompt, "-n", args.generate, *args.theirs.split()]
    rows = json.loads(output(command))
    prefill = next(row["avg_ts"] for row in rows if row["n_gen"] == 0)
    return prefill, next(row["avg_ts"] for row in rows if row["n_prompt"] == 0)


def cpu():
    """The processor's name, where the system tells it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown CPU"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True, type=pathlib.Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--llama", type=pathlib.Path, help="a build of llama.cpp")
    where.add_argument("--fetch", type=pathlib.Path, help="a folder to build llama.cpp in")
    parser.add_argument("--oarlock", type=pathlib.Path, default=ROOT / "target/release/oarlock")
    parser.add_argument("--convert", type=pathlib.Path, default=ROOT / "target/release/oarlock-convert")
    parser.add_argument("--isa", default="avx2")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--ours", default="", help="more arguments for oarlock, e.g. '--kv f16'")
    parser.add_argument("--theirs", default="", help="more arguments for llama-bench, e.g. '-fa 1'")
    return parser.parse_args()


def main():
    args = arguments()
    if args.fetch:
        args.llama = fetch(args.fetch.resolve())
    print(f"{cpu()}, load {os.getloadavg()[0]:.2f}; medians of {args.rounds} rounds, tokens a second")
    print(f"oarlock --isa {args.isa} {args.ours}; llama-bench {args.theirs}\n")
    print("| threads | test | oarlock | llama.cpp | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model.oar"
        output([args.convert, args.gguf, "-o", model, "--weights", "keep"])
        for threads in args.threads:
            rounds = [(ours(args, model, threads), theirs(args, threads)) for _ in range(args.rounds)]
            for i, test in enumerate([f"prefill {args.prompt}", f"decode {args.generate}"]):
                mine, other = (statistics.median(r[side][i] for r in rounds) for side in (0, 1))
                print(f"| {threads} | {test} | {mine:.1f} | {other:.1f} | {mine / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()
