"""Makes tiny random models of the families that are not Llama, and what transformers says of them.

    python tests/golden/tiny_families.py [NAME ...]

Writes `tests/fixtures/tiny/NAME/` as `tiny_llama.py` does, which describes the files.
"""

import sys

import transformers

import tiny_llama

COMMON = dict(
    max_position_embeddings=256,
    bos_token_id=0,
    pad_token_id=None,
    attn_implementation="eager",
)


def case(note, family, hidden, heads, kv, inter, vocab, theta=10000.0, **more):
    own = {k: more.pop(k) for k in ("tokens", "dtype", "tok", "merges", "chat", "omit") if k in more}
    rope = more.pop("rope", {"rope_type": "default"}) | {"rope_theta": theta}
    config = dict(
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        intermediate_size=inter,
        vocab_size=vocab,
        num_hidden_layers=more.pop("layers", 2),
        eos_token_id=vocab - 1,
        rope_parameters=rope,
    )
    return own | dict(note=note, family=family, vocab=vocab, config=COMMON | config | more)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
CASES = {
    "mistral": case("Mistral without a window", "Mistral", 48, 4, 2, 72, 260, head_dim=12, sliding_window=None),
    "qwen2": case("Qwen2: biases of q, k and v", "Qwen2", 48, 4, 2, 72, 264, tie_word_embeddings=True, tok="qwen2"),
    "qwen3": case("Qwen3: q/k norm of each head", "Qwen3", 40, 4, 2, 72, 262, head_dim=16, tok="qwen2"),
    "smollm3": case(
        "SmolLM3: every other layer without rotation", "SmolLM3", 48, 4, 1, 64, 266, layers=4, no_rope_layer_interval=2, no_rope_layers=None, tok="llama3"
    ),
    "granite": case(
        "Granite: factors", "Granite", 48, 4, 2, 64, 268, tie_word_embeddings=True,
        embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.4, logits_scaling=1.7,
    ),
    "olmo2": case("OLMo2: norms behind the parts, q/k norm over all heads", "Olmo2", 48, 4, 2, 64, 259),
    "stablelm": case(
        "StableLM: LayerNorm with biases, a quarter of each head rotated", "StableLm", 64, 4, 2, 72, 261,
        rope={"rope_type": "default", "partial_rotary_factor": 0.25}, use_qkv_bias=True,
    ),
    "cohere": case(
        "Cohere: both parts of one LayerNorm, pairs side by side, scaled logits", "Cohere", 48, 4, 2, 64, 263,
        logit_scale=0.4, dtype="float16",
    ),
    "rope-linear": case("linear rope scaling", "Llama", 48, 4, 2, 64, 265, rope={"rope_type": "linear", "factor": 2.5}, tokens=72),
    "rope-yarn": case("YaRN", "Llama", 64, 2, 2, 64, 267, theta=500.0, rope=YARN, tokens=96),
}


def build(c):
    config = getattr(transformers, c["family"] + "Config")(**c["config"])
    return getattr(transformers, c["family"] + "ForCausalLM")(config)


if __name__ == "__main__":
    tiny_llama.make(CASES, build, 10000, sys.argv[1:])
