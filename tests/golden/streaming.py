"""Makes the goldens of streams: StreamingLLM as its paper defines it (arXiv 2309.17453), in PyTorch.

    python tests/golden/streaming.py [SMOLLM2_DIR]

Writes `tests/fixtures/streaming.json`: for tiny models that `tiny_llama.py` made, a stream of
random `ids` several times as long as the context, and of every token after the first its
negative log likelihood, for each pair of `context` (slots, the token itself among them) and
`sinks`. With SMOLLM2_DIR also `tests/fixtures/smollm2/streaming.json`: the same for the first
2,000 tokens of `fixtures/text.txt`.

    python tests/golden/streaming.py SMOLLM2_DIR --compare OUT.npy --context 256 --sinks 4

compares what `oarlock stream --per-token OUT.npy` wrote with that.

Keys lie in the cache as they were before their rotation. Whoever attends sees the sinks and
the newest tokens, rotated by their places in the cache, 0, 1, 2 …, and itself at the last
place. Nothing else is left of the past: each layer computes from what the one below it made of
the token when it came.
"""

import argparse
import json

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from common import FIXTURES, write_json

TINY = {"gqa": (32, 4), "mqa-dim24-f16": (24, 1), "rope-llama3": (40, 5), "wide-heads-bf16": (17, 3)}
LENGTH = 160
BLOCK = 50  # tokens that attend together


def rotate(x, places, rotary):
    """x (..., heads, head_dim) by its places (...)."""
    angles = places[..., None].float() * rotary.inv_freq
    cos, sin = (f(torch.cat([angles, angles], -1))[..., None, :] * rotary.attention_scaling for f in (torch.cos, torch.sin))
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat([-high, low], -1) * sin


def cached(i, context, sinks):
    """What token i sees, in the order of the cache."""
    if i < context:
        return list(range(i + 1))
    return list(range(sinks)) + list(range(i - (context - sinks) + 1, i + 1))


def attend(layer, x, context, sinks, rotary):
    """The attention of all tokens (n, dim), each over its own cache."""
    a, n = layer.self_attn, len(x)
    q, k, v = (proj(x).view(n, -1, a.head_dim) for proj in (a.q_proj, a.k_proj, a.v_proj))
    out = torch.empty_like(q)
    for start in range(0, n, BLOCK):
        seen = [cached(i, context, sinks) for i in range(start, min(n, start + BLOCK))]
        most = max(map(len, seen))
        there = torch.tensor([[j < len(s) for j in range(most)] for s in seen])
        index = torch.tensor([s + [0] * (most - len(s)) for s in seen])
        places = torch.arange(most).expand(len(seen), most)
        keys = rotate(k[index], places, rotary).repeat_interleave(a.num_key_value_groups, 2)
        values = v[index].repeat_interleave(a.num_key_value_groups, 2)
        own = torch.tensor([len(s) - 1 for s in seen])
        queries = rotate(q[start : start + len(seen)], own, rotary)
        scores = torch.einsum("thd,tkhd->thk", queries, keys) * a.scaling
        weights = scores.masked_fill(~there[:, None], -torch.inf).softmax(-1)
        out[start : start + len(seen)] = torch.einsum("thk,tkhd->thd", weights, values)
    return a.o_proj(out.reshape(n, -1))


@torch.no_grad()
def scores(model, ids, context, sinks):
    """The negative log likelihood of every token after the first."""
    body, ids = model.model, torch.tensor(ids)
    x = body.embed_tokens(ids)
    for layer in body.layers:
        x = x + attend(layer, layer.input_layernorm(x), context, sinks, body.rotary_emb)
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    logits = model.lm_head(body.norm(x[:-1]))
    return torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    # The reference proves itself where nothing has fallen out of the cache yet.
    ids = list(range(5, 45))
    dense = torch.nn.functional.cross_entropy(model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]), reduction="none")
    assert (scores(model, ids, 64, 4) - dense).abs().max() < 1e-4
    return model


def stream(model, ids, context, sinks):
    nll = [round(float(v), 5) for v in scores(model, ids, context, sinks)]
    return {"context": context, "sinks": sinks, "nll": nll}


def tiny():
    cases = []
    for name, (context, sinks) in TINY.items():
        model = load(FIXTURES / "tiny" / name)
        ids = np.random.default_rng(len(name)).integers(0, model.config.vocab_size, LENGTH).tolist()
        streams = [stream(model, ids, context, s) for s in (sinks, 0)]
        cases.append({"model": name, "ids": ids, "streams": streams})
    write_json(FIXTURES / "streaming.json", cases)


def smollm2_ids(folder):
    text = (FIXTURES / "text.txt").read_text(encoding="utf-8")
    return Tokenizer.from_file(f"{folder}/tokenizer.json").encode(text, add_special_tokens=False).ids[:2000]


def smollm2(folder):
    model, ids = load(folder), smollm2_ids(folder)
    write_json(FIXTURES / "smollm2/streaming.json", [stream(model, ids, 256, sinks) for sinks in (4, 0)])


def compare(args):
    golden = json.loads((FIXTURES / "smollm2/streaming.json").read_text())
    right = next(s["nll"] for s in golden if (s["context"], s["sinks"]) == (args.context, args.sinks))
    off = np.abs(np.load(args.compare)[: len(right)] - right)
    print(f"{len(right)} tokens, largest difference {off.max():.2e}, mean {off.mean():.2e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("smollm2", nargs="?")
    parser.add_argument("--compare")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--sinks", type=int, default=4)
    args = parser.parse_args()
    if args.compare:
        compare(args)
    else:
        tiny()
        if args.smollm2:
            smollm2(args.smollm2)
