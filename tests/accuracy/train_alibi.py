"""Trains a small model with linear biases of positions, for the streams of docs/lab/streams.md.

    python tests/accuracy/train_alibi.py --text TEXT --out DIR [--minutes 8]

The Python environment is that of tests/golden/README.md. No such model can be had from a package
registry, and a random one prefers no token to another, so this trains one: MPT's architecture, 4
layers of 128, a byte-level BPE of 512 tokens, windows of 256 tokens from the first nine tenths of
TEXT, for as many minutes on one thread. Writes a model directory, and `held-out.txt`, the last tenth;
prints how much of the attention of late tokens the first one of a window gets.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MptConfig, MptForCausalLM

VOCAB, WINDOW, BATCH = 512, 256, 8
RATE, WARM_UP = 3e-3, 0.05  # the learning rate's peak, and the part of the time until there


def tokenizer(text):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tok.train_from_iterator(
        text.splitlines(keepends=True),
        trainers.BpeTrainer(vocab_size=VOCAB, initial_alphabet=alphabet, show_progress=False),
    )
    return tok


def model():
    config = MptConfig(
        d_model=128, n_heads=4, n_layers=4, expansion_ratio=4, max_seq_len=WINDOW, vocab_size=VOCAB,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    return MptForCausalLM(config)


def rate(done):
    """Up in a line, down in half a cosine, `done` of 1."""
    return done / WARM_UP if done < WARM_UP else 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def train(model, ids, minutes):
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.95), weight_decay=0.1)
    begin, step, running = time.process_time(), 0, math.log(VOCAB)
    while (done := (time.process_time() - begin) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate(done)
        starts = torch.randint(len(ids) - WINDOW, (BATCH,)).tolist()
        batch = torch.stack([ids[start : start + WINDOW] for start in starts])
        loss = model(batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, running = step + 1, running + 0.02 * (loss.item() - running)
        if step % 50 == 0:
            print(f"step {step}, {100 * done:.0f} % of the time, loss {running:.3f}", flush=True)


@torch.no_grad()
def look(model, ids, windows=24):
    """Shares of the attention of a window's last tokens, by head: of its first token, and of each of the next 32."""
    first, next_ones = 0.0, 0.0
    for batch in ids[: windows * WINDOW].reshape(windows, 1, WINDOW):
        late = torch.stack(model(batch, output_attentions=True).attentions)[:, 0, :, -56:]
        first, next_ones = first + late[..., 0].mean((0, 2)), next_ones + late[..., 1:33].mean((0, 2, 3))
    for head, shares in enumerate(zip(first / windows, next_ones / windows)):
        print(f"head {head}: first token {100 * shares[0]:.2g} %, each of the next {100 * shares[1]:.2g} %")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=8)
    args = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = args.text.read_text(encoding="utf-8")
    cut = text.index("\n", len(text) * 9 // 10) + 1
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "held-out.txt").write_text(text[cut:], encoding="utf-8")
    tok, net = tokenizer(text[:cut]), model()
    train(net, torch.tensor(tok.encode(text[:cut]).ids), args.minutes)
    tok.save(str(args.out / "tokenizer.json"))
    net.save_pretrained(args.out)
    look(net.eval(), torch.tensor(tok.encode(text[cut:]).ids))


if __name__ == "__main__":
    main()
