"""What is scored: windows of a text and short chats, as token ids, and the text for calibration."""

import json
import pydoc_data.topics
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from divergence import ours
from divergence.base import digest, run

WINDOW = 512
CALIBRATION = 200_000  # bytes
CHATS = Path(__file__).parent.parent / "chats.json"
GROUPS = ["long", "first", "chats"]


@dataclass(frozen=True)
class Unit:
    """One sequence that begins at position 0. Position i scores the prediction after token i."""

    kind: str  # "window" or "chat"
    ids: tuple
    shared: int = 0  # positions at its beginning that an earlier chat has as well: they count once

    @cached_property
    def key(self):
        return f"{self.kind}-{digest(repr(self.ids).encode())}"

    @cached_property
    def groups(self):
        """Group: positions that count."""
        if self.kind == "chat":
            return {"chats": np.arange(self.shared, len(self.ids) - 1)}
        return {"first": np.arange(64), "long": np.arange(256, WINDOW - 1)}

    @cached_property
    def scored(self):
        """Positions whose figures are kept, groups one after another."""
        return np.arange(len(self.ids) - 1) if self.kind == "chat" else np.concatenate(list(self.groups.values()))

    @cached_property
    def next(self):
        return np.array(self.ids)[self.scored + 1]

    def place(self, group):
        """Where a group is among the scored positions."""
        begin = {"first": 0, "long": 64, "chats": self.shared}[group]
        return slice(begin, begin + len(self.groups[group]))


def topics():
    """The text that every Python has."""
    by_name = pydoc_data.topics.topics
    return "\n\n".join(by_name[name] for name in sorted(by_name)).encode()


def scored_text(setup):
    if setup.text:
        return setup.text.read_bytes()
    text = topics()
    return text[text.index(b"\n", len(text) // 2) + 1 :]


def named(setup):
    """Which text it is, for the tables."""
    name = setup.text.name if setup.text else "the second half of pydoc_data.topics"
    return f"{name} (SHA-256 {digest(scored_text(setup))}…), Python {sys.version.split()[0]}"


def calibration(setup):
    out = setup.scratch / "calibration.txt"
    text = topics()
    out.write_bytes(text[: text.rindex(b"\n", 0, CALIBRATION) + 1])
    return out


def rendered(model, chat):
    user, assistant = chat["user"], chat["assistant"]
    if model.system is None:
        return f"Question: {user}\nAnswer: {assistant}"
    turns = [("system", model.system), ("user", user), ("assistant", assistant)]
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)


def tokenized(setup, model):
    """{"bos": an id or none, "text": ids without it, "chats": lists of ids}, kept in the scratch folder."""
    chats = CHATS.read_bytes()
    out = setup.folder("tokens") / f"{model.name}.{digest(scored_text(setup) + chats)}.json"
    if not out.exists():
        oar = ours.converted(setup, model, "published", "f32", "f32")

        def ids(data, *options):
            tokenize = [setup.programs / "oarlock", "tokenize", "-m", oar, "-f", "-", *options]
            return json.loads(run(*tokenize, stdin=data, quiet=True))

        bos = [*ids(b"a"), None][0] if len(ids(b"a")) > len(ids(b"a", "--no-special")) else None
        all_chats = [ids(rendered(model, chat).encode()) for chat in json.loads(chats)]
        found = {"bos": bos, "text": ids(scored_text(setup), "--no-special", "--plain"), "chats": all_chats}
        out.write_text(json.dumps(found))
    return json.loads(out.read_text())


def units(setup, model):
    """The windows and chats to score."""
    tokens = tokenized(setup, model)
    begin = [] if tokens["bos"] is None else [tokens["bos"]]
    step = WINDOW - len(begin)
    whole = len(tokens["text"]) // step
    if whole < setup.windows or len(tokens["chats"]) < setup.chats:
        raise SystemExit(f"{model.name}: there are {whole} windows and {len(tokens['chats'])} chats only")
    text = [tokens["text"][w * step : (w + 1) * step] for w in range(setup.windows)]
    windows = [Unit("window", tuple(begin + ids)) for ids in text]
    chats = [tuple(ids) for ids in tokens["chats"][: setup.chats]]
    return windows + [Unit("chat", ids, shared(ids, chats[:i])) for i, ids in enumerate(chats)]


def shared(ids, others):
    """How many ids at the beginning one of the others has as well."""
    same = lambda other: next((i for i, (a, b) in enumerate(zip(ids, other)) if a != b), len(other))  # noqa: E731
    return min(max(map(same, others), default=0), len(ids) - 1)
