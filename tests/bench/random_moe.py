"""Makes a mixture of experts of Qwen3-MoE's shape with random weights, as a GGUF file in F16.

    python random_moe.py SMOLLM2.gguf OUT.gguf

It has 0.9B, of which a token meets 0.2B. Random routers spread tokens over all experts evenly, the dearest case for what a chunk of
tokens reads; otherwise as random_llama.py.
"""

import sys

import gguf
import numpy as np
from random_llama import finish, matrix, start

DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 1024, 16, 16, 4, 64, 32000
EXPERTS, USED, FFN = 32, 4, 512


def shapes():
    """(name, dimensions) of every tensor; one dimension for norms, three for stacks of experts."""
    yield "token_embd.weight", (VOCAB, DIM)
    for i in range(LAYERS):
        at = f"blk.{i}."
        yield at + "attn_norm.weight", (DIM,)
        yield at + "ffn_norm.weight", (DIM,)
        yield at + "attn_q_norm.weight", (HEAD_DIM,)
        yield at + "attn_k_norm.weight", (HEAD_DIM,)
        yield at + "attn_q.weight", (HEADS * HEAD_DIM, DIM)
        yield at + "attn_k.weight", (KV_HEADS * HEAD_DIM, DIM)
        yield at + "attn_v.weight", (KV_HEADS * HEAD_DIM, DIM)
        yield at + "attn_output.weight", (DIM, HEADS * HEAD_DIM)
        yield at + "ffn_gate_inp.weight", (EXPERTS, DIM)
        yield at + "ffn_gate_exps.weight", (EXPERTS, FFN, DIM)
        yield at + "ffn_up_exps.weight", (EXPERTS, FFN, DIM)
        yield at + "ffn_down_exps.weight", (EXPERTS, DIM, FFN)
    yield "output_norm.weight", (DIM,)
    yield "output.weight", (VOCAB, DIM)


def main():
    source, out = sys.argv[1:]
    random = np.random.default_rng(12)
    writer = gguf.GGUFWriter(out, "qwen3moe")
    start(writer, source, "random mixture 0.9B", LAYERS, DIM, [HEADS, KV_HEADS, HEAD_DIM])
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_feed_forward_length(FFN)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(USED)
    writer.add_expert_feed_forward_length(FFN)
    for name, dims in shapes():
        if len(dims) == 1:
            writer.add_tensor(name, np.ones(dims, np.float32))
        elif "gate_inp" in name:
            # Routers stay as they are on both sides.
            writer.add_tensor(name, matrix(random, dims))
        else:
            writer.add_tensor(name, matrix(random, dims).astype(np.float16))
    finish(writer)


if __name__ == "__main__":
    main()
