"""Makes random blocks of ggml's types, and what the `gguf` package makes of them.

    python tests/golden/quants.py

Writes `tests/fixtures/quants.json`: for each type its code in GGUF, and as hexadecimal digits
512 values in blocks and as f32, little endian both. Quants and small scales are all bytes that
there are; the f16 scales are numbers near 0.01, of either sign.
"""

import numpy as np
from gguf import GGMLQuantizationType
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

from common import FIXTURES, write_json

# Where the f16 scales of a block are.
TYPES = {
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "IQ4_NL": [0],
    "IQ4_XS": [0],
    "MXFP4": [],
}
VALUES = 512


def blocks(name, rng):
    values, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    data = rng.integers(0, 256, (VALUES // values, size), dtype=np.uint8)
    for at in TYPES[name]:
        scales = (rng.uniform(0.005, 0.02, len(data)) * rng.choice([-1, 1], len(data))).astype("<f2")
        data[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    if name == "MXFP4":
        # Subnormal ones, and some near 1.
        data[:, 0] = rng.choice([0, 1, 2, *range(118, 134)], len(data))
    return data


def main():
    rng = np.random.default_rng(5)
    cases = {}
    for name in TYPES:
        data, kind = blocks(name, rng), GGMLQuantizationType[name]
        floats = dequantize(data, kind).astype("<f4")
        assert floats.size == VALUES and np.isfinite(floats).all()
        cases[name] = dict(code=int(kind), blocks=data.tobytes().hex(), floats=floats.tobytes().hex())
    write_json(FIXTURES / "quants.json", cases)


if __name__ == "__main__":
    main()
