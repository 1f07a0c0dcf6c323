"""Makes tiny random Llama models with transformers, and what transformers says of them.

    python tests/golden/tiny_llama.py

Writes `tests/fixtures/tiny/NAME/`: a Hugging Face model directory and
- `golden.json`: `ids` (the input), `first` (position of the first row of golden.npy),
  `greedy` (ids that greedy decoding appends to `ids`, EOS not minded), `note` (what the case is for);
- `golden.npy`: float32 logits [len(ids) - first, vocab], computed in float32 from the
  stored weights (f16 and bf16 widened), attention "eager".

Each golden is computed from the directory as it lies on disk, after the weights were
stored and config.json respelled, so that it is the reading of that very directory.
"""

import json
import shutil

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import mxfp4
from common import CHATML, FIXTURES, LLAMA3_CHAT, byte_level_bpe, save_tokenizer, write_json

CORPUS = [
    "The oarlock holds the oar while everything else moves; the boat is small and the river is long.",
    "the thing that the other one said was that there is nothing here, and that they rowed on and on",
    "def row(boat, stroke):\n    return boat.speed * stroke\n\nfor i in range(10):\n    row(boat, i)\n",
    "<|user said|> what is the capital of France? The capital of France is Paris. 1234567890 2026",
]
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 24,
}
GREEDY = 16
MARGIN = 0.02  # greedy choices closer than this would make a test of luck


def case(note, hidden, heads, kv, inter, vocab, **more):
    return dict(note=note, hidden=hidden, heads=heads, kv=kv, inter=inter, vocab=vocab) | more


# Optional: head_dim, layers (2), tied, biases (names), rope, theta, eps, dtype, spelling (4 or 5),
# shard, tokens (positions), first (row of the golden), tok (pre-tokenizer), merges, chat.
CASES = {
    "gqa": case("grouped queries, tied", 48, 4, 2, 80, 301, tied=True, merges=40, chat="config"),
    "mha-dim20": case(
        "one kv head per head, head_dim 20, no multiple of 32 anywhere; version 4 leaves out head_dim and kv heads",
        40, 2, 2, 68, 263, spelling=4, omit=["head_dim", "num_key_value_heads"], tok="gpt2",
    ),
    "mqa-dim24-f16": case(
        "one kv head for all, head_dim 24, f16", 72, 3, 1, 88, 270, dtype="float16", spelling=4, tok="qwen2", merges=8
    ),
    "wide-heads-bf16": case(
        "heads together wider than the hidden size, bf16",
        40, 4, 2, 72, 259, head_dim=32, dtype="bfloat16", tok="llama3",
    ),
    "head128": case("head_dim 128, one layer, tied", 32, 2, 1, 64, 272, head_dim=128, layers=1, tied=True),
    "biases": case(
        "attention and MLP biases, three layers", 40, 5, 1, 48, 259, layers=3, biases=("attention", "mlp"), eps=1e-6
    ),
    "attention-bias-v4": case(
        "attention biases only, tied, f16, version 4 spelling",
        48, 6, 2, 64, 261, tied=True, biases=("attention",), dtype="float16", spelling=4, theta=500000.0,
    ),
    "rope-llama3": case(
        "Llama 3 rope scaling, version 5 spelling, template in chat_template.jinja, BOS added",
        48, 3, 1, 48, 290, rope=LLAMA3_ROPE, tokens=72, theta=500.0, dtype="bfloat16", tok="llama3", merges=20, chat="llama3",
    ),
    "rope-llama3-v4": case(
        "Llama 3 rope scaling, version 4 spelling, bf16",
        64, 4, 4, 48, 275, rope=LLAMA3_ROPE | {"factor": 32.0}, tokens=72, theta=10000.0, dtype="bfloat16", spelling=4,
    ),
    "sharded-v4": case(
        "three shards and an index, bf16, version 4 spelling", 48, 3, 3, 64, 260, shard="45KB", dtype="bfloat16", spelling=4, chat="config"
    ),
    "sharded-f16": case(
        "many shards, f16, tied", 48, 4, 1, 72, 266, shard="25KB", dtype="float16", tied=True, tok="qwen2"
    ),
    "long": case(
        "1,100 tokens: three segments of attention, theta small", 32, 4, 2, 40, 260, tokens=1100, first=1060, theta=1000.0
    ),
}


def rope_parameters(c):
    return c.get("rope", {"rope_type": "default"}) | {"rope_theta": c.get("theta", 10000.0)}


def llama_config(c):
    biases = c.get("biases", ())
    return LlamaConfig(
        hidden_size=c["hidden"],
        intermediate_size=c["inter"],
        num_hidden_layers=c.get("layers", 2),
        num_attention_heads=c["heads"],
        num_key_value_heads=c["kv"],
        head_dim=c.get("head_dim", c["hidden"] // c["heads"]),
        vocab_size=c["vocab"],
        max_position_embeddings=2048 if c.get("tokens", 0) > 512 else 256,
        rms_norm_eps=c.get("eps", 1e-5),
        rope_parameters=rope_parameters(c),
        tie_word_embeddings=c.get("tied", False),
        attention_bias="attention" in biases,
        mlp_bias="mlp" in biases,
        bos_token_id=0,
        eos_token_id=c["vocab"] - 1,
        attn_implementation="eager",
    )


def randomise(model, seed):
    """Weights that make every part matter: scores and logits of order 1, norms and biases not at rest."""
    rng = torch.Generator().manual_seed(seed)
    # Families whose norms multiply by one more than what they store.
    less_one = model.config.model_type.startswith(("gemma", "nemotron"))
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=rng)
        if name.endswith("bias"):
            p.data = noise * 0.3
        elif ".lambda_" in name:
            p.data = noise * 0.4
        elif name.endswith("sinks"):
            # Logits among scores of order 1.
            p.data = noise * 1.5
        elif "norm" in name or p.dim() == 1:
            p.data = noise * 0.2 + (0.0 if less_one else 1.0)
        elif "embed" in name:
            # Gemma multiplies by the square root of the width.
            p.data = noise * (0.2 if model.config.model_type.startswith("gemma") else 0.6)
        else:
            # What a matrix multiplies is its last dimension, but of gpt-oss's experts.
            inputs = p.shape[1 if model.config.model_type == "gpt_oss" else -1]
            p.data = noise * (1.5 / inputs**0.5)


def spell_as_version_4(path, c):
    """config.json as transformers 4 wrote it."""
    config = json.loads(path.read_text())
    config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    config["rope_theta"] = c.get("theta", 10000.0)
    config["rope_scaling"] = c.get("rope")
    config["transformers_version"] = "4.46.3"
    for key in c.get("omit", ()):
        config.pop(key)
    write_json(path, dict(sorted(config.items())), indent=2)


def save_chat_tokenizer(out, c):
    """A tokenizer that fits the model: 256 bytes, a few merges, the special tokens last."""
    chat = c.get("chat")
    special = {"config": ["<|im_start|>", "<|im_end|>"], "llama3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]}
    special = special.get(chat, ["<s>", "</s>"])
    size = 256 + c.get("merges", 0) + len(special)
    tok = byte_level_bpe(c.get("tok", "smollm"), size, CORPUS, special)
    bos, eos = special[0], special[-1]
    if chat == "llama3":
        add_bos(tok, bos)
    save_tokenizer(tok, out / "tokenizer.json")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos}
    if chat == "config":
        config["chat_template"] = CHATML
    if chat == "llama3":
        (out / "chat_template.jinja").write_text(LLAMA3_CHAT, encoding="utf-8")
    write_json(out / "tokenizer_config.json", config, indent=2)
    write_json(out / "special_tokens_map.json", {"bos_token": bos, "eos_token": eos}, indent=2)
    ids = {"bos_token_id": tok.token_to_id(bos), "eos_token_id": tok.token_to_id(eos)}
    assert max(tok.get_vocab().values()) < c["vocab"]
    return ids


def add_bos(tok, bos):
    from tokenizers import processors

    tok.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tok.token_to_id(bos))]
    )


def build(c):
    return LlamaForCausalLM(llama_config(c))


def save_model(out, c, seed, build):
    model = build(c)
    randomise(model, seed)
    token_ids = save_chat_tokenizer(out, c)
    for key, value in token_ids.items():
        setattr(model.config, key, value)
        setattr(model.generation_config, key, value)
    model.to(getattr(torch, c.get("dtype", "float32")))
    if c.get("mxfp4"):
        return mxfp4.save(model, out)
    names = dict(save_original_format=False) if c.get("stacked") else {}
    model.save_pretrained(out, max_shard_size=c.get("shard", "50GB"), **names)
    for file in out.glob("*.safetensors"):
        file.chmod(0o644)
    if c.get("spelling") == 4:
        spell_as_version_4(out / "config.json", c)


def load(out, c, dtype=torch.float32):
    if c.get("mxfp4"):
        return mxfp4.load(out, dtype)
    attention = c.get("attention", "eager")
    # What is the default for experts knows no float64.
    experts = dict(experts_implementation="eager") if any("experts" in key for key in c.get("config", ())) else {}
    return AutoModelForCausalLM.from_pretrained(out, dtype=dtype, attn_implementation=attention, **experts).eval()


@torch.no_grad()
def greedy(model, ids):
    """The continuation, and the smallest lead of a chosen token over the next best."""
    ids, lead = list(ids), float("inf")
    for _ in range(GREEDY):
        best = model(torch.tensor([ids])).logits[0, -1].topk(2)
        ids.append(best.indices[0].item())
        lead = min(lead, (best.values[0] - best.values[1]).item())
    return ids[-GREEDY:], lead


@torch.no_grad()
def golden(out, c, seed):
    model = load(out, c)
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, c["vocab"], c.get("tokens", 48)).tolist()
    first = c.get("first", 0)
    logits = model(torch.tensor([ids])).logits[0, first:].numpy()
    exact = load(out, c, torch.float64)(torch.tensor([ids])).logits[0, first:].numpy()
    continuation, lead = greedy(model, ids)
    print(
        f"{out.name:18} seed {seed} logits std {logits.std():.2f} noise {np.abs(logits - exact).max():.1e} "
        f"lead {lead:.3f} distinct {len(set(continuation))}"
    )
    if lead < MARGIN:
        return False
    np.save(out / "golden.npy", np.ascontiguousarray(logits, dtype="<f4"))
    write_json(out / "golden.json", {"note": c["note"], "first": first, "ids": ids, "greedy": continuation})
    return True


def make(cases, build, first_seed, wanted=()):
    """Makes the directories of all cases, or of those that are wanted."""
    torch.set_num_threads(1)
    for number, (name, c) in enumerate(cases.items()):
        if wanted and name not in wanted:
            continue
        out = FIXTURES / "tiny" / name
        for attempt in range(20):
            seed = first_seed + 100 * number + attempt
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            save_model(out, c, seed, build)
            if golden(out, c, seed):
                break
        else:
            raise SystemExit(f"{name}: no seed gives a clear greedy continuation")


if __name__ == "__main__":
    make(CASES, build, 0)
