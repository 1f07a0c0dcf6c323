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
    own = {k: more.pop(k) for k in ("tokens", "dtype", "tok", "merges", "chat", "omit", "stacked", "mxfp4") if k in more}
    rope = more.pop("rope", {"rope_type": "default"})
    if "rope_type" in rope:
        rope = rope | {"rope_theta": theta}
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


def other(note, family, vocab, **config):
    """A case of a family with words of its own for all of it."""
    own = {k: config.pop(k) for k in ("tokens", "dtype", "attention") if k in config}
    common = dict(vocab_size=vocab, bos_token_id=0, eos_token_id=vocab - 1, pad_token_id=None, attn_implementation="eager")
    return dict(dtype="bfloat16") | own | dict(note=note, family=family, vocab=vocab, config=common | config)


GPT2 = dict(n_embd=48, n_head=4, n_layer=2, n_positions=160)
FALCON = dict(hidden_size=64, num_attention_heads=4, num_hidden_layers=2, max_position_embeddings=160)
PARTIAL = {"rope_type": "default", "partial_rotary_factor": 0.5}


def longrope(pairs, original):
    return {
        "rope_type": "longrope",
        "short_factor": [1.0 + 0.03 * i for i in range(pairs)],
        "long_factor": [1.5 + 0.5 * i for i in range(pairs)],
        "original_max_position_embeddings": original,
    }


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
GPT_OSS = dict(dtype="bfloat16", theta=500.0, rope=YARN | {"truncate": False}, swiglu_limit=1.1)
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
    "gemma": case("Gemma: gains less one, scaled embeddings, GeLU", "Gemma", 48, 4, 1, 64, 264, head_dim=16, tie_word_embeddings=True),
    "gemma2": case(
        "Gemma 2: norms on both sides, caps, a window of 12 in every other layer", "Gemma2", 48, 4, 2, 64, 266, head_dim=16, layers=4, dtype="bfloat16",
        sliding_window=12, query_pre_attn_scalar=20, attn_logit_softcapping=3.0, final_logit_softcapping=9.0,
    ),
    "gemma3": case(
        "Gemma 3: a window of 9 in two layers of three, which rotate by a base of their own", "Gemma3", 48, 4, 2, 64, 267, head_dim=16, layers=4, dtype="float16",
        sliding_window=9, query_pre_attn_scalar=16, layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 50000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 300.0}},
    ),
    "mistral-window": case("Mistral with a window of 10", "Mistral", 48, 4, 2, 64, 262, head_dim=12, sliding_window=10, tokens=64, dtype="bfloat16"),
    "phi3": case(
        "Phi-3: fused matrices, a window of 11, a context short of longrope's long factors", "Phi3", 48, 4, 2, 64, 268, dtype="bfloat16",
        rope=longrope(6, 120), original_max_position_embeddings=120, sliding_window=11,
    ),
    "phi3-long": case(
        "Phi-3: long factors, three quarters of a head rotated", "Phi3", 64, 4, 4, 64, 269, dtype="bfloat16", theta=500.0,
        rope=longrope(6, 32) | {"partial_rotary_factor": 0.75}, original_max_position_embeddings=32,
    ),
    "phi2": case("Phi-2: parallel, biases everywhere, part of each head rotated", "Phi", 64, 4, 4, 96, 270, dtype="bfloat16", rope=PARTIAL),
    "gpt-neox": case("GPT-NeoX: parallel parts of two norms, fused per head", "GPTNeoX", 64, 4, 4, 80, 271, dtype="bfloat16", rope=PARTIAL | {"partial_rotary_factor": 0.25}),
    "gpt-neox-sequential": case(
        "Pythia's cousins: one part after the other", "GPTNeoX", 48, 3, 3, 80, 272, dtype="bfloat16", use_parallel_residual=False,
        rope=PARTIAL | {"partial_rotary_factor": 0.25},
    ),
    "gpt2": other("GPT-2: learned positions, fused matrices stored as columns", "GPT2", 273, **GPT2),
    "gpt-bigcode": other("GPT-BigCode: one key and value head for all", "GPTBigCode", 274, **GPT2),
    "gpt-bigcode-heads": other("GPT-BigCode with a key and value head for each", "GPTBigCode", 263, multi_query=False, n_inner=80, **GPT2),
    "gptj": other("GPT-J: parallel, pairs side by side, a biased output matrix", "GPTJ", 275, rotary_dim=8, n_inner=80, tie_word_embeddings=False, **GPT2),
    "starcoder2": case(
        "StarCoder2: biases, no gate, a window of 13", "Starcoder2", 48, 4, 2, 96, 276, dtype="bfloat16", sliding_window=13, residual_dropout=0.0,
    ),
    "opt": other(
        "OPT: ReLU, positions from the third row on", "OPT", 277, hidden_size=48, num_hidden_layers=2, ffn_dim=96, num_attention_heads=4,
        max_position_embeddings=160, word_embed_proj_dim=48,
    ),
    "falcon-7b": other("Falcon 7B's layout: parallel, one key and value head", "Falcon", 278, **FALCON),
    "falcon-40b": other("Falcon 40B's layout: groups, two norms of the same stream", "Falcon", 279, new_decoder_architecture=True, num_kv_heads=2, **FALCON),
    "falcon-11b": other(
        "Falcon 11B's layout: groups, one norm", "Falcon", 265, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, ffn_hidden_size=96, **FALCON,
    ),
    "falcon-rw": other(
        "Falcon RW's layout: sequential, biases, linear biases of positions", "Falcon", 280,
        # Eager attention of 5.23 adds the linear biases twice, once by way of the mask.
        attention="sdpa", alibi=True, multi_query=False, parallel_attn=False, bias=True, **FALCON,
    ),
    "mpt": other("MPT: linear biases of positions, no biases else", "Mpt", 281, d_model=48, n_heads=4, n_layers=2, expansion_ratio=4, max_seq_len=160),
    "mpt-odd": other(
        "MPT: five heads, clipped queries, keys and values", "Mpt", 266, d_model=40, n_heads=5, n_layers=2, expansion_ratio=4, max_seq_len=160,
        attn_config={"clip_qkv": 0.9, "softmax_scale": 0.3},
    ),
    "bloom": other("BLOOM: linear biases of positions, normalised embeddings, six heads", "Bloom", 282, hidden_size=48, n_layer=2, n_head=6),
    "olmo": case("OLMo 1: norms without gains, clipped queries, keys and values", "Olmo", 48, 4, 2, 64, 283, dtype="bfloat16", clip_qkv=0.8),
    "cohere2": case(
        "Cohere 2: a window of 8 in three layers of four, the fourth not rotated", "Cohere2", 48, 4, 2, 64, 264, dtype="bfloat16", layers=4,
        logit_scale=0.4, sliding_window=8,
    ),
    "nemotron": case("Nemotron: gains less one, squared ReLU, half of each head rotated", "Nemotron", 48, 4, 2, 96, 284, dtype="bfloat16", head_dim=12, rope=PARTIAL),
    "glm": case("GLM: half of each head rotated, pairs side by side", "Glm", 48, 4, 2, 64, 285, dtype="bfloat16", head_dim=16, rope=PARTIAL),
    "glm4": case("GLM-4: norms on both sides of each part", "Glm4", 48, 4, 2, 64, 286, dtype="bfloat16", head_dim=16, rope=PARTIAL),
    "helium": case("Helium: pairs side by side", "Helium", 48, 4, 2, 64, 287, dtype="bfloat16", head_dim=12),
    "rope-yarn-exact": case(
        "YaRN whose ramp begins and ends between two frequencies", "Llama", 32, 2, 2, 48, 261, theta=500.0, dtype="bfloat16", head_dim=32,
        rope=YARN | {"truncate": False}, tokens=64,
    ),
    "diffllama": case("DiffLlama: differential attention, groups of two", "DiffLlama", 48, 8, 4, 64, 288, dtype="bfloat16", head_dim=10, layers=3),
    "diffllama-wide": case(
        "DiffLlama: one pair of heads, biases", "DiffLlama", 40, 2, 2, 64, 270, dtype="bfloat16", head_dim=36, attention_bias=True, tie_word_embeddings=True,
    ),
    "mixtral": case(
        "Mixtral: two experts of five, a window of 14", "Mixtral", 48, 4, 2, 40, 259, dtype="bfloat16", num_local_experts=5, sliding_window=14,
    ),
    "mixtral-stacked": case(
        "Mixtral with the names that transformers 5 has inside: all experts in one tensor", "Mixtral", 48, 4, 2, 40, 259, dtype="bfloat16", num_local_experts=4,
        stacked=True,
    ),
    "qwen2-moe": case(
        "Qwen2-MoE: two layers in four with experts, one of which all tokens go through", "Qwen2Moe", 48, 4, 2, 72, 263, dtype="bfloat16", layers=4,
        decoder_sparse_step=2, num_experts=5, num_experts_per_tok=3, moe_intermediate_size=20, shared_expert_intermediate_size=40,
    ),
    "qwen2-moe-stacked": case(
        "Qwen2-MoE: layers without experts by name, all experts in one tensor, their weights normalised", "Qwen2Moe", 48, 4, 2, 72, 263, dtype="bfloat16", layers=3,
        mlp_only_layers=[1], num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24, shared_expert_intermediate_size=20, norm_topk_prob=True, stacked=True,
    ),
    "qwen3-moe": case(
        "Qwen3-MoE: four experts of nine, their weights normalised", "Qwen3Moe", 40, 4, 2, 72, 262, dtype="bfloat16", head_dim=16, layers=3, mlp_only_layers=[0],
        num_experts=9, num_experts_per_tok=4, moe_intermediate_size=20, norm_topk_prob=True,
    ),
    "olmoe": case(
        "OLMoE: three experts of eight, q/k norm over all heads", "Olmoe", 48, 4, 2, 24, 261, dtype="bfloat16", num_experts=8, num_experts_per_tok=3,
    ),
    "olmoe-clipped": case(
        "OLMoE: queries, keys and values cut off behind their norm", "Olmoe", 48, 4, 2, 20, 262, dtype="bfloat16", num_experts=3, num_experts_per_tok=2,
        clip_qkv=0.6,
    ),
    "gpt-oss": case(
        "gpt-oss: two experts of five, cut off gates, biases, heads with sinks, a window of 13 in every other layer", "GptOss", 48, 4, 2, 28, 266,
        head_dim=16, layers=3, num_local_experts=5, num_experts_per_tok=2, sliding_window=13, **GPT_OSS,
    ),
    "gpt-oss-mxfp4": case(
        "gpt-oss with experts as they were published: blocks of 4 bits, and scales", "GptOss", 64, 4, 1, 32, 267,
        head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=9, mxfp4=True, **GPT_OSS,
    ),
}


# Where the class of the config is not called as that of the model.
CONFIGS = {"Gemma3": "Gemma3TextConfig"}


def build(c):
    config = getattr(transformers, CONFIGS.get(c["family"], c["family"] + "Config"))(**c["config"])
    model = {"GPT2": "GPT2LMHeadModel"}.get(c["family"], c["family"] + "ForCausalLM")
    return getattr(transformers, model)(config)


if __name__ == "__main__":
    tiny_llama.make(CASES, build, 10000, sys.argv[1:])
