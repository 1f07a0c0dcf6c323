"""The rows of the tables: what their names mean, and which are measured when none are named.

Ours are `weights/output/cache` in the converter's words. Those of llama.cpp are `Q4_0/Q8_0/f16` in
its words, `Q4_0+imatrix/Q8_0/f16` with an importance matrix. `file/file/f16` is the published file as
our converter takes it without options, `FILE/FILE/f16` that file as llama.cpp runs it.
"""

import re
from dataclasses import dataclass

QUICK = ["int4/int8/f16", "int4a/int8/f16", "int8/int8/f16", "f32/f32/int8", "f32/f32/f16"]
# On the source as published only: what has no weights to quantize.
CACHES = ["f32/f32/f16", "f32/f32/int8", "F32/F32/f32", "file/file/f16", "FILE/FILE/f16"]
OURS = [
    *(f"{weights}/int8/f16" for weights in ("int4", "int4n", "auto", "int4a", "int5", "int8")),
    "int4/int8/int8",
    "int8/int8/int8",
]
PLAIN = ["Q4_0/Q8_0/f16", "Q4_1/Q8_0/f16", "Q5_0/Q8_0/f16", "Q5_1/Q8_0/f16", "Q8_0/Q8_0/f16", "IQ4_NL/Q8_0/f16"]
MIXED = ["Q4_K_S/Q8_0/f16", "Q4_K_M/Q8_0/f16"]
IMPORTANCE = [f"{kind}+imatrix/Q8_0/f16" for kind in ("Q4_0", "Q4_1", "IQ4_NL", "Q4_K_S", "Q4_K_M")]
FULL = {
    "broken": ["f32/f32/f32", *OURS, *PLAIN, *MIXED, *IMPORTANCE],
    "published": [*CACHES, *OURS, *PLAIN, *MIXED, *IMPORTANCE],
}


@dataclass(frozen=True)
class Row:
    name: str
    weights: str
    output: str
    cache: str
    rival: bool
    imatrix: bool

    @property
    def file(self):
        return self.name.replace("/", "_")


def row(name):
    parts = name.split("/")
    if len(parts) != 3:
        raise SystemExit(f"{name}: a row is weights/output/cache")
    weights, _, extra = parts[0].partition("+")
    rival = re.match("Q|IQ|F32|FILE", weights) is not None
    if extra not in ("", "imatrix") or (extra and not rival):
        raise SystemExit(f"{name}: only llama.cpp's types take +imatrix")
    return Row(name, weights, parts[1], parts[2], rival, extra == "imatrix")


def rows(names, quick, kind):
    """Those to measure on one kind of source."""
    return [row(name) for name in names or (QUICK if quick else FULL[kind.partition("-")[0]])]
