"""Our side: converts a source and gives its logits."""

import json
import os

import numpy as np

from divergence.base import THREADS, run
from divergence.published import fetch
from divergence.sources import source


def converted(setup, model, kind, weights, output):
    """The .oar of a source."""
    out = setup.folder("converted") / f"{model.name}.{kind}.{weights}-{output}.{setup.version}.oar"
    if not out.exists():
        given, options = source(setup, model, kind), ["--weights", weights, "--head", output]
        if weights == "file":
            given, options = fetch(setup, model), []
        run(setup.programs / "oarlock-convert", given, *options, "-o", out)
    return out


class Ours:
    """One row of ours on one source."""

    def __init__(self, setup, model, kind, row):
        self.setup, self.cache = setup, ["--kv", row.cache]
        self.oar = converted(setup, model, kind, row.weights, row.output)
        inspect = json.loads(run(setup.programs / "oarlock", "inspect", "--json", self.oar, quiet=True))
        self.bytes = sum(tensor["bytes"] for tensor in inspect["tensors"])

    def logits(self, unit):
        """Those of the scored positions."""
        out = self.setup.scratch / f"logits.{os.getpid()}.npy"
        command = [self.setup.programs / "oarlock", "logits", "-m", self.oar, "-t", THREADS, *self.cache, "-o", out]
        run(*command, "--tokens", ",".join(map(str, unit.ids)), quiet=True)
        found = np.load(out, mmap_mode="r")[unit.scored]
        out.unlink()
        return found

    def close(self):
        pass
