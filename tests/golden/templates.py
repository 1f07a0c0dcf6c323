"""Renders chat templates with transformers' own Jinja, for the chat programs to be held against.

    python tests/golden/templates.py

Writes `tests/fixtures/chat/rendered.json`, a list of `{template, open, messages, text}` for
the templates beside it; `text` is null where the template refuses. A system message that it
refuses is put before the first message, as the authors of Gemma and Mistral do. `bos_token` is `<s>` and
`eos_token` `</s>`. The date that llama31 asks for is the one that it falls back to; gpt_oss, which
falls back to none, gets a last day of January.
"""

import datetime

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template

from common import FIXTURES, write_json

OUT = FIXTURES / "chat"
CONTENTS = ["Hello!", "", " \n both \u3000\n", "\x1cspace to Python\x1f", "{{ x }}</s><|im_end|>\n", "漢字\r\n", "don't"]
SYSTEMS = [None, "Be brief.", "", " \n", " padded "]


def conversations():
    for i in range(14):
        system = SYSTEMS[i % len(SYSTEMS)]
        messages = [] if system is None else [{"role": "system", "content": system}]
        for k in range(1 + i % 5):
            role = ("user", "assistant")[k % 2]
            messages.append({"role": role, "content": CONTENTS[(i + 3 * k) % len(CONTENTS)]})
        yield messages


def rendered(template, messages, open_turn):
    given = {"strftime_now": datetime.date(2026, 1, 31).strftime} if template.asks_date else {}
    given |= {"bos_token": "<s>", "eos_token": "</s>", "date_string": "26 Jul 2024", "tools": None, "documents": None}
    try:
        return template.render(messages=messages, add_generation_prompt=open_turn, **given)
    except jinja2.exceptions.TemplateError:
        return merged(template, messages, open_turn) if messages[0]["role"] == "system" else None


def merged(template, messages, open_turn):
    """With the system message as the beginning of the first, both trimmed if messages are."""
    trims = " x " not in rendered(template, [{"role": "user", "content": " x "}], True)
    system, first = (m["content"].strip() if trims else m["content"] for m in messages[:2])
    first = f"{system}\n\n{first}" if system else first
    text = rendered(template, [{"role": "user", "content": "\ue000"}, *messages[2:]], open_turn)
    return text.replace("\ue000", first)


def main():
    out = []
    for path in sorted(OUT.glob("*.jinja")):
        template = _compile_jinja_template(path.read_text())
        template.asks_date = path.stem == "gpt_oss"
        for i, messages in enumerate(conversations()):
            open_turn = i % 4 != 3
            text = rendered(template, messages, open_turn)
            out.append({"template": path.stem, "open": open_turn, "messages": messages, "text": text})
    write_json(OUT / "rendered.json", out)
    print(len(out), "renderings,", sum(o["text"] is None for o in out), "refused")


if __name__ == "__main__":
    main()
