"""Shared parts: settings, places of files, and how programs are run."""

import functools
import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

THREADS = 2


@dataclass(frozen=True)
class Setup:
    scratch: Path
    programs: Path  # the folder of oarlock and oarlock-convert
    llama: Path | None  # the folder of llama.cpp's build; none: it is built when needed
    text: Path | None  # none: the text that every Python has
    windows: int
    chats: int

    def folder(self, name):
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @functools.cached_property
    def version(self):
        """Of our programs: rows of ours are measured again when it changes."""
        both = b"".join((self.programs / name).read_bytes() for name in ("oarlock-convert", "oarlock"))
        return digest(both)


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def say(*words):
    """Signs of progress; only results go to stdout."""
    print(*words, file=sys.stderr, flush=True)


def run(*command, stdin=None, quiet=False):
    command = [str(word) for word in command]
    if not quiet:
        say("+", " ".join(command)[:200])
    done = subprocess.run(command, input=stdin, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} exited {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout
