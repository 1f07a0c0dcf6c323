"""Measures one contender once: tokens a second, the first token, memory, an answer."""

import json
import os
import subprocess
import sys
import time


def output(command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"error: {command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def first_byte(command):
    """Seconds from starting a process to the first byte on its stdout, and its peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    byte = process.stdout.read(1)
    seconds = time.perf_counter() - start
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if not byte or process.returncode != 0:
        sys.exit(f"error: {command[0]}: no answer, exit code {process.returncode}")
    # Kilobytes on Linux, bytes on macOS.
    return seconds, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Oarlock:
    def __init__(self, program, isa=None, kv="f16"):
        self.program, self.isa, self.kv = program, isa, kv
        self.name = f"oarlock {isa or 'best'}"

    def speed(self, model, threads, prompt, generate, extra=()):
        """What `oarlock bench --json` says of one run, each figure its median."""
        command = [self.program, "bench", "--json", "-r", 1, "-m", model.oar, "-t", threads]
        command += ["--prompt-tokens", prompt, "-n", generate, "--context", max(4096, prompt), "--kv", self.kv]
        command += ["--isa", self.isa] if self.isa else []
        got = json.loads(output([*command, *extra]))
        if got["threads"] != threads or self.isa not in (None, got["isa"]):
            sys.exit(f"error: oarlock ran {got['isa']} with {got['threads']} threads")
        names = {"prefill": "prefill_tok_s", "decode": "decode_tok_s", "weights": "weight_gb_s", "read": "read_gb_s"}
        return {name: got[key]["median"] for name, key in names.items()}

    def generate(self, model, threads, prompt, n):
        isa = ["--isa", self.isa] if self.isa else []
        common = ["-m", model.oar, "-t", threads, "-n", n, "--temp", 0, "--ignore-eos", "--kv", self.kv]
        return [self.program, "generate", *common, *isa, "-p", prompt]


class Llama:
    def __init__(self, bin_folder, build):
        self.bin, self.name = bin_folder, f"llama.cpp {build}"

    def speed(self, model, threads, prompt, generate):
        command = [self.bin / "llama-bench", "-m", model.gguf, "-o", "json", "-r", 1, "-t", threads]
        rows = json.loads(output([*command, "-p", prompt, "-n", generate]))
        speed = lambda without: next((row["avg_ts"] for row in rows if row[without] == 0), None)
        return {"prefill": speed("n_gen"), "decode": speed("n_prompt")}

    def generate(self, model, threads, prompt, n):
        common = ["-m", model.gguf, "-t", threads, "-n", n, "--temp", 0, "--ignore-eos"]
        return [self.bin / "llama-completion", *common, "-no-cnv", "--no-display-prompt", "-p", prompt]


class Candle:
    name = "candle"

    def __init__(self, program):
        self.program = program

    def speed(self, model, threads, prompt, generate):
        env = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        got = json.loads(output([self.program, model.gguf, prompt, generate], env))
        return {"prefill": got["prefill"], "decode": got["decode"]}
