"""Makes the goldens of SmolLM2 itself on `tests/fixtures/text.txt`.

    python tests/golden/smollm2_text.py SMOLLM2_DIR     # the directory that smollm2_directory.py made

The text was written for this project. Writes under `tests/fixtures/smollm2/`:
- `perplexity.json`: windows of 512 tokens, the first 4, every token after each window's
  first scored, float32, eager attention;
- `logits.json`: a prompt of 40 tokens of the text, and for each position the 8 best ids
  with their logits, best first.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from common import FIXTURES, write_json

TEXT = FIXTURES / "text.txt"
WINDOW, WINDOWS, PROMPT, BEST = 512, 4, 40, 8


def load(model_dir):
    tok = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager").eval()
    return tok, model


@torch.no_grad()
def golden(model_dir):
    tok, model = load(model_dir)
    text = TEXT.read_bytes().decode()
    ids = torch.tensor(tok(text, add_special_tokens=False)["input_ids"])
    out = FIXTURES / "smollm2"
    out.mkdir(exist_ok=True)
    write_json(out / "perplexity.json", perplexity(model, ids), indent=1)
    prompt = ids[WINDOW * WINDOWS :][:PROMPT]
    best = model(prompt[None]).logits[0].topk(BEST)
    rows = [{"ids": i.tolist(), "logits": v.tolist()} for i, v in zip(best.indices, best.values)]
    write_json(out / "logits.json", {"ids": prompt.tolist(), "best": rows})


def perplexity(model, ids):
    nll = []
    for w in range(WINDOWS):
        x = ids[w * WINDOW : (w + 1) * WINDOW]
        nll.append(torch.nn.functional.cross_entropy(model(x[None]).logits[0, :-1].double(), x[1:], reduction="none"))
    mean = torch.cat(nll).mean()
    return {
        "context": WINDOW,
        "windows": WINDOWS,
        "tokens": sum(map(len, nll)),
        "nll": mean.item(),
        "ppl": mean.exp().item(),
        "nll_per_window": [n.mean().item() for n in nll],
        "text_tokens": len(ids),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden(*sys.argv[1:])
