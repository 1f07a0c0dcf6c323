"""Counts instructions a token on 64-bit ARM, ours beside llama.cpp's, under emulation.

usage: arm_instructions.py --scratch FOLDER --emulator QEMU-AARCH64 --plugin LIBINSN.SO --oarlock PROGRAM
              --convert OARLOCK-CONVERT

Needs no ARM machine and says nothing about time. docs/lab/arm.md says how the emulator and
the program are built; llama.cpp is fetched and cross-built in FOLDER, for the instruction sets
of a Pi 4, a Pi 5 and a Mac M2, and the models are made there. A decoded token is a fourth of
what 6 tokens take more than 2, a prefilled one a 32nd of what a prompt of 64 takes more than
one of 32, so that starting costs nothing. One thread, as many bits on both sides.
"""

import argparse
import pathlib
import re
import subprocess

import models
import rivals

# How ours is called, llama.cpp's architecture, a CPU that has it and no more, and what ours may
# need of the other's instructions: decode, prefill.
SETS = [
    ("neon", "armv8-a", "cortex-a72", (0.45, 0.4)),
    ("neon-dotprod", "armv8.2-a+dotprod", "cortex-a76", (0.8, 0.9)),
    ("neon-i8mm", "armv8.6-a+i8mm", "neoverse-v1", (0.8, 0.85)),
]
CROSS = """-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF
 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
 -DCMAKE_EXE_LINKER_FLAGS=-static""".split()


def counted(options, cpu, command):
    """Instructions that a program executes."""
    emulator = [options.emulator, "-cpu", cpu, "-plugin", options.plugin, "-d", "plugin"]
    done = subprocess.run([*emulator, *map(str, command)], capture_output=True, text=True)
    total = re.search(r"total insns: (\d+)", done.stderr)
    if done.returncode or not total:
        raise SystemExit(f"{command}: ended with {done.returncode}: {done.stderr[-500:]}")
    return int(total[1])


def ours(options, isa, model):
    """The command for so many tokens of prompt and of answer."""
    fixed = ["-m", model, "--isa", isa, "-t", 1, "--context", 256, "--temp", 0, "--ignore-eos"]
    # A letter and a space are a token each time.
    text = lambda prompt: " ".join(["a"] * prompt)
    return lambda prompt, n: [options.oarlock, "generate", "-p", text(prompt), "-n", n, *fixed]


def theirs(program, model):
    fixed = ["-m", model, "-t", 1, "-r", 1, "--no-warmup"]
    return lambda prompt, n: [program, "-p", prompt if n < 2 else 0, "-n", n if n > 1 else 0, *fixed]


def per_token(options, cpu, command):
    """Millions of instructions a decoded and a prefilled token."""
    decode = [counted(options, cpu, command(2, n)) for n in (2, 6)]
    prefill = [counted(options, cpu, command(prompt, 1)) for prompt in (32, 64)]
    return (decode[1] - decode[0]) / 4e6, (prefill[1] - prefill[0]) / 32e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("scratch", "emulator", "plugin", "oarlock", "convert"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("--isa", nargs="*", default=[isa for isa, *_ in SETS])
    parser.add_argument("--only-ours", action="store_true", help="leave llama.cpp out")
    options = parser.parse_args()
    scratch = options.scratch.resolve()
    print("| weights | `--isa` | | oarlock, M | llama.cpp, M | ratio | aim |\n|" + "---|" * 7)
    for weights in models.BITS:
        model = models.model(scratch, "smollm2", weights, rivals.llama_avx2(scratch), options.convert)
        for isa, arch, cpu, aims in SETS:
            if isa not in options.isa:
                continue
            mine = per_token(options, cpu, ours(options, isa, model.oar))
            other = (float("nan"),) * 2
            if not options.only_ours:
                build = rivals.llama(scratch, f"llama-{arch}", [*CROSS, f"-DGGML_CPU_ARM_ARCH={arch}"], ["llama-bench"])
                other = per_token(options, cpu, theirs(build / "llama-bench", model.gguf))
            for i, kind in enumerate(("decode", "prefill")):
                aim = aims[i] if weights == "int4" else ""
                row = weights, f"`{isa}`", kind, f"{mine[i]:.1f}", f"{other[i]:.1f}", f"{mine[i] / other[i]:.2f}", aim
                print("|", " | ".join(map(str, row)), "|", flush=True)


main()
