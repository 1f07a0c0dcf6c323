"""Makes a Hugging Face model directory (float32) from SmolLM2's GGUF.

    python tests/golden/smollm2_directory.py SmolLM2-135M-Instruct.Q4_1.gguf OUT_DIR

The other generators that need the real model take OUT_DIR. Weights are the GGUF's
own values in f32, with the q and k rows back in Hugging Face's order. The tokenizer is
built by hand: transformers' GGUF import leaves out the Digits step of `smollm`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3  # GGUF's token type of special tokens

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def field(reader, name):
    return reader.fields[name].contents()


def unpermute(w, heads):
    """GGUF pairs rotary dims (2i, 2i+1); Hugging Face pairs (i, i + head_dim/2)."""
    head_dim = w.shape[0] // heads
    pairs = w.reshape(heads, head_dim // 2, 2, -1)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(w.shape)


def hf_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.weight"


def weights(reader):
    heads = {
        "attn_q": field(reader, "llama.attention.head_count"),
        "attn_k": field(reader, "llama.attention.head_count_kv"),
    }
    out = {}
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32)
        part = t.name.split(".")[-2]
        out[hf_name(t.name)] = unpermute(w, heads[part]) if part in heads else w
    return out


def config(reader):
    hidden, heads = field(reader, "llama.embedding_length"), field(reader, "llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": field(reader, "llama.feed_forward_length"),
        "num_hidden_layers": field(reader, "llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field(reader, "llama.attention.head_count_kv"),
        "head_dim": hidden // heads,
        "vocab_size": field(reader, "llama.vocab_size"),
        "max_position_embeddings": field(reader, "llama.context_length"),
        "rms_norm_eps": 1e-5,
        "rope_theta": field(reader, "llama.rope.freq_base"),
        "rope_scaling": None,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": field(reader, "tokenizer.ggml.eos_token_id"),
    }


def tokenizer(reader):
    tokens = field(reader, "tokenizer.ggml.tokens")
    types = field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, types) if kind == CONTROL]
    )
    return tok


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(gguf, out):
    reader, out = GGUFReader(gguf), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tokens = field(reader, "tokenizer.ggml.tokens")
    named = {
        f"{k}_token": tokens[field(reader, f"tokenizer.ggml.{long}_token_id")]
        for k, long in [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")]
    }
    save_file(weights(reader), out / "model.safetensors", metadata={"format": "pt"})
    write_json(out / "config.json", config(reader))
    tokenizer(reader).save(str(out / "tokenizer.json"))
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": field(reader, "llama.context_length"),
            "chat_template": field(reader, "tokenizer.chat_template"),
            **named,
        },
    )
    write_json(out / "special_tokens_map.json", named)
    eos = field(reader, "tokenizer.ggml.eos_token_id")
    write_json(
        out / "generation_config.json",
        {"bos_token_id": field(reader, "tokenizer.ggml.bos_token_id"), "eos_token_id": eos, "pad_token_id": eos},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
