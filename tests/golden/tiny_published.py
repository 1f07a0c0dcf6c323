"""Makes tiny random models whose files are as people publish them, and what transformers says of them.

    python tests/golden/tiny_published.py [NAME ...]

Writes `tests/fixtures/tiny/NAME/` as `tiny_llama.py` does, which describes the files. Here are text
models inside of one for pictures (with the names of tensors that their authors have), rotary
positions in words that are read or ignored, and an output matrix of a model that is said to have none.
"""

import json
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

import tiny_llama
from common import write_json

TEXT = dict(
    hidden_size=32, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=48, num_hidden_layers=2,
    vocab_size=260, max_position_embeddings=256, bos_token_id=0, eos_token_id=259, pad_token_id=None,
)
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
VISION = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1)
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 500.0}


def llama(note, rope=DEFAULT, **more):
    edit = more.pop("edit", {})
    return dict(note=note, vocab=260, tokens=40, dtype="bfloat16", edit=edit, config=TEXT | dict(num_hidden_layers=1, rope_parameters=rope) | more)


def wrapped(note, family, text, vision, names, **more):
    return dict(note=note, vocab=260, tokens=24, dtype="bfloat16", family=family, text=TEXT | text, vision=vision, names=names, more=more)


OURS = {"language_model.model.": "model.language_model.", "language_model.lm_head.": "lm_head.", "": "model."}
CASES = {
    "gemma3-pictures": wrapped(
        "Gemma 3 with its vision tower", "Gemma3",
        dict(
            num_hidden_layers=3, sliding_window=9, query_pre_attn_scalar=16, layer_types=["sliding_attention"] * 2 + ["full_attention"],
            rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}, "sliding_attention": DEFAULT},
        ),
        VISION | dict(image_size=28, patch_size=14), OURS, mm_tokens_per_image=1,
    ),
    "mistral3-pictures": wrapped(
        "Mistral 3 with its vision tower", "Mistral3", dict(sliding_window=None, model_type="mistral", rope_parameters=DEFAULT),
        VISION | dict(image_size=28, patch_size=14, head_dim=16, model_type="pixtral", rope_parameters=DEFAULT), OURS, tie_word_embeddings=False,
    ),
    "qwen25-pictures": wrapped(
        "Qwen 2.5 VL: all keys in one object", "Qwen2_5_VL",
        dict(rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}, use_sliding_window=False, max_window_layers=1),
        dict(depth=1, hidden_size=16, intermediate_size=16, num_heads=1, out_hidden_size=32, fullatt_block_indexes=[0]),
        {"model.": "model.language_model.", "lm_head.": "lm_head.", "visual.": "model.visual."}, tie_word_embeddings=False,
    ),
    "yarn-attn-factor": llama("YaRN with a key that transformers ignores", YARN, edit={"rope": {"attn_factor": 0.8, "finetuned": True}}),
    "yarn-mscale": llama("YaRN with both factors of attention", YARN | {"mscale": 1.2, "mscale_all_dim": 0.7, "beta_fast": 16}),
    "yarn-own-context": llama("YaRN without the context before", {k: v for k, v in YARN.items() if not k.startswith("original")}),
    "yarn-context-outside": llama("YaRN whose context before stands outside as well", YARN, edit={"original_max_position_embeddings": 64}),
    "llama3-own-context": llama(
        "Llama 3's scaling without the context before",
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 500.0},
    ),
    "rope-ignored": llama("keys that the rope type does not read", DEFAULT, edit={"rope": {"factor": 3.0, "mscale": 2.0}}),
    "tied-with-head": llama("an output matrix, where the config says there is none", tie_word_embeddings=True, head=True),
}


def build(c):
    c = json.loads(json.dumps(c))  # The classes write into what they are given, which cases share.
    if "family" not in c:
        config = dict(c["config"])
        config.pop("head", None)
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**config))
    config = getattr(transformers, c["family"] + "Config")(text_config=c["text"], vision_config=c["vision"], **c["more"])
    return getattr(transformers, c["family"] + "ForConditionalGeneration")(config)


def save(out, c, seed, build):
    save_model(out, c, seed, build)
    path, weights = out / "config.json", out / "model.safetensors"
    config, edit = json.loads(path.read_text()), dict(c.get("edit", {}))
    config["rope_parameters"] = config.get("rope_parameters", {}) | edit.pop("rope", {})
    if "family" in c:
        config.pop("rope_parameters")
    write_json(path, config | edit, indent=2)
    if c.get("config", {}).get("head"):
        tensors = load_file(weights)
        rng = torch.Generator().manual_seed(seed)
        shape = tensors["model.embed_tokens.weight"].shape
        tensors["lm_head.weight"] = (torch.randn(shape, generator=rng) * 0.3).to(torch.bfloat16)
        save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)


def load(out, c, dtype=torch.float32):
    kind = transformers.AutoModelForImageTextToText if "family" in c else transformers.AutoModelForCausalLM
    return kind.from_pretrained(out, dtype=dtype, attn_implementation="eager").eval()


def as_published(out, c):
    """Names of tensors and places of keys that the authors' own files have."""
    weights, path = out / "model.safetensors", out / "config.json"
    tensors = {}
    for name, tensor in load_file(weights).items():
        # Some are saved as their authors had them.
        own = next((own for own, ours in c["names"].items() if name.startswith(ours)), None)
        tensors[name if own is None else own + name.removeprefix(c["names"][own])] = tensor
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    config = json.loads(path.read_text())
    if c["family"] == "Qwen2_5_VL":
        text = config.pop("text_config")
        rope = text.pop("rope_parameters")
        text |= {"rope_theta": rope["rope_theta"], "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}
        config = text | config
    write_json(path, config, indent=2)


if __name__ == "__main__":
    save_model, tiny_llama.save_model, tiny_llama.load = tiny_llama.save_model, save, load
    tiny_llama.make(CASES, build, 20000, sys.argv[1:])
    for name, c in CASES.items():
        if "family" in c and (not sys.argv[1:] or name in sys.argv[1:]):
            as_published(tiny_llama.FIXTURES / "tiny" / name, c)
