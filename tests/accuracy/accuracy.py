"""Measures the accuracy table of docs/accuracy.md: our conversions and llama.cpp's files.

    python tests/accuracy/accuracy.py --scratch DIR --model HF_DIR --gguf MODEL.gguf --text TEXT \\
        [--bin target/release] [--llama LLAMA_BUILD/bin] [--threads 2] [--only NAME,...]

HF_DIR is the float32 directory that tests/golden/smollm2.py makes from MODEL.gguf, and
the Python environment that of tests/golden/README.md. DIR takes about 3 GB and is reused:
a second run does only what is missing (delete DIR/NAME* or DIR/results.json to repeat).

Every row is compared with the same weights in f32: ours with transformers' logits,
llama.cpp's with its own f32 file by its own tool (`--kl-divergence`). WINDOWS windows of
CONTEXT tokens from the start of TEXT; KL divergence (nats) and same top token over the
second half of each, perplexity ours over all, llama.cpp's over the second halves, so a
row also tells the second halves' perplexity divided by that of its f32.
"""

import argparse
import json
import re
import subprocess
from pathlib import Path

import numpy as np

CONTEXT, WINDOWS = 1024, 8
HALF = slice(CONTEXT // 2, CONTEXT - 1)  # the positions llama-perplexity scores

# name: (source, converter options)
OURS = {
    "f32": ("model", ["--weights", "f32"]),
    "keep": ("gguf", []),
    "int8": ("model", ["--weights", "int8"]),
    "int4a": ("model", ["--weights", "int4a"]),
    "int4": ("model", ["--weights", "int4", "--head", "int8"]),
    "int4-pure": ("model", ["--weights", "int4", "--head", "int4"]),
}
CACHES = {"f32": ["f32", "f16", "int8"]}  # the others: both of these
DEFAULT_CACHES = ["f16", "int8"]

# name: llama-quantize's arguments (none: the source itself)
RIVALS = {
    "Q4_1": None,
    "Q8_0": (["--allow-requantize"], "Q8_0"),
    "Q4_0": (["--allow-requantize"], "Q4_0"),
    "Q4_0-pure": (["--allow-requantize", "--pure"], "Q4_0"),
}


def run(*command):
    print("+", " ".join(map(str, command))[:160], flush=True)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} exited {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr if "llama-" in str(command[0]) else done.stdout


def log_softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


# --- the f32 reference -----------------------------------------------------------------


def token_windows(args):
    from tokenizers import Tokenizer

    text = Path(args.text).read_bytes().decode()
    ids = Tokenizer.from_file(str(args.model / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    return np.array(ids[: CONTEXT * WINDOWS]).reshape(WINDOWS, CONTEXT)


def reference(args, windows):
    """transformers' logits of the second halves, a file per window."""
    files = [args.scratch / f"reference-{w}.npy" for w in range(WINDOWS)]
    if all(f.exists() for f in files):
        return files
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    for f, ids in zip(files, windows):
        with torch.no_grad():
            np.save(f, model(torch.from_numpy(ids)[None]).logits[0, HALF].numpy())
    return files


# --- ours ------------------------------------------------------------------------------


def convert(args, name):
    source, options = OURS[name]
    out = args.scratch / f"{name}.oar"
    if not out.exists():
        run(args.bin / "oarlock-convert", getattr(args, source), *options, "-o", out)
    return out


def window_figures(got, want, targets):
    """(KL divergence, same top token, NLL ours, NLL reference) of each position."""
    p, q = log_softmax(want), log_softmax(got)
    at = np.arange(len(targets))
    kl = (np.exp(p) * (p - q)).sum(-1)
    return np.stack([kl, p.argmax(-1) == q.argmax(-1), -q[at, targets], -p[at, targets]])


def measure_ours(args, name, cache, windows, references):
    model, out = convert(args, name), args.scratch / "logits.npy"
    common = ["-m", model, "--context", CONTEXT, "--kv", cache, "-t", args.threads]
    figures = []
    for ids, ref in zip(windows, references):
        run(args.bin / "oarlock", "logits", "--tokens", ",".join(map(str, ids)), "-o", out, *common)
        figures.append(window_figures(np.load(out, mmap_mode="r")[HALF], np.load(ref), ids[HALF.start + 1 :]))
    out.unlink()
    kl, same, nll, nll_ref = np.concatenate(figures, axis=1)
    whole = json.loads(run(args.bin / "oarlock", "perplexity", "-f", args.text, "--windows", WINDOWS, "--json", *common))
    inspect = json.loads(run(args.bin / "oarlock", "inspect", "--json", "-m", model))
    return {
        "bits": inspect["bits_per_weight"],
        "mib": model.stat().st_size / 2**20,
        "ppl": whole["ppl"],
        "ppl_ratio": float(np.exp(nll.mean() - nll_ref.mean())),
        "kld": kl.mean(),
        "kld_p99": float(np.quantile(kl, 0.99)),
        "same_top": 100 * same.mean(),
    }


# --- llama.cpp -------------------------------------------------------------------------


def quantize(args, name, options, kind):
    out = args.scratch / f"{name}.gguf"
    if not out.exists():
        run(args.llama / "llama-quantize", *options, args.gguf, out, kind, args.threads)
    return out


def perplexity_tool(args, model, *more):
    base = args.scratch / "llama-base.kld"
    common = ["-c", CONTEXT, "-b", CONTEXT, "--chunks", WINDOWS, "-t", args.threads, "--kl-divergence-base", base]
    return run(args.llama / "llama-perplexity", "-m", model, "-f", args.text, *common, *more)


def rival_base(args):
    if not (args.scratch / "llama-base.kld").exists():
        perplexity_tool(args, quantize(args, "F32", ["--allow-requantize"], "F32"))


def number(label, text):
    return float(re.search(label + r"\s*:\s*(-?[\d.]+)", text).group(1))


def measure_rival(args, name):
    rival_base(args)
    model = quantize(args, name, *RIVALS[name]) if RIVALS[name] else args.gguf
    text = perplexity_tool(args, model, "--kl-divergence")
    (args.scratch / f"{name}.log").write_text(text)
    return {
        "mib": model.stat().st_size / 2**20,
        "ppl": number(r"Mean PPL\(Q\)", text),
        "ppl_ratio": number(r"Mean PPL\(Q\)/PPL\(base\)", text),
        "kld": number(r"Mean\s+KLD", text),
        "kld_p99": number(r"99.0%\s+KLD", text),
        "same_top": number(r"Same top p", text),
    }


# --- the table -------------------------------------------------------------------------


def plan(args):
    """(row name, how to measure it) of every row asked for."""
    only = args.only.split(",") if args.only else None
    wanted = lambda name: only is None or name in only  # noqa: E731
    if args.llama:
        for name in filter(wanted, RIVALS):
            yield f"llama.cpp {name}", lambda name=name: measure_rival(args, name)
    if args.bin:
        windows = token_windows(args)
        references = reference(args, windows)
        for name in filter(wanted, OURS):
            for cache in CACHES.get(name, DEFAULT_CACHES):
                yield f"{name}, cache {cache}", lambda n=name, c=cache: measure_ours(args, n, c, windows, references)


def table(results):
    print("| | bits/weight | MiB | perplexity | ratio to f32, 2nd halves | mean KLD | KLD p99 | same top token |")
    print("|---|---|---|---|---|---|---|---|")
    for name, r in results.items():
        bits = f"{r['bits']:.2f}" if "bits" in r else ""
        print(
            f"| {name} | {bits} | {r['mib']:.1f} | {r['ppl']:.4f} | {r['ppl_ratio']:.4f} "
            f"| {r['kld']:.5f} | {r['kld_p99']:.4f} | {r['same_top']:.2f} % |"
        )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scratch", type=Path, required=True)
    p.add_argument("--model", type=Path, help="the f32 Hugging Face directory (for --bin)")
    p.add_argument("--gguf", type=Path, required=True)
    p.add_argument("--text", type=Path, required=True)
    p.add_argument("--bin", type=Path, help="folder of oarlock and oarlock-convert")
    p.add_argument("--llama", type=Path, help="folder of llama-perplexity and llama-quantize")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--only", help="names, by commas")
    args = p.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    store = args.scratch / "results.json"
    results = json.loads(store.read_text()) if store.exists() else {}
    for name, measure in plan(args):
        if name not in results:
            results[name] = measure()
            store.write_text(json.dumps(results, indent=1))
    table(results)


if __name__ == "__main__":
    main()
