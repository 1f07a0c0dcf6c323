"""llama.cpp's side: quantizes a source with its own tool and runs it in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import rivals
from gguf import GGUFReader

from divergence.base import THREADS, run
from divergence.published import fetch
from divergence.sources import source
from divergence.texts import calibration

TOOLS = ["llama-quantize", "llama-imatrix"]
PLAIN = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL"}  # types of one matrix, not mixtures
CHUNKS, LENGTH = 40, 1024  # of calibration; tokens in a sequence at most
IMPORTED = ["jinja2", "diskcache", "typing_extensions"]


def build(setup):
    """The folder of llama.cpp's tools and libraries."""
    return setup.llama or rivals.llama(setup.scratch, "llama-shared", [*rivals.AVX2, "-DBUILD_SHARED_LIBS=ON"], TOOLS)


def package(setup):
    """The folder that has the Python package llama_cpp, and what that imports."""
    missing = [name for name in IMPORTED if not importlib.util.find_spec(name)]
    if missing:
        run(sys.executable, "-m", "pip", "install", "-q", *missing)
    return rivals.source(setup.scratch, Path(sys.executable).parent).parent.parent


def importance(setup, model, kind):
    out = setup.folder("importance") / f"{model.name}.{kind}.gguf"
    if not out.exists():
        part = out.with_suffix(".part.gguf")
        options = ["-f", calibration(setup), "-c", 512, "--chunks", CHUNKS, "-t", THREADS, "--no-ppl"]
        run(build(setup) / "llama-imatrix", "-m", source(setup, model, kind), *options, "-o", part)
        part.rename(out)
    return out


def options(setup, model, kind, row):
    """Those of llama-quantize. An output matrix of its own leaves the embedding in the type of the
    weights, as ours does; a tied one is the embedding."""
    tied = all(tensor.name != "output.weight" for tensor in GGUFReader(source(setup, model, kind)).tensors)
    found = ["--output-tensor-type", row.output.lower()]
    if tied:
        found += ["--token-embedding-type", row.output.lower()]
    elif row.weights in PLAIN:
        found += ["--token-embedding-type", row.weights.lower()]
    return found + (["--imatrix", importance(setup, model, kind)] if row.imatrix else [])


def quantized(setup, model, kind, row):
    if row.weights in ("F32", "FILE"):
        return source(setup, model, kind) if row.weights == "F32" else fetch(setup, model)
    name = f"{model.name}.{kind}.{row.weights}-{row.output}{'-imatrix' if row.imatrix else ''}.gguf"
    out = setup.folder("quantized") / name
    if not out.exists():
        part = out.with_suffix(".part.gguf")
        more = options(setup, model, kind, row)
        run(build(setup) / "llama-quantize", *more, source(setup, model, kind), part, row.weights, THREADS)
        part.rename(out)
    return out


class Theirs:
    """One row of llama.cpp's on one source."""

    def __init__(self, setup, model, kind, row):
        gguf = quantized(setup, model, kind, row)
        self.bytes = sum(int(tensor.n_bytes) for tensor in GGUFReader(gguf).tensors)
        self.out = setup.scratch / f"logits.{os.getpid()}.npy"
        env = os.environ | {"PYTHONPATH": str(package(setup)), "LLAMA_CPP_LIB_PATH": str(build(setup))}
        command = [sys.executable, Path(__file__).with_name("libllama.py"), gguf, row.cache, THREADS, LENGTH]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        self.process = subprocess.Popen([str(word) for word in command], **pipes)

    def logits(self, unit):
        """Those of the scored positions."""
        asked = {"ids": unit.ids, "scored": unit.scored.tolist(), "out": str(self.out)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise SystemExit(f"libllama stopped, exit code {self.process.wait()}")
        found = np.load(self.out)
        self.out.unlink()
        return found

    def close(self):
        self.process.stdin.close()
        self.process.wait()
