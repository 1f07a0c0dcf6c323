#!/usr/bin/env python3
"""Reports which chat templates a conversion can follow, and why it cannot follow the others.

    python3 tests/accuracy/chat_templates.py DIR [--bin target/release]

DIR holds `.jinja` files: llama.cpp has those of many published models in `models/templates`, also
inside the source package of `llama-cpp-python` on PyPI. Each is put beside the weights of a tiny model, which
is converted; nothing of DIR is kept. One line a template, then how many chat.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests/fixtures/tiny/gqa"
REFUSED = "warning: chat will not work with this model: "


def verdict(convert, template, folder):
    """None if the template can be followed, else the reason."""
    model = folder / "model"
    shutil.copytree(MODEL, model, dirs_exist_ok=True)
    shutil.copy(template, model / "chat_template.jinja")
    done = subprocess.run([convert, model, "-o", folder / "out.oar"], capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr.strip()
    reasons = [line.removeprefix(REFUSED) for line in done.stderr.splitlines() if line.startswith(REFUSED)]
    return reasons[0] if reasons else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("templates", type=Path, metavar="DIR")
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release", help="folder of our programs")
    args = parser.parse_args()
    templates = sorted(args.templates.glob("*.jinja"))
    chat = 0
    with tempfile.TemporaryDirectory() as folder:
        for template in templates:
            why = verdict(args.bin / "oarlock-convert", template, Path(folder))
            chat += why is None
            print(f"{template.stem}: {why or 'chats'}")
    print(f"{chat} of {len(templates)} chat")


if __name__ == "__main__":
    main()
