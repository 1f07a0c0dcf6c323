"""Makes a Llama of TinyLlama's shape (1.1B) with random weights, as a GGUF file in F16.

    python random_llama.py SMOLLM2.gguf OUT.gguf

Speed does not depend on what the weights say; their sizes are those of a trained model, so
that nothing overflows. The tokenizer is the first 32,000 tokens of SmolLM2's.
"""

import sys

import gguf
import numpy as np

DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB, CONTEXT = 2048, 22, 32, 4, 64, 5632, 32000, 4096


def strings(reader, key):
    field = reader.fields[key]
    return [bytes(field.parts[i]).decode() for i in field.data]


def numbers(reader, key):
    field = reader.fields[key]
    return [int(field.parts[i][0]) for i in field.data]


def tokenizer(writer, source):
    reader = gguf.GGUFReader(source)
    tokens = strings(reader, "tokenizer.ggml.tokens")[:VOCAB]
    known = set(tokens)
    # Merges come in the order of the tokens that they make, so these are a prefix.
    merges = [m for m in strings(reader, "tokenizer.ggml.merges") if m.replace(" ", "", 1) in known]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(numbers(reader, "tokenizer.ggml.token_type")[:VOCAB])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def shapes():
    """(name, rows, columns) of every matrix; columns alone for norms."""
    yield "token_embd.weight", VOCAB, DIM
    for i in range(LAYERS):
        at = f"blk.{i}."
        yield at + "attn_norm.weight", None, DIM
        yield at + "ffn_norm.weight", None, DIM
        yield at + "attn_q.weight", HEADS * HEAD_DIM, DIM
        yield at + "attn_k.weight", KV_HEADS * HEAD_DIM, DIM
        yield at + "attn_v.weight", KV_HEADS * HEAD_DIM, DIM
        yield at + "attn_output.weight", DIM, HEADS * HEAD_DIM
        yield at + "ffn_gate.weight", FFN, DIM
        yield at + "ffn_up.weight", FFN, DIM
        yield at + "ffn_down.weight", DIM, FFN
    yield "output_norm.weight", None, DIM
    yield "output.weight", VOCAB, DIM


def matrix(random, dims):
    """Values of a size that keeps that of what goes through."""
    return random.standard_normal(dims, np.float32) / np.float32(dims[-1]) ** 0.5


def start(writer, source, name, layers, dim, heads):
    """What models of every family say of themselves; `heads`: of queries, of keys, of what size."""
    writer.add_name(name)
    writer.add_block_count(layers)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(dim)
    writer.add_head_count(heads[0])
    writer.add_head_count_kv(heads[1])
    writer.add_rope_dimension_count(heads[2])
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    writer.add_file_type(1)
    tokenizer(writer, source)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    source, out = sys.argv[1:]
    random = np.random.default_rng(11)
    writer = gguf.GGUFWriter(out, "llama")
    start(writer, source, "random 1.1B", LAYERS, DIM, [HEADS, KV_HEADS, HEAD_DIM])
    writer.add_feed_forward_length(FFN)
    for name, rows, cols in shapes():
        if rows is None:
            writer.add_tensor(name, np.ones(cols, np.float32))
        else:
            writer.add_tensor(name, matrix(random, (rows, cols)).astype(np.float16))
    finish(writer)


if __name__ == "__main__":
    main()
