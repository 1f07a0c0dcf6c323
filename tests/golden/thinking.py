"""Makes a model that thinks between tags before it answers, and what transformers makes of conversations.

    python tests/golden/thinking.py

Writes `tests/fixtures/thinking/`: a model directory without a template, and `conversations.json`:
- `thought`, `answer`: what the model says whatever it is asked, when the likeliest token is taken;
- `cases`: for each template `fixtures/chat/think_*.jinja` that its tokens are for, `{template, messages, ids,
  open_ids}`; the messages are a conversation with the model, whose answers are given as it writes them,
  thoughts and all, where the template cuts those out; `open_ids` are without the last answer.

The tag that ends thoughts is no token of its own. As in `harmony.py`, what follows a token depends on that
token alone.
"""

import shutil

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, trainers, pre_tokenizers

from common import FIXTURES, QWEN2, save_tokenizer, split_then_bytes, write_json

OUT = FIXTURES / "thinking"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
THOUGHT, ANSWER = "QUB?7 vx", "Hi,you!"
CUT = {"think_opened": True, "think_closed": True, "think_itself": False}


def tokenizer():
    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer, tok.decoder = split_then_bytes(QWEN2), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    corpus = ["user assistant system think"] * 20 + ["</"] * 50
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tok.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    return tok


def plain(tok, text):
    return tok.encode(text, add_special_tokens=False).ids


def chain(tok):
    """The ids that follow one another, from the end of a prompt on."""
    parts = [":", "<think>", THOUGHT, "</think>", "\n", ANSWER, "<|im_end|>"]
    ids = [id for part in parts for id in plain(tok, part)]
    assert len(plain(tok, "</think>")) > 1 and len(set(ids)) == len(ids), [tok.id_to_token(i) for i in ids]
    return ids


def model(tok):
    vocab, dim = tok.get_vocab_size(), 64
    config = transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=dim, intermediate_size=32, num_attention_heads=2, num_key_value_heads=1,
        num_hidden_layers=2, max_position_embeddings=2048, eos_token_id=tok.token_to_id("<|im_end|>"), bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    torch.manual_seed(1)
    made = transformers.LlamaForCausalLM(config)
    embedding = torch.randint(0, 2, (vocab, dim)) * 2.0 - 1
    output = torch.randn(vocab, dim) * 0.1
    ids = chain(tok)
    for before, after in zip(ids, ids[1:]):
        output[after] = embedding[before]
    made.model.embed_tokens.weight.data, made.lm_head.weight.data = embedding, output
    return made.bfloat16()


def conversation(cut):
    answer = f"<think>{THOUGHT}</think>\n{ANSWER}" if cut else ANSWER
    say = lambda role, content: {"role": role, "content": content}  # noqa: E731
    turns = ["hello there", "and you", "why"]
    return [m for text in turns for m in (say("user", text), say("assistant", answer))]


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    tok = tokenizer()
    made = model(tok)
    made.save_pretrained(OUT)
    write_json(OUT / "generation_config.json", {"eos_token_id": [tok.token_to_id("<|im_end|>")]})
    save_tokenizer(tok, OUT / "tokenizer.json")
    write_json(OUT / "tokenizer_config.json", {"eos_token": "<|im_end|>"})
    cases = []
    for name, cut in CUT.items():
        template = (FIXTURES / "chat" / f"{name}.jinja").read_text()
        hf = transformers.PreTrainedTokenizerFast(tokenizer_object=tok, chat_template=template, eos_token="<|im_end|>")
        for system in (None, "Be brief."):
            all_of_them = ([] if system is None else [{"role": "system", "content": system}]) + conversation(cut)
            for n in (4, 2, 0):
                messages = all_of_them[: len(all_of_them) - n]
                texts = [hf.apply_chat_template(m, tokenize=False, add_generation_prompt=m != messages) for m in (messages, messages[:-1])]
                whole, open_ids = (plain(tok, text) for text in texts)
                cases.append({"template": name, "messages": messages, "ids": whole, "open_ids": open_ids})
    write_json(OUT / "conversations.json", {"thought": THOUGHT, "answer": ANSWER, "cases": cases})
    prompt = torch.tensor([cases[0]["open_ids"]])
    said = made.float().generate(prompt, do_sample=False, max_new_tokens=60, eos_token_id=chain(tok)[-1])[0, prompt.shape[1] :]
    print(tok.get_vocab_size(), "tokens;", repr(tok.decode(said.tolist(), skip_special_tokens=False)))
    assert said.tolist() == chain(tok)[2:]


if __name__ == "__main__":
    main()
