"""Makes the goldens of rarer pre-tokenizers: where Hugging Face's `tokenizers` cuts texts.

    python tests/golden/splits.py

Writes `tests/fixtures/tokenizer/splits.json`: `strings`, drawn from characters that these
expressions tell apart, and `kinds`: for each name `pre_tokenizer` as a `tokenizer.json` has it, and
`fnv`: FNV-1a 64 of the byte offsets at which words end, as little-endian u32, of all strings of
`strings.json`, of these, and then of a text for each character `c` but surrogates:
`a{c}{c}b {c}1{c}  {c}!{c}\\n{c}`. `ends` are those of the first strings of all, to be read.

The expressions are those of the models' authors; `unnamed` is llama.cpp's, of files that name none.
"""

import json
import random
from array import array

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from common import CONTRACTIONS, FIXTURES, LLAMA3, QWEN2, fnv1a64, write_json

OUT = FIXTURES / "tokenizer"
READABLE = 30
DRAWN = 800
HARD = "aAbZµÀǅ一ア・  \u3000\u2003\n\n\r12２²①!.。$`\u0301\u0903\u0001々〇⺀ſ's'lLéКिﾞＡ，‘~/(|_\xa0\u200d가"
ASCII_POINTS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
WIDE = "[一-龥ࠀ-一가-\ud7ff]+"
CASED = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐ"
    "ῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
LEAD = r"[^\r\n\p{L}\p{N}]?"

# Expressions one after the other; "digits" is the step of that name.
KINDS = {
    "qwen35": [
        CONTRACTIONS
        + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "seed-coder": [QWEN2.replace(r"\p{N}|", r"\p{N}{1}|").replace(r" ?[^\s\p{L}\p{N}]+[\r\n]*", r" ?[^\s\p{L}\p{N}\r\n]+")],
    "bailingmoe": [
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    ],
    "ufakzeka": [QWEN2.removeprefix(CONTRACTIONS + "|")],
    "minicpm5": [r"\p{N}{1,3}", LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}+")],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
    "deepseek-llm": [
        "[\r\n]",
        rf"\s?[{CASED}]+",
        r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
        r"\s+$",
        WIDE,
        "digits",
    ],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", WIDE, "digits"],
    "deepseek-v3": [
        r"\p{N}{1,3}",
        "[一-龥\u3040-ゟ゠-ヿ]+",
        ASCII_POINTS
        + "[A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    ],
    "kimi-k2": [
        rf"[\p{{Han}}]+|{LEAD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{LEAD}{UPPER}+{LOWER}*{CONTRACTIONS}?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "viking": [BLOOM, "digits"],
    "unnamed": [
        r"[\p{P}\$\+<=>\^~\|]+",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
        r"\p{N}+",
        "[0-9][0-9][0-9]",
    ],
}


def step(expression):
    if expression == "digits":
        return pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Split(Regex(expression), behavior="isolated", invert=False)


def published(expressions):
    steps = [step(e) for e in expressions] + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return json.loads(tok.to_str())["pre_tokenizer"]


def ends(expressions, text):
    """Byte offsets; the last step, which makes bytes characters, cuts nothing and is left out."""
    steps = pre_tokenizers.Sequence([step(e) for e in expressions])
    out, end = [], 0
    for _, (first, last) in steps.pre_tokenize_str(text):
        end += len(text[first:last].encode())
        out.append(end)
    return out


def every_character():
    for c in map(chr, (c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000)):
        yield f"a{c}{c}b {c}1{c}  {c}!{c}\n{c}"


def main():
    rng = random.Random(7)
    drawn = ["".join(rng.choices(HARD, k=rng.randint(2, 14))) for _ in range(DRAWN)]
    strings = [*json.loads((OUT / "strings.json").read_text()), *drawn]
    cases = {}
    for name, expressions in KINDS.items():
        steps = pre_tokenizers.Sequence([step(e) for e in expressions])
        all_ends = array("I")
        for text in [*strings, *every_character()]:
            end = 0
            for _, (first, last) in steps.pre_tokenize_str(text):
                end += len(text[first:last].encode())
                all_ends.append(end)
        readable = [ends(expressions, text) for text in strings[:READABLE]]
        fnv = f"{fnv1a64(all_ends.tobytes()):016x}"
        cases[name] = dict(pre_tokenizer=published(expressions), fnv=fnv, ends=readable)
        print(name, fnv, flush=True)
    write_json(OUT / "splits.json", dict(strings=drawn, kinds=cases))


if __name__ == "__main__":
    main()
