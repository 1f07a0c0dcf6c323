"""Writes unicode_tables.rs: the character classes of Hugging Face `tokenizers`.

    pip install tokenizers && python3 unicode_tables.py > unicode_tables.rs

The library is asked about every code point, since what counts is not what Unicode says
today but what its regular expressions and its `Digits` were built with.
"""

import string

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

CODE_POINTS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
CHUNK = 512


def members(pre_tokenizer):
    """The code points that the pre-tokenizer cuts out as words of their own."""
    found = set()
    for at in range(0, len(CODE_POINTS), CHUNK):
        text = "\0" + "\0".join(map(chr, CODE_POINTS[at : at + CHUNK])) + "\0"
        for piece, _ in pre_tokenizer.pre_tokenize_str(text):
            if len(piece) == 1 and piece != "\0":
                found.add(ord(piece))
    return found


def ranges(found):
    out = []
    for c in sorted(found):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, doc, found):
    pairs = [f"(0x{a:X}, 0x{b:X})" for a, b in ranges(found)]
    print(f"\n/// {doc}\npub(super) const {name}: &[(u32, u32)] = &[")
    for at in range(0, len(pairs), 4):
        print("    " + ", ".join(pairs[at : at + 4]) + ",")
    print("];")


def packed(name, doc, found):
    """Half the size of a table: for what few tokenizers ask."""
    parts = [(c, min(c + 255, b)) for a, b in ranges(found) for c in range(a, b + 1, 256)]
    numbers = [f"0x{a << 8 | b - a:X}" for a, b in parts]
    print(f"\n/// {doc}\npub(super) const {name}: &[u32] = &[")
    for at in range(0, len(numbers), 8):
        print("    " + ", ".join(numbers[at : at + 8]) + ",")
    print("];")


def regex(pattern):
    return members(pre_tokenizers.Split(Regex(pattern), "isolated"))


def words():
    """The code points beside which an added token is not a single word. (`Regex` is another one's.)"""
    found = set()
    for token in "xy":
        tok = Tokenizer(models.BPE())
        tok.add_tokens([AddedToken(token, single_word=True, normalized=False)])
        for at in range(0, len(CODE_POINTS), CHUNK):
            chunk = [c for c in CODE_POINTS[at : at + CHUNK] if chr(c) != token]
            texts = tok.encode_batch([chr(c) + token for c in chunk])
            found |= {c for c, text in zip(chunk, texts) if not text.ids}
    return found


letters, numbers, spaces = regex(r"\p{L}"), regex(r"\p{N}"), regex(r"\s")
digits = members(pre_tokenizers.Digits(individual_digits=True))
punctuation = members(pre_tokenizers.Punctuation("isolated"))
ascii = {c for c in punctuation if c < 0x80}
assert ascii == set(map(ord, string.punctuation)) and not punctuation & (letters | digits | spaces)
points, symbols = regex(r"\p{P}"), regex(r"\p{S}")
assert {c for c in points | symbols if c < 0x80} == ascii
assert not (points | symbols) & (letters | numbers | spaces)
assert numbers <= digits and not digits & letters and not digits & spaces

print(f"//! Character classes of Hugging Face `tokenizers` {tokenizers.__version__}, as first and last")
print("//! code points. Written by `unicode_tables.py`; not to be edited.")
table("LETTERS", r"`\p{L}`", letters)
table("NUMBERS", r"`\p{N}`", numbers)
table("SPACES", r"`\s`", spaces)
table("UPPER", r"`[\p{Lu}\p{Lt}]`", regex(r"[\p{Lu}\p{Lt}]"))
table("LOWER", r"`\p{Ll}`", regex(r"\p{Ll}"))
table("MARKS", r"`\p{M}`", regex(r"\p{M}"))
table("WORDS", r"`\w`, of another regular expression: beside it, an added token is not a single word.", words())
table("DIGITS_ONLY", r"Characters that `Digits` cuts out beyond `\p{N}`: it knows a later Unicode.", digits - numbers)
packed("PUNCTUATION", "`Punctuation` beyond ASCII: the first of a range in the upper 24 bits, how many follow in the lower 8.", punctuation - ascii)
packed("POINTS", r"`\p{P}` beyond ASCII, which knows a later Unicode than `Punctuation`.", {c for c in points if c > 0x7F})
packed("SYMBOLS", r"`\p{S}` beyond ASCII.", {c for c in symbols if c > 0x7F})
table("HAN", r"`\p{Han}`", regex(r"\p{Han}"))
