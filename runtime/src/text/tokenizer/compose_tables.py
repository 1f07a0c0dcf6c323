"""Writes compose_tables.rs: Unicode's normal forms as Hugging Face `tokenizers` has them.

    pip install tokenizers && python3 compose_tables.py > compose_tables.rs

The library is asked about every code point: it knows an older Unicode than most, in which
some marks are not there yet, and so are not put in order. Combining classes themselves never
change once given, so Python's serve for those that the library moves.
"""

import unicodedata

import tokenizers
from tokenizers import normalizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)  # computed, not looked up
NFD, NFC, NFKD = (form().normalize_str for form in (normalizers.NFD, normalizers.NFC, normalizers.NFKD))
KC_GROWTH = 11  # as in compose.rs


def moved(c):
    """Whether the library takes `c` for a mark: U+0345 has the highest class of all."""
    return c == 0x345 or NFD("a\u0345" + chr(c)) == "a" + NFD(chr(c)) + "\u0345"


def classes():
    found = {}
    for c in CODE_POINTS:
        if unicodedata.combining(chr(c)) and moved(c):
            found[c] = unicodedata.combining(chr(c))
    return found


def decompositions():
    """One step of each canonical decomposition: {code: (first, second or 0)}."""
    full = {c: NFD(chr(c)) for c in CODE_POINTS if c not in HANGUL and NFD(chr(c)) != chr(c)}
    whole = {}
    for c, text in full.items():
        whole.setdefault(text, c)

    def first_part(text):
        if len(text) == 1:
            return ord(text)
        composed = NFC(text)
        return ord(composed) if len(composed) == 1 else whole[text]

    return {c: (first_part(t[:-1]), ord(t[-1])) if len(t) > 1 else (ord(t), 0) for c, t in full.items()}


def compatible():
    """What form KC makes of a code point where it is not what form C makes: {code: text}."""
    found = {c: NFKD(chr(c)) for c in CODE_POINTS if NFKD(chr(c)) != NFD(chr(c))}
    assert all(len(t.encode()) <= KC_GROWTH * len(chr(c).encode()) for c, t in found.items())
    return found


def ranges(values):
    """Inclusive ranges of code points with the same value."""
    out = []
    for c, value in sorted(values.items()):
        if out and out[-1][1] == c - 1 and out[-1][2] == value:
            out[-1][1] = c
        else:
            out.append([c, c, value])
    return out


def table(name, doc, kind, rows):
    print(f"\n/// {doc}\npub(super) const {name}: &[{kind}] = &[")
    alone = kind == "u32"
    rows = [", ".join(f"0x{n:X}" for n in row) if alone else "(" + ", ".join(f"0x{n:X}" for n in row) + ")" for row in rows]
    wide = 12 if alone else 4
    for at in range(0, len(rows), wide):
        print("    " + ", ".join(rows[at : at + wide]) + ",")
    print("];")


def main():
    marks, steps = classes(), decompositions()
    pairs = {(a, b): c for c, (a, b) in steps.items() if b and NFC(chr(a) + chr(b)) == chr(c)}
    composed = set(pairs.values())
    # What a normal text may not hold, or not behind everything.
    restless = set(marks) | (set(steps) - composed) | {b for _, b in pairs}
    restless |= set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # Hangul vowels and finals
    assert min(restless) >= 0x300
    print(f"//! Normal forms of Hugging Face `tokenizers` {tokenizers.__version__}.")
    print("//! Written by `compose_tables.py`; not to be edited.")
    table("CLASSES", "Marks: first and last code point, combining class.", "(u32, u32, u8)", ranges(marks))
    table("STEPS", "A code point and the two that it stands for; the second is 0 if there is one.", "(u32, u32, u32)", [(c, *pair) for c, pair in sorted(steps.items())])
    table("PAIRS", "Two code points and what they compose to.", "(u32, u32, u32)", [(*pair, c) for pair, c in sorted(pairs.items())])
    plain, rows = "", []
    for c, text in sorted(compatible().items(), key=lambda item: -len(item[1])):
        plain += "" if text in plain else text
        rows.append((c, plain.find(text), len(text)))
    table("COMPATIBLE", "A code point, and offset and length in `PLAIN` of the characters that form KC makes of it.", "(u32, u16, u8)", sorted(rows))
    table("PLAIN", "The characters that those become, decomposed.", "u32", [(ord(c),) for c in plain])
    table("RESTLESS", "First and last code point of those that composing changes, moves or joins to what is before.", "(u32, u32)", [r[:2] for r in ranges(dict.fromkeys(restless, 0))])


if __name__ == "__main__":
    main()
