"""Judges rows: how near one of ours must come to f32, by itself or beside llama.cpp's."""

import numpy as np

from divergence.figures import KLD
from divergence.tables import perplexity_ratio
from divergence.texts import GROUPS

# (ours, llama.cpp's, mean KLD of ours divided by that of llama.cpp's at most)
PAIRS = [
    ("int4/int8/f16", "Q4_0/Q8_0/f16", 1.0),
    ("auto/int8/f16", "IQ4_NL/Q8_0/f16", 1.0),
    ("int4a/int8/f16", "Q4_1/Q8_0/f16", 1.0),
    ("int5/int8/f16", "Q5_0/Q8_0/f16", 1.0),
    ("int8/int8/f16", "Q8_0/Q8_0/f16", 1.03),
    ("file/file/f16", "FILE/FILE/f16", 1.03),
]
TOGETHER = [["long"], ["first", "chats"]]
CACHE, MEAN, WORST, PERPLEXITY = "f32/f32/int8", 5e-4, 5e-3, 1.0005
RESAMPLES, SEED = 2000, 1


def sums(figures, units, group):
    """The sum of the divergences of each window or chat."""
    return np.array([array[KLD].sum() for array in figures.of(units, group)])


def ratio(ours, theirs, units, groups):
    """Of the means, and what it stays under in 95 % of the resamples of windows and of chats."""
    rng = np.random.default_rng(SEED)
    above, below, all_above, all_below = 0, 0, 0, 0
    for group in groups:
        a, b = sums(ours, units, group), sums(theirs, units, group)
        if len(a):
            picks = rng.integers(len(a), size=(RESAMPLES, len(a)))
            above, below = above + a[picks].sum(1), below + b[picks].sum(1)
            all_above, all_below = all_above + a.sum(), all_below + b.sum()
    return all_above / all_below, np.quantile(above / below, 0.95)


def verdict(value, upper, limit):
    return "holds" if upper <= limit else "holds, not surely" if value <= limit else "no"


def pairs(measured, units):
    """Lines of the table of pairs."""
    for ours, theirs, limit in PAIRS:
        if ours not in measured or theirs not in measured:
            continue
        for groups in TOGETHER:
            if not any(group in unit.groups for group in groups for unit in units):
                continue
            value, upper = ratio(measured[ours], measured[theirs], units, groups)
            said = verdict(value, upper, limit)
            yield f"{ours} / {theirs}, {'+'.join(groups)}: mean KLD", f"{value:.4f}", f"{upper:.4f}", limit, said


def caches(measured, units):
    if CACHE not in measured:
        return
    for group in GROUPS:
        if found := measured[CACHE].of(units, group):
            kld = np.concatenate(found, axis=1)[KLD]
            for what, value, limit in (("mean", kld.mean(), MEAN), ("worst", kld.max(), WORST)):
                yield f"{CACHE}, {group}: {what} KLD", f"{value:.2e}", "", limit, "holds" if value <= limit else "no"
    if any("long" in unit.groups for unit in units):
        value = perplexity_ratio(measured[CACHE], units)
        said = "holds" if value <= PERPLEXITY else "no"
        yield f"{CACHE}, long: perplexity / f32", f"{value:.6f}", "", PERPLEXITY, said


def judge(measured, units):
    lines = [*pairs(measured, units), *caches(measured, units)]
    if lines:
        print("\nBars:\n\n| what | is | upper 95 % | at most | |\n|---|---|---|---|---|")
    for line in lines:
        print(f"| {' | '.join(map(str, line))} |")
