"""Measures a row: its logits against those of our own f32, a unit at a time."""

import time

import numpy as np

from divergence.base import say
from divergence.figures import Figures, compare
from divergence.ours import Ours
from divergence.rows import row as parse
from divergence.theirs import Theirs

REFERENCE = parse("f32/f32/f32")  # of the source as published, for the broken one as well


def reference(setup, model, unit):
    return setup.folder("reference") / f"{model.name}.{unit.key}.npy"


def make_references(setup, model, units):
    missing = [unit for unit in units if not reference(setup, model, unit).exists()]
    if not missing:
        return
    begin, engine = time.monotonic(), Ours(setup, model, "published", REFERENCE)
    for unit in missing:
        out = reference(setup, model, unit)
        np.save(part := out.with_suffix(".part.npy"), engine.logits(unit))
        part.rename(out)
    say(f"{model.name}: reference of {len(missing)} sequences in {time.monotonic() - begin:.0f} s")


def measured(setup, model, kind, row, units):
    """The figures of a row, complete."""
    figures = Figures(setup, model, kind, row)
    missing = figures.missing(units)
    if not missing:
        return figures
    make_references(setup, model, units)
    begin = time.monotonic()
    engine = (Theirs if row.rival else Ours)(setup, model, kind, row)
    try:
        figures.arrays["bytes"] = np.array(engine.bytes)
        for unit in missing:
            want = np.load(reference(setup, model, unit), mmap_mode="r")
            figures.arrays[unit.key] = compare(want, engine.logits(unit), unit.next)
    finally:
        figures.save()
        engine.close()
    say(f"{model.name} {kind} {row.name}: {len(missing)} sequences in {time.monotonic() - begin:.0f} s")
    return figures


def clear(setup, *folders):
    """Removes files that can be made again."""
    for folder in folders:
        for path in setup.folder(folder).iterdir():
            path.unlink()


def forget(setup, model):
    """Removes all that was made of a model but what was fetched."""
    for folder in ("reference", "figures", "tokens", "sources", "importance", "converted", "quantized"):
        for path in setup.folder(folder).glob(f"{model.name}.*"):
            path.unlink()
