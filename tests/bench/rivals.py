"""Fetches and builds the rivals into a scratch folder: llama.cpp twice, candle once.

llama.cpp comes from PyPI's source package of llama-cpp-python, candle from crates.io. What is
there already is not built again, so that a run that was cut short goes on where it stopped.
"""

import os
import pathlib
import shutil
import subprocess
import sys

COMMON = """-G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF
 -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF""".split()
AVX2 = """-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON
 -DGGML_AVX512=OFF -DGGML_AVX_VNNI=OFF -DGGML_AMX_INT8=OFF -DGGML_AMX_TILE=OFF""".split()
HERE = pathlib.Path(__file__).resolve().parent
# Without the header its AMX path crashes, where there is AMX and the compiler is GCC 12.
NATIVE = ["-DGGML_NATIVE=ON", f"-DCMAKE_CXX_FLAGS=-include {HERE / 'tile_loadconfig.h'}"]
TOOLS = ["llama-bench", "llama-quantize", "llama-completion"]
CANDLE = HERE / "candle"


def do(*command, cwd, env=None):
    print("+", *command, file=sys.stderr, flush=True)
    subprocess.run([str(c) for c in command], check=True, cwd=cwd, env=env)


def venv(scratch):
    """A Python of its own with what building and making models takes; returns its folder of programs."""
    programs = scratch / "venv/bin"
    if not (programs / "ninja").exists():
        do(sys.executable, "-m", "venv", "venv", cwd=scratch)
        do(programs / "pip", "install", "-q", "scikit-build-core", "cmake", "ninja", "numpy", "gguf", cwd=scratch)
    return programs


def source(scratch, programs):
    """llama.cpp's sources."""
    if not list(scratch.glob("llama_cpp_python-*/vendor/llama.cpp")):
        package = ["--no-deps", "--no-build-isolation", "--no-binary", "llama-cpp-python", "llama-cpp-python"]
        do(programs / "pip", "download", "-q", *package, cwd=scratch)
        do("tar", "xf", next(scratch.glob("llama_cpp_python-*.tar.gz")), cwd=scratch)
    return next(scratch.glob("llama_cpp_python-*/vendor/llama.cpp"))


def llama(scratch, name, options, tools=TOOLS):
    """A build of llama.cpp; returns the folder with its programs."""
    build = scratch / name
    if not all((build / "bin" / tool).exists() for tool in tools):
        programs = venv(scratch)
        env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
        do("cmake", "-S", source(scratch, programs), "-B", build, *COMMON, *options, cwd=scratch, env=env)
        do("ninja", "-C", build, *tools, cwd=scratch, env=env)
    return build / "bin"


def llama_avx2(scratch):
    return llama(scratch, "llama-avx2", AVX2)


def llama_native(scratch):
    return llama(scratch, "llama-native", NATIVE)


def candle(scratch):
    """The program in `candle/`, built for this CPU; returns its path."""
    sources, target = scratch / "candle-src", scratch / "candle"
    program = target / "release/candle-bench"
    if not program.exists():
        shutil.copytree(CANDLE, sources, dirs_exist_ok=True)
        env = os.environ | {"RUSTFLAGS": "-C target-cpu=native", "CARGO_TARGET_DIR": str(target)}
        do("cargo", "build", "--release", cwd=sources, env=env)
    return program


def version(scratch):
    """The llama-cpp-python whose llama.cpp was built, as far as the folder tells."""
    found = sorted(scratch.glob("llama_cpp_python-*.tar.gz"))
    return found[-1].name.removesuffix(".tar.gz").replace("_", "-") if found else "of unknown version"
