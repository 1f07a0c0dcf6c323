"""Measures a row: its logits against those of our own f32, a unit at a time."""

import time

import numpy as np

from bed.base import say
from bed.figures import Figures, compare
from bed.ours import Ours
from bed.rows import row as parse
from bed.theirs import Theirs

REFERENCE = parse("f32/f32/f32")  # of the source as published, for the broken one as well


def reference(bed, model, unit):
    return bed.folder("reference") / f"{model.name}.{unit.key}.npy"


def make_references(bed, model, units):
    missing = [unit for unit in units if not reference(bed, model, unit).exists()]
    if not missing:
        return
    begin, engine = time.monotonic(), Ours(bed, model, "published", REFERENCE)
    for unit in missing:
        out = reference(bed, model, unit)
        np.save(part := out.with_suffix(".part.npy"), engine.logits(unit))
        part.rename(out)
    say(f"{model.name}: reference of {len(missing)} sequences in {time.monotonic() - begin:.0f} s")


def measured(bed, model, kind, row, units):
    """The figures of a row, complete."""
    figures = Figures(bed, model, kind, row)
    missing = figures.missing(units)
    if not missing:
        return figures
    make_references(bed, model, units)
    begin = time.monotonic()
    engine = (Theirs if row.rival else Ours)(bed, model, kind, row)
    try:
        figures.arrays["bytes"] = np.array(engine.bytes)
        for unit in missing:
            want = np.load(reference(bed, model, unit), mmap_mode="r")
            figures.arrays[unit.key] = compare(want, engine.logits(unit), unit.next)
    finally:
        figures.save()
        engine.close()
    say(f"{model.name} {kind} {row.name}: {len(missing)} sequences in {time.monotonic() - begin:.0f} s")
    return figures


def clear(bed, *folders):
    """Removes files that can be made again."""
    for folder in folders:
        for path in bed.folder(folder).iterdir():
            path.unlink()


def forget(bed, model):
    """Removes all that was made of a model but what was fetched."""
    for folder in ("reference", "figures", "tokens", "sources", "importance", "converted", "quantized"):
        for path in bed.folder(folder).glob(f"{model.name}.*"):
            path.unlink()
