"""Writes grapheme_tables.rs: what Hugging Face `tokenizers` takes for parts of one character.

    pip install tokenizers && python3 grapheme_tables.py > grapheme_tables.rs

A `Precompiled` normalizer asks the first bytes of a cluster of less than six what it becomes, and
drops the rest of it. So it tells, with a table made for the purpose, where a cluster begins: the
library is asked about every code point, since what counts is the Unicode that it was built with.
"""

import struct

import tokenizers
from tokenizers import normalizers

ACUTE, CIRCUMFLEX, ZWJ, KA, VIRAMA = "\u0301", "\u0302", "\u200d", "\u0915", "\u094d"
L, V, T = "\u1100", "\u1161", "\u11a8"
KEYS = {"x": "X", ACUTE: "E", "\xae": "R", KA: "K", L: "1", V: "2", T: "3"}


def charsmap(keys):
    """A double array in which each node has 256 units to itself."""
    units, strings, blocks = {0: 0}, b"", 1
    nodes = {b"": 0}
    for key, value in sorted((k.encode(), v.encode()) for k, v in keys.items()):
        for end in range(len(key) + 1):
            if key[:end] not in nodes:
                nodes[key[:end]] = base[key[: end - 1]] ^ key[end - 1]
                units[nodes[key[:end]]] = key[end - 1]
            if end == 0 and not units[0]:
                base = {b"": 256}
            if key[:end] not in base:
                blocks += 1
                base[key[:end]] = 256 * blocks
            at = nodes[key[:end]]
            units[at] = units[at] & 0x1FF | (at ^ base[key[:end]]) << 10
        units[nodes[key]] |= 1 << 8
        units[base[key]] = len(strings) | 1 << 31
        strings += value + b"\0"
    array = [units.get(i, 0) for i in range(256 * (blocks + 1))]
    return struct.pack(f"<{len(array) + 1}I", 4 * len(array), *array) + strings


NORMALIZER = normalizers.Precompiled(charsmap(KEYS))


def normalized(text):
    return NORMALIZER.normalize_str(text)


def begins(before, key):
    """Whether a cluster begins with the key, which then takes the mark behind it along."""
    return not normalized(before + key + CIRCUMFLEX).endswith(CIRCUMFLEX)


def hangul(c):
    """By what may follow: a leading consonant, a vowel, a final consonant."""
    return not begins(c, L), not begins(c, V), not begins(c, T)


def category(c):
    if c == "x":
        return None
    if normalized("x" + c) == "X":
        if c == ZWJ:
            return "Joiner"
        if not begins("\xa9" + c + ZWJ, "\xae"):
            return "Linker" if not begins(KA + c, KA) else "Extend"
        return "Spacing"
    if normalized(c + ACUTE + CIRCUMFLEX).endswith("E"):
        return "Control"
    if not begins(c, "x"):
        return "Prepend"
    if not begins(c + ZWJ, "\xae"):
        return "Pictograph"
    if not begins(c + VIRAMA, KA):
        return "Consonant"
    return {(False, False, False): None, (True, True, False): "Leading", (False, True, True): "Vowel", (False, False, True): "Final"}[hangul(c)]


NAMES = ["Control", "Extend", "Joiner", "Linker", "Spacing", "Prepend", "Pictograph", "Consonant", "Leading", "Vowel", "Final"]
LONGEST = 128  # of a range: seven bits

found = [(c, category(chr(c))) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
assert category("\r") == category("\n") == category("\u2028") == "Control" and category("\u200c") == "Extend"
syllables = range(0xAC00, 0xD7A4)
assert all(name == ("Final" if (c - 0xAC00) % 28 else "Vowel") for c, name in found if c in syllables)
ranges = []
for c, name in found:
    # Syllables are told by arithmetic, and unassigned ones behind plane 14 are none of these.
    if name is None or c in syllables:
        continue
    if ranges and ranges[-1][1:] == [c - 1, name] and c - ranges[-1][0] < LONGEST:
        ranges[-1][1] = c
    else:
        ranges.append([c, c, name])
numbers = [f"0x{a << 11 | b - a << 4 | NAMES.index(name):X}" for a, b, name in ranges]

print(f"//! Grapheme clusters of Hugging Face `tokenizers` {tokenizers.__version__}. Written by")
print("//! `grapheme_tables.py`; not to be edited.")
print("\n/// Ranges: in the upper 21 bits the first, in seven the number of those that follow, in four the class:")
print("/// " + ", ".join(f"{i} {name}" for i, name in enumerate(NAMES)) + ".")
print("pub(super) const RANGES: &[u32] = &[")
for at in range(0, len(numbers), 8):
    print("    " + ", ".join(numbers[at : at + 8]) + ",")
print("];")
