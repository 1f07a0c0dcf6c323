"""Makes the sampler golden: the sets that transformers' logits processors keep, in float64.

    python tests/golden/sampler.py

Writes `tests/fixtures/sampler.json`: 1,000 cases. The processors run in the order
repetition penalty, temperature, top-k, top-p, min-p; one that is at rest (penalty 1,
top_k 0, top_p 1, min_p 0) is left out, as `generate` does.

The logits of a case, 49,152 of them, come from its `seed` and are exact in f32:

    state = seed
    for each id:
        v = splitmix64()                          # the usual constants
        n = the sum of v's four 16-bit fields - 131070
        n = n >> drop << drop                     # arithmetic shift; drop > 0 makes ties
        logit = n * 2^-shift

`seen` are the ids that the penalty covers. `count` and `fnv` describe the kept set: its
size, and FNV-1a 64 over its ids, ascending, as little-endian u32. `margin` is how far
the nearest cumulative probability is from the top-p threshold (null without top-p): no
case rests on less than 1e-10, nor on the order among equal logits, which transformers
leaves open.

A case's temperature, top_p, min_p and penalty are meant as f64.
"""

import json
import random

import numpy as np
import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from common import FIXTURES, fnv1a64

VOCAB, CASES, MARGIN = 49_152, 1_000, 1e-10

FIXED = [  # asked for by name; the rest is drawn
    dict(temperature=2.0, top_k=0, top_p=0.999, min_p=0.0, penalty=1.0),
    dict(temperature=2.0, top_k=0, top_p=0.999, min_p=0.0, penalty=1.3),
    dict(temperature=0.7, top_k=40, top_p=0.95, min_p=0.0, penalty=1.0),
    dict(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, penalty=1.0),
    dict(temperature=1.0, top_k=1, top_p=1.0, min_p=0.0, penalty=1.0),
    dict(temperature=1.5, top_k=0, top_p=1.0, min_p=0.05, penalty=1.1),
]


def logits(seed, shift, drop):
    mask = np.uint64(0xFFFFFFFFFFFFFFFF)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, VOCAB + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) & mask
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z = z ^ z >> np.uint64(31)
    n = sum((z >> np.uint64(s) & np.uint64(0xFFFF)).astype(np.int64) for s in (0, 16, 32, 48)) - 131070
    return (n >> drop << drop) * 2.0**-shift


def draw(rng):
    return dict(
        temperature=rng.choice([0.25, 0.5, 0.7, 0.8, 1.0, 1.0, 1.25, 1.5, 2.0]),
        top_k=rng.choice([0, 0, 0, 1, 2, 5, 20, 40, 50, 100, 1000, 20000, 49152, 60000]),
        top_p=rng.choice([1.0, 1.0, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999]),
        min_p=rng.choice([0.0, 0.0, 0.0, 0.01, 0.05, 0.1, 0.5, 1.0]),
        penalty=rng.choice([1.0, 1.0, 1.05, 1.1, 1.3, 2.0, 0.8]),
    )


def seen_ids(rng, values):
    """Some of the best, which the penalty must push down, and some at random."""
    best = np.argsort(-values, kind="stable")[:60].tolist()
    return sorted(set(rng.sample(best, rng.randrange(1, 16)) + [rng.randrange(VOCAB) for _ in range(8)]))


def processors(c):
    if c["penalty"] != 1.0:
        yield RepetitionPenaltyLogitsProcessor(c["penalty"])
    if c["temperature"] != 1.0:
        yield TemperatureLogitsWarper(c["temperature"])
    if c["top_k"] != 0:
        yield TopKLogitsWarper(c["top_k"])
    if c["top_p"] < 1.0:
        yield TopPLogitsWarper(c["top_p"])
    if c["min_p"] > 0.0:
        yield MinPLogitsWarper(c["min_p"])


def top_p_margin(scores, top_p):
    """Distance of the threshold to the nearest cumulative sum; 0 where it falls inside a tie."""
    p = scores.softmax(-1)[0].sort().values
    left = p.cumsum(-1)
    cut = int((left <= 1 - top_p).sum())  # p[cut] is the least kept
    if 0 < cut < len(p) and p[cut] == p[cut - 1]:
        return 0.0
    return (left - (1 - top_p)).abs().min().item()


def kept(c, values):
    scores, seen = torch.from_numpy(values)[None], torch.tensor([c["seen"]], dtype=torch.int64)
    margin = None
    for step in processors(c):
        if isinstance(step, TopPLogitsWarper):
            margin = top_p_margin(scores, c["top_p"])
        scores = step(seen, scores)
    return torch.isfinite(scores[0]).nonzero()[:, 0].numpy(), margin


def make(number, rng):
    """The first seed for this case's settings whose answer no order of equals can change."""
    settings = FIXED[number] if number < len(FIXED) else draw(rng)
    shift, drop = rng.choice([12, 13, 13, 14]), rng.choice([0, 0, 0, 2, 6, 10])
    for seed in range(1000 * number, 1000 * number + 400):
        values = logits(seed, shift, drop)
        seen = seen_ids(rng, values) if settings["penalty"] != 1.0 else []
        c = dict(seed=seed, shift=shift, drop=drop, **settings, seen=seen)
        ids, margin = kept(c, values)
        if margin is None or margin > MARGIN:
            return c | dict(count=len(ids), fnv=f"{fnv1a64(ids.astype('<u4').tobytes()):016x}", margin=margin)
    return make(number, rng)  # ties that always straddle the threshold: other settings


def main():
    rng = random.Random(11)
    cases = [make(i, rng) for i in range(CASES)]
    lines = [json.dumps(c, separators=(",", ":")) for c in cases]
    (FIXTURES / "sampler.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    with_p = [c["margin"] for c in cases if c["margin"] is not None]
    print(len(cases), "cases;", len(with_p), "with top-p, least margin", min(with_p), "; ties", sum(c["drop"] > 0 for c in cases))
    print("counts", np.quantile([c["count"] for c in cases], [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
