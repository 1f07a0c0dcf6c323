"""Characters that must not reach a terminal as they are, by Unicode's own tables.

    python3 tests/golden/visible.py

Writes fixtures/text/hidden.txt: a range of code points a line, in hexadecimal, and why.

- Cc, Zl, Zp: controls and separators of lines.
- Cf: format characters, but for those that have a glyph of their own (the numerals' signs of
  Arabic and Syriac, Egyptian quadrats), which Unicode does not let fonts ignore either.
- DI: what is left of Default_Ignorable_Code_Point (DerivedCoreProperties.txt), which Python's
  module does not have: fillers, selectors, reserved.
"""

import pathlib
import unicodedata

OUT = pathlib.Path(__file__).parent.parent / "fixtures/text/hidden.txt"

# Cf with a glyph: Prepended_Concatenation_Mark (PropList.txt), U+070F, and U+13430..1343F.
SEEN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}

# Default_Ignorable_Code_Point of Unicode 16 that is not of category Cf.
IGNORABLE = [
    (0x34F, 0x34F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180D),
    (0x180F, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
]


def why(code):
    """The category of a character that must not be written, or None."""
    category = unicodedata.category(chr(code))
    if category in ("Cc", "Zl", "Zp") or (category == "Cf" and code not in SEEN):
        return category
    return "DI" if any(first <= code <= last for first, last in IGNORABLE) else None


def main():
    ranges = []
    for code in range(0x110000):
        kind = why(code)
        if kind and ranges and ranges[-1][1:] == [code - 1, kind]:
            ranges[-1][1] = code
        elif kind:
            ranges.append([code, code, kind])
    lines = [f"{first:04X}..{last:04X} {kind}\n" for first, last, kind in ranges]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text("".join(lines))


if __name__ == "__main__":
    main()
