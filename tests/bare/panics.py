"""Lists what in a linked program could panic, and from where: `file function panic`, a line each.

usage: panics.py PROGRAM SOURCES

Reads every call of a function that panics off the disassembly, and where it stands in the
sources off the debug information: the innermost function of the folder SOURCES that was
inlined there, so that a line says `matmul.rs finish` and not where a compiler put it.
"""

import re
import subprocess
import sys
from pathlib import Path

TOOLS = "aarch64-linux-gnu-"
CALL = re.compile(r"^ *([0-9a-f]+):\tbl?\t.*<(core::[\w:]*?(?:panic\w*|_fail|_failed))(?:::<.*)?>")
CORE = re.compile(r".*/((?:core|alloc)/src/[^:]*).*")
# What these do is to panic: who calls them is a line of its own.
PANICS = ("core/src/panic", "core/src/slice/index.rs")
FUNCTION = re.compile(r"\s*(?:pub(?:\([a-z]+\))? )?(?:const )?(?:unsafe )?fn (\w+)")
TYPE = re.compile(r"impl.*?\b(\w+)(?:<[^{]*)? \{")
# Where an operation meets an instruction set: which operation says more.
ENTER = ("Isa::run", "enter")
OPERATION = re.compile(r"oarlock::kernels::((?!arm|scalar|block|isa|gemm::floats|attention::floats|attention::int8)[\w:]+)::(\w+)")


def function(source, line):
    """The function that a line of a file stands in, with the type that it is of."""
    name, owner = "?", ""
    for text in source.read_text().splitlines()[:line]:
        if found := TYPE.match(text):
            owner = found[1] + "::"
        elif text == "}":
            owner = ""
        if found := FUNCTION.match(text):
            name = owner + found[1]
    return name


def place(frames, sources):
    """Of the frames (name, file:line) of a call, innermost first: which file and function."""
    ours = [(name, *file.rsplit(":", 1)) for name, file in frames if file.startswith(sources)]
    for _, file, line in ours:
        if (number := line.split(" ")[0]).isdigit():
            name = function(Path(file), int(number))
            if name not in ENTER:
                return file.removeprefix(sources), name
    # Calls that a compiler has made one of have no line. What they are part of says where.
    for name, _ in frames:
        if found := OPERATION.search(name):
            path = Path("kernels", *found[1].split("::"))
            file = path / "mod.rs" if Path(sources, path).is_dir() else path.with_suffix(".rs")
            return str(file), f"{found[2]}::run"
    if ours:
        return ours[0][1].removeprefix(sources), "?"
    name, file = frames[-1]
    return CORE.sub(r"\1", file), re.split(r"[<>:]+", re.sub(r"<.*", "", name).rstrip(":"))[-1]


def main():
    program, sources = sys.argv[1], str(Path(sys.argv[2]).resolve()) + "/"
    dump = [TOOLS + "objdump", "-dC", "--no-show-raw-insn", program]
    lines = subprocess.run(dump, capture_output=True, text=True, check=True).stdout.splitlines()
    calls = [found.groups() for found in map(CALL.match, lines) if found]
    where = [TOOLS + "addr2line", "-aifC", "-e", program]
    asked = "\n".join(address for address, _ in calls)
    told = subprocess.run(where, input=asked, capture_output=True, text=True, check=True).stdout
    stacks = [part.splitlines()[1:] for part in re.split(r"^(?=0x)", told, flags=re.M) if part]
    found = set()
    for (_, panic), stack in zip(calls, stacks, strict=True):
        file, name = place(list(zip(stack[::2], stack[1::2])), sources)
        if not file.startswith(PANICS):
            found.add(f"{file} {name} {panic.split('::')[-1]}")
    print("\n".join(sorted(found)))


main()
