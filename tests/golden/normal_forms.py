"""Makes `tests/fixtures/tokenizer/normal_forms.json`: what Hugging Face makes of every character.

    python tests/golden/normal_forms.py

For each normal form the FNV-1a 64 of what becomes of a text for each code point: that one behind
a letter, before marks that want another order, and before a mark that joins kana. For each table of
SentencePiece's that `vocabularies.py` has made, of a text that puts each one of BLOCKS into every
kind of cluster: all but ideographs, syllables and what is unassigned.
"""

from tokenizers import normalizers

from common import FIXTURES, fnv1a64, write_json

BLOCKS = [(1, 0x3400), (0xA000, 0xAC80), (0xD780, 0xD800), (0xF900, 0x12000), (0x16D00, 0x16E00), (0x1E000, 0x20000), (0xE0000, 0xE1000)]
CLUSTERS = "x@ @\u0301\u0302 @x\u0301 \u00a9@\u200d\u2122\u0301 @\u200d\u2122\u0301 @\u094d\u0958\u0301 \u0915@\u0958\u0301 @\u1100\u0301 @\u1161\u0301 @\u11a8\u0301 \u1100@\u0301 \u1161@\u0301 \u11a8@\u0301"


def text(c):
    return f"a{c}\u0301\u0323{c}\u3099{c}"


def main():
    points = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    forms = {"NFC": normalizers.NFC(), "NFKC": normalizers.NFKC()}
    hashes = {
        name: f"{fnv1a64(''.join(form.normalize_str(text(c)) for c in points).encode()):016x}" for name, form in forms.items()
    }
    for name in ["nmt_nfkc", "own"]:
        table = normalizers.Precompiled((FIXTURES / "vocabularies" / f"{name}.charsmap").read_bytes())
        blocks = (chr(c) for first, end in BLOCKS for c in range(first, end))
        mapped = "".join(table.normalize_str(CLUSTERS.replace("@", c)) for c in blocks)
        hashes[name] = f"{fnv1a64(mapped.encode()):016x}"
    write_json(FIXTURES / "tokenizer" / "normal_forms.json", hashes)


if __name__ == "__main__":
    main()
