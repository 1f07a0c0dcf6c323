"""Runs one GGUF with libllama in a process of its own: `libllama.py MODEL.gguf CACHE THREADS LENGTH`.

Reads lines {"ids": …, "scored": …, "out": FILE}, writes the logits of the scored positions to FILE and
answers each with a line `done`. PYTHONPATH must have the package llama_cpp, LLAMA_CPP_LIB_PATH the libraries.
"""

import json
import sys

import llama_cpp.llama_cpp as ll
import numpy as np

QUANTIZED = {"q8_0", "q4_0"}  # caches that need flash attention


@ll.llama_log_callback
def quiet(level, text, data):
    if level == 4:  # an error
        sys.stderr.write(text.decode(errors="replace"))


def opened(path, cache, threads, length):
    ll.llama_log_set(quiet, None)
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    params = ll.llama_context_default_params()
    params.n_ctx = params.n_batch = max(length, 512)
    params.n_threads = params.n_threads_batch = threads
    params.type_k = params.type_v = getattr(ll, f"GGML_TYPE_{cache.upper()}")
    params.flash_attn_type = int(cache in QUANTIZED)
    context = model and ll.llama_init_from_model(model, params)
    if not context:
        raise SystemExit(f"libllama cannot run {path}")
    return context, ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))


def logits(context, vocabulary, ids):
    """After every token: a view of libllama's own memory."""
    ll.llama_memory_clear(ll.llama_get_memory(context), True)
    batch = ll.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for place, token in enumerate(ids):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    failed = ll.llama_decode(context, batch)
    ll.llama_batch_free(batch)
    if failed:
        raise SystemExit(f"llama_decode: {failed}")
    return np.ctypeslib.as_array(ll.llama_get_logits(context), (len(ids), vocabulary))


def main():
    path, cache, threads, length = sys.argv[1:]
    context, vocabulary = opened(path, cache, int(threads), int(length))
    for line in sys.stdin:
        asked = json.loads(line)
        np.save(asked["out"], logits(context, vocabulary, asked["ids"])[asked["scored"]])
        print("done", flush=True)


if __name__ == "__main__":
    main()
