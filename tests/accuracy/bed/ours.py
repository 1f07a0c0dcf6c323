"""Our side: converts a source and gives its logits."""

import json
import os

import numpy as np

from bed.base import THREADS, run
from bed.sources import source


def converted(bed, model, kind, weights, output):
    """The .oar of a source."""
    out = bed.folder("converted") / f"{model.name}.{kind}.{weights}-{output}.{bed.version}.oar"
    if not out.exists():
        options = ["--weights", weights, "--head", output]
        run(bed.programs / "oarlock-convert", source(bed, model, kind), *options, "-o", out)
    return out


class Ours:
    """One row of ours on one source."""

    def __init__(self, bed, model, kind, row):
        self.bed, self.cache = bed, ["--kv", row.cache]
        self.oar = converted(bed, model, kind, row.weights, row.output)
        inspect = json.loads(run(bed.programs / "oarlock", "inspect", "--json", self.oar, quiet=True))
        self.bytes = sum(tensor["bytes"] for tensor in inspect["tensors"])

    def logits(self, unit):
        """Those of the scored positions."""
        out = self.bed.scratch / f"logits.{os.getpid()}.npy"
        command = [self.bed.programs / "oarlock", "logits", "-m", self.oar, "-t", THREADS, *self.cache, "-o", out]
        run(*command, "--tokens", ",".join(map(str, unit.ids)), quiet=True)
        found = np.load(out, mmap_mode="r")[unit.scored]
        out.unlink()
        return found

    def close(self):
        pass
