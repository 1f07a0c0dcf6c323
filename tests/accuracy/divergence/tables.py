"""The tables in Markdown."""

import numpy as np

from divergence.figures import KLD, NLL, NLL_REFERENCE, SAME
from divergence.texts import GROUPS


def perplexity_ratio(figures, units, group="long"):
    all_of = np.concatenate(figures.of(units, group), axis=1)
    return float(np.exp(np.mean(all_of[NLL] - all_of[NLL_REFERENCE])))


def divergences(figures, units, group):
    """Mean, median, 99th percentile and worst."""
    kld = np.concatenate(figures.of(units, group), axis=1)[KLD]
    spread = [kld.mean(), np.median(kld), np.quantile(kld, 0.99), kld.max()]
    return " / ".join(f"{x:.3g}" if x >= 1e-3 else f"{x:.1e}" for x in spread)


def same_top(figures, units, group):
    return f"{100 * np.concatenate(figures.of(units, group), axis=1)[SAME].mean():.1f}"


def table(model, kind, measured, units):
    """`measured`: row name to figures."""
    counts = {group: sum(len(unit.groups[group]) for unit in units if group in unit.groups) for group in GROUPS}
    groups = [group for group in GROUPS if counts[group]]
    print(f"\n### {model.title}, {'as published' if kind == 'published' else f'{kind} (judged)'}\n")
    positions = ", ".join(f"{group} {counts[group]}" for group in groups)
    print(f"KL divergence in nats: mean / median / 99th percentile / worst. Positions: {positions}.\n")
    heads = ["row", "MB of tensors", *groups, f"same top token, %: {' / '.join(groups)}", "perplexity / f32 (long)"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, figures in measured.items():
        spread = [divergences(figures, units, group) for group in groups]
        same = " / ".join(same_top(figures, units, group) for group in groups)
        ratio = f"{perplexity_ratio(figures, units):.5f}" if counts["long"] else ""
        print(f"| {name} | {figures.bytes / 1e6:.1f} | {' | '.join(spread)} | {same} | {ratio} |")
