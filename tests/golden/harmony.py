"""Makes a model that talks as gpt-oss does, and what transformers makes of conversations with it.

    python tests/golden/harmony.py

Writes `tests/fixtures/harmony/`: a model directory of gpt-oss with a small tokenizer of its kind,
but without the template, which is `fixtures/chat/gpt_oss.jinja`; and `conversations.json`:
- `date`, `thought`, `answer`: the day of the conversations, and what the model says whatever it is
  asked, when the likeliest token is taken;
- `cases`: a list of `{messages, ids, open_ids, undated_ids}`, the last without the line of the date.

What follows a token depends on that token: the output matrix finds the embedding of the token
before. Attention and experts are random, and small beside it.
"""

import datetime
import json
import re
import shutil

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, trainers, pre_tokenizers

from common import FIXTURES, save_tokenizer, split_then_bytes, write_json
from smollm2_messages import encode
from vocabularies import CONTRACTION, cased

OUT = FIXTURES / "harmony"
TEMPLATE = (FIXTURES / "chat" / "gpt_oss.jinja").read_text()
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|return|>", "<|constrain|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>"]
DATE = datetime.date(2026, 1, 31)
THOUGHT, ANSWER = "QUB?7 vx", "Hi,you!"
CONTENTS = ["Hello!", "What is 12 + 30?", "It is 42.", "Und auf Deutsch?\n", " So viel: 42.", "漢字, don't", "<|end|> is text here"]


def tokenizer():
    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer, tok.decoder = split_then_bytes(cased(CONTRACTION, r"\p{N}{1,3}")), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    system = re.findall(r'"([^"<]+)"', TEMPLATE[TEMPLATE.index("System Message Construction") :])
    corpus = [*system, *["assistant analysis final user system developer commentary"] * 20]
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    return tok


def chain(tok):
    """The ids that follow one another, from the end of a prompt on."""
    plain = lambda text: tok.encode(text, add_special_tokens=False).ids  # noqa: E731
    ids = [*plain("assistant"), *plain(THOUGHT), *plain("<|channel|>final<|message|>"), *plain(ANSWER), *plain("<|return|>")]
    assert len(plain("assistant")) == 1 and len(set(ids)) == len(ids), f"each token is followed by one other: {[tok.decode([i], skip_special_tokens=False) for i in ids]}"
    return ids


def model(tok):
    vocab, dim = tok.get_vocab_size(), 32
    config = transformers.GptOssConfig(
        vocab_size=vocab, hidden_size=dim, intermediate_size=32, head_dim=16, num_attention_heads=2, num_key_value_heads=1,
        num_hidden_layers=2, num_local_experts=2, num_experts_per_tok=1, sliding_window=8, max_position_embeddings=2048,
        eos_token_id=vocab - len(SPECIAL) + SPECIAL.index("<|return|>"), pad_token_id=None,
        rope_parameters={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "rope_theta": 1e4, "truncate": False},
    )  # fmt: skip
    torch.manual_seed(1)
    made = transformers.GptOssForCausalLM(config)
    embedding = torch.randint(0, 2, (vocab, dim)) * 2.0 - 1
    output = torch.randn(vocab, dim) * 0.1
    ids = chain(tok)
    for before, after in zip(ids, ids[1:]):
        output[after] = embedding[before]
    made.model.embed_tokens.weight.data, made.lm_head.weight.data = embedding, output
    return made.bfloat16()


def hugging_face(tok):
    ends = {"eos_token": "<|return|>", "bos_token": "<|startoftext|>", "pad_token": "<|endoftext|>"}
    tok = Dated(tokenizer_object=tok, chat_template=TEMPLATE, **ends)
    tok.markup_tokens = SPECIAL
    return tok


class Dated(transformers.PreTrainedTokenizerFast):
    """With another day than today, or none, which transformers has no way to say."""

    date = DATE

    def apply_chat_template(self, *args, **kwargs):
        text = super().apply_chat_template(*args, **kwargs)
        assert text.count("Current date: ") == 1
        return re.sub(r"Current date: .*\n", f"Current date: {self.date}\n" if self.date else "", text)


def ids(tok, messages, open_turn, date=DATE):
    tok.date = date
    # Empty instructions are none to the template, which their stand-in is not.
    out = encode(tok, [m for m in messages if m["role"] != "system" or m["content"]], open_turn)
    if not any(t in m["content"] for m in messages for t in SPECIAL):
        text = tok.apply_chat_template(messages, tokenize=False, add_generation_prompt=open_turn)
        assert tok(text, add_special_tokens=False)["input_ids"] == out
    return out


def conversations():
    say = lambda role, content: {"role": role, "content": content}  # noqa: E731
    yield [say("user", CONTENTS[0])]
    yield [say("system", "Be brief."), say("user", CONTENTS[1])]
    yield [say("user", c) if i % 2 == 0 else say("assistant", c) for i, c in enumerate(CONTENTS[:5])]
    yield [say("system", " Be kind.\n")] + [say("user", c) if i % 2 == 0 else say("assistant", c) for i, c in enumerate(CONTENTS[4:])]
    yield [say("system", ""), say("user", CONTENTS[5])]
    yield [say("system", CONTENTS[6]), say("user", CONTENTS[6])]
    yield [say("user", "hello there"), say("assistant", ANSWER), say("user", "and you"), say("assistant", ANSWER)]


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    tok = tokenizer()
    made = model(tok)
    made.save_pretrained(OUT)
    write_json(OUT / "generation_config.json", {"eos_token_id": [tok.token_to_id(t) for t in ["<|return|>", "<|endoftext|>", "<|call|>"]]})
    save_tokenizer(tok, OUT / "tokenizer.json")
    write_json(OUT / "tokenizer_config.json", {"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>"})
    hf = hugging_face(tok)
    cases = []
    for messages in conversations():
        case = {"messages": messages, "ids": ids(hf, messages, False), "open_ids": ids(hf, messages, True), "undated_ids": ids(hf, messages, True, None)}
        cases.append(case)
    write_json(OUT / "conversations.json", {"date": str(DATE), "thought": THOUGHT, "answer": ANSWER, "cases": cases})
    prompt = torch.tensor([cases[0]["open_ids"]])
    said = made.float().generate(prompt, do_sample=False, max_new_tokens=60, eos_token_id=chain(tok)[-1])[0, prompt.shape[1] :]
    print(tok.get_vocab_size(), "tokens;", repr(tok.decode(said.tolist(), skip_special_tokens=False)))
    assert said.tolist() == chain(tok)[1:]


if __name__ == "__main__":
    main()
