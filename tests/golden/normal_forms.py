"""Makes `tests/fixtures/tokenizer/normal_forms.json`: what Hugging Face makes of every character.

    python tests/golden/normal_forms.py

For each normal form the FNV-1a 64 of what becomes of a text for each code point: that one behind
a letter, before marks that want another order, and before a mark that joins kana.
"""

from tokenizers import normalizers

from common import FIXTURES, fnv1a64, write_json


def text(c):
    return f"a{c}\u0301\u0323{c}\u3099{c}"


def main():
    points = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    forms = {"NFC": normalizers.NFC(), "NFKC": normalizers.NFKC()}
    hashes = {
        name: f"{fnv1a64(''.join(form.normalize_str(text(c)) for c in points).encode()):016x}" for name, form in forms.items()
    }
    write_json(FIXTURES / "tokenizer" / "normal_forms.json", hashes)


if __name__ == "__main__":
    main()
