"""Runs an emulated Raspberry Pi with somebody at its serial console."""

import re
import subprocess
import tempfile
import threading
from pathlib import Path

from device_tree import tree

# Nothing here is timed: a busy machine may take its time, a hang must end.
PATIENCE = 900

NAMES = {"raspi3b": "Raspberry Pi 3 Model B", "raspi4b": "Raspberry Pi 4 Model B"}
PROMPT = b"\r\n> "
FIGURES = re.compile(rb"\r\n\[(\d+) tokens, ([\d.]+) tok/s; prompt (\d+) tokens, ([\d.]+) tok/s"
                     rb"(?:; ([\d.]+) \xc2\xb0C)?\]\r\n> \Z")


class Failed(Exception):
    pass


class Board:
    """Boots `kernel`, with `model` where the firmware would have put it."""

    def __init__(self, machine, kernel, model=None, flags="", more=(), tree_too=True):
        self.folder = tempfile.TemporaryDirectory()
        self.log = Path(self.folder.name) / "log"
        blob = Path(self.folder.name) / "tree"
        blob.write_bytes(tree(NAMES[machine]))
        # One host thread for all cores: a core that sleeps (wfe) gives way to the others.
        command = ["qemu-system-aarch64", "-M", machine, "-accel", "tcg,thread=single"]
        command += ["-display", "none", "-semihosting", "-kernel", str(kernel)]
        command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        command += ["-serial", f"file:{self.log}"]
        if tree_too:
            command += ["-dtb", str(blob), "-append", f"oarlock.semihosting {flags}"]
        if model:
            command += ["-initrd", str(model)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command + list(more), **pipes)
        self.seen, self.mark, self.ended = bytearray(), 0, False
        self.news = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def listen(self):
        while part := self.process.stdout.read1(65536):
            with self.news:
                self.seen += part
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def until(self, wanted):
        """What comes up to and with `wanted`: bytes, or a pattern."""
        found = (lambda text: wanted.search(text)) if isinstance(wanted, re.Pattern) else \
            (lambda text: re.search(re.escape(wanted), text))
        hit = []

        def look():
            match = found(bytes(self.seen[self.mark:]))
            hit.append(match)
            return match or self.ended

        with self.news:
            self.news.wait_for(look, PATIENCE)
            if not hit[-1]:
                tail = bytes(self.seen[self.mark:][-2000:])
                error = self.process.stderr.read().decode() if self.ended else ""
                raise Failed(f"no {wanted!r} in {tail!r} {error}")
            text = bytes(self.seen[self.mark:self.mark + hit[-1].end()])
            self.mark += hit[-1].end()
            return text

    def boot(self):
        """What is said before the first prompt."""
        return self.until(PROMPT).decode()

    def line(self, text):
        """Types a command; what it says."""
        self.type(text.encode() + b"\r")
        return self.until(PROMPT).removesuffix(PROMPT).split(b"\r\n", 1)[-1].decode()

    def say(self, message):
        """Types a message; the bytes of the answer, and its figures."""
        echo = message.encode() + b"\r\n"
        self.type(message.encode() + b"\r")
        text = self.until(FIGURES)
        if not text.startswith(echo):
            raise Failed(f"the console does not echo {message!r}: {text!r}")
        figures = FIGURES.search(text)
        answer = text[len(echo):figures.start()]
        return answer.replace(b"\r\n", b"\n"), [float(x or -1) for x in figures.groups()]

    def end(self):
        """Leaves through semihosting; the exit code."""
        self.type(b"/exit\r")
        return self.process.wait(PATIENCE)
