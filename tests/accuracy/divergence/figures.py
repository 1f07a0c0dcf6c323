"""Keeps the figures of each scored position, so that nothing is computed twice."""

from multiprocessing.pool import ThreadPool

import numpy as np

from divergence.base import THREADS

KLD, SAME, NLL, NLL_REFERENCE = range(4)
BLOCK = 1 << 20  # logits at a time
SMALL = 1e-5  # below this a divergence is computed again in f64


def shifted(x, kind):
    """Logits less their maximum, and the logarithm of the sum of their exponentials."""
    x = x.astype(kind)
    x -= x.max(-1, keepdims=True)
    return x, np.log(np.exp(x).sum(-1, dtype=np.float64))


def divergence(want, got, kind=np.float32):
    """KL divergence in nats, and the negative log likelihoods' two parts of each side."""
    x, lse_x = shifted(want, kind)
    y, lse_y = shifted(got, kind)
    p = np.exp(x - lse_x[:, None].astype(kind))
    p *= x - y
    return p.sum(-1, dtype=np.float64) - (lse_x - lse_y), (x, lse_x), (y, lse_y)


def block(want, got, tokens):
    kld, reference, row = divergence(want, got)
    if (again := np.flatnonzero(kld < SMALL)).size:
        kld[again] = divergence(want[again], got[again], np.float64)[0]
    at = np.arange(len(tokens))
    nll = lambda x, lse: lse - x[at, tokens]  # noqa: E731
    return np.stack([kld, want.argmax(-1) == got.argmax(-1), nll(*row), nll(*reference)])


def compare(want, got, tokens):
    """[4, positions]: see the names above."""
    if want.shape != got.shape:
        raise SystemExit(f"logits of {got.shape}, the reference's are {want.shape}")
    step = max(1, BLOCK // want.shape[1])
    begins = range(0, len(want), step)
    with ThreadPool(THREADS) as pool:
        cuts = (slice(begin, begin + step) for begin in begins)
        found = pool.map(lambda cut: block(want[cut], got[cut], tokens[cut]), cuts)
    return np.concatenate(found, axis=1)


class Figures:
    """Those of one row on one source: an array for each unit, and the bytes of its tensors."""

    def __init__(self, setup, model, kind, row):
        version = "" if row.rival else f".{setup.version}"
        self.path = setup.folder("figures") / f"{model.name}.{kind}.{row.file}{version}.npz"
        self.arrays = dict(np.load(self.path)) if self.path.exists() else {}

    def missing(self, units):
        return [unit for unit in units if unit.key not in self.arrays]

    def save(self):
        part = self.path.with_suffix(".part.npz")
        np.savez(part, **self.arrays)
        part.rename(self.path)

    @property
    def bytes(self):
        return int(self.arrays["bytes"])

    def of(self, units, group):
        """A list with the array [4, positions] of each unit that has this group."""
        return [self.arrays[unit.key][:, unit.place(group)] for unit in units if group in unit.groups]
