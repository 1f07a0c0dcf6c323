"""Makes the tokenizer goldens: Hugging Face's ids for hard strings, five tokenizers.

    python tests/golden/tokenizer.py SMOLLM2_DIR     # the directory that smollm2_directory.py made

Writes under `tests/fixtures/tokenizer/`:
- `strings.json`: the strings (334 by hand, the rest by seeded chance), see strings.py;
- `NAME.json` for each tokenizer: `ids` (one list per string, special tokens recognised,
  nothing added), `plain` ({string index: ids} with split_special_tokens=True, where that
  differs), `lossy` (indices of strings that do not decode to themselves: bytes without a
  token), `begun` (ids of the first strings with add_special_tokens=True), `long` (below);
- `NAME/tokenizer.json` for the small trained ones (smollm2 itself is not ours to ship);
- `unicode.json`: inclusive ranges of the code points that the pre-tokenizers take as
  `letter` (\\p{L}), `number` (\\p{N}), `space` (\\s), `digit` (the Digits step), `punctuation` (Punctuation).

`long` is `{bytes, count, fnv}` of a text of at least 1,000,000 bytes: append
strings[not lossy][splitmix64() % their number], generator state 1 at first, until it is
long enough. `fnv` is FNV-1a 64 of the ids as little-endian u32.
"""

import json
import sys
from array import array
from pathlib import Path

from tokenizers import Regex, Tokenizer, pre_tokenizers, processors

import strings
from common import FIXTURES, byte_level_bpe, fnv1a64, save_tokenizer, splitmix64, write_json

OUT = FIXTURES / "tokenizer"
LONG = 1_000_000
CHANCE = 340
BEGUN = 8  # strings whose ids with add_special_tokens=True are kept

LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
QWEN2_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def texts():
    return strings.by_hand() + strings.by_chance(CHANCE)


def drop_merges(tok):
    """Takes out some merges, so that whole words are reached only by `ignore_merges`."""
    spec = json.loads(tok.to_str())
    merges = spec["model"]["merges"]
    spec["model"]["merges"] = [m for i, m in enumerate(merges) if i < 300 or i % 4]
    return Tokenizer.from_str(json.dumps(spec))


def begin_with(tok, token):
    one = [(token, tok.token_to_id(token))]
    template = processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=one)
    tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])


def trained(corpus):
    """Small tokenizers with the pre-tokenizers of four families."""
    gpt2 = byte_level_bpe("gpt2", 1000, corpus, ["<|endoftext|>"])
    llama3 = drop_merges(byte_level_bpe("llama3", 1105, corpus, LLAMA3_SPECIAL, ignore_merges=True))
    begin_with(llama3, "<|begin_of_text|>")
    qwen2 = byte_level_bpe("qwen2", 1103, corpus, QWEN2_SPECIAL)
    qwen2.add_tokens(["<tool_call>", "</tool_call>"])  # added, but not special, as Qwen has them
    smollm = byte_level_bpe("smollm", 900, corpus, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], special_first=True)
    return {"gpt2": gpt2, "llama3": llama3, "qwen2": qwen2, "smollm": smollm}


def encode(tok, text, plain=False, begun=False):
    tok.encode_special_tokens = plain
    return tok.encode(text, add_special_tokens=begun).ids


def long_text(pool):
    pieces, size, state = [], 0, 1
    while size < LONG:
        state, value = splitmix64(state)
        pieces.append(pool[value % len(pool)])
        size += len(pieces[-1].encode())
    return "".join(pieces)


def long_golden(tok, pool):
    text = long_text(pool)
    ids = encode(tok, text)
    assert tok.decode(ids, skip_special_tokens=False) == text
    return {"bytes": len(text.encode()), "count": len(ids), "fnv": f"{fnv1a64(array('I', ids).tobytes()):016x}"}


def golden(tok, cases):
    ids = [encode(tok, s) for s in cases]
    plain = {i: encode(tok, s, plain=True) for i, s in enumerate(cases)}
    lossy = [i for i, s in enumerate(cases) if tok.decode(ids[i], skip_special_tokens=False) != s]
    return {
        "ids": ids,
        "plain": {i: p for i, p in plain.items() if p != ids[i]},
        "lossy": lossy,
        "begun": [encode(tok, s, begun=True) for s in cases[:BEGUN]],
        "long": long_golden(tok, [s for i, s in enumerate(cases) if i not in set(lossy)]),
    }


def ranges(points):
    out = []
    for p in points:
        if out and out[-1][1] == p - 1:
            out[-1][1] = p
        else:
            out.append([p, p])
    return out


def taken(step, c):
    """Whether the pre-tokenizer step cuts `c` out from between two other characters."""
    return len(step.pre_tokenize_str(f"\x01{c}\x01")) > 1


def unicode_classes():
    steps = {name: pre_tokenizers.Split(Regex(p), "isolated") for name, p in [("letter", r"\p{L}"), ("number", r"\p{N}"), ("space", r"\s")]}
    steps["punctuation"] = pre_tokenizers.Punctuation("isolated")
    steps["digit"] = pre_tokenizers.Digits(individual_digits=True)
    points = [p for p in range(0x110000) if not 0xD800 <= p < 0xE000 and p != 1]
    return {name: ranges(p for p in points if taken(step, chr(p))) for name, step in steps.items()}


def main(smollm2):
    cases = texts()
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "strings.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")  # ASCII only
    tokenizers = {"smollm2": Tokenizer.from_file(str(Path(smollm2) / "tokenizer.json"))}
    for name, tok in trained(cases).items():
        (OUT / name).mkdir(exist_ok=True)
        save_tokenizer(tok, OUT / name / "tokenizer.json")
        tokenizers[name] = Tokenizer.from_file(str(OUT / name / "tokenizer.json"))
    for name, tok in tokenizers.items():
        result = golden(tok, cases)
        write_json(OUT / f"{name}.json", result)
        print(name, len(cases), "strings", len(result["plain"]), "plain", len(result["lossy"]), "lossy", result["long"])
    write_json(OUT / "unicode.json", unicode_classes())


if __name__ == "__main__":
    main(*sys.argv[1:])
