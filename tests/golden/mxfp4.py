"""Stores experts as gpt-oss was published: numbers of 4 bits in blocks of 32, and their scales.

`transformers` would read them itself where `accelerate` is installed, to bf16; here its function
that makes floats of blocks is called, so that the model is the same in float32 and in float64.
"""

import json
import re

import torch
from safetensors.torch import load_file, save_file
from transformers import GptOssConfig, GptOssForCausalLM
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

EXPERTS = re.compile(r"\.experts\.(gate_up|down)_proj$")
QUANTIZATION = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"]}


def blocks(shape, rng):
    """Random blocks and scales of matrices whose outputs are about as large as their inputs."""
    experts, inputs, outputs = shape
    blocks = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), generator=rng, dtype=torch.uint8)
    # Levels have a standard deviation of 2.9: 2 ** -5 with 64 inputs makes that 0.7.
    scales = torch.randint(127 - 6, 127 - 3, blocks.shape[:3], generator=rng, dtype=torch.uint8)
    return blocks, scales


def save(model, out):
    """Writes the model with random experts of that type in place of its own."""
    model.save_pretrained(out)
    path = out / "model.safetensors"
    rng, tensors = torch.Generator().manual_seed(4), {}
    for name, tensor in load_file(path).items():
        if EXPERTS.search(name):
            tensors[name + "_blocks"], tensors[name + "_scales"] = blocks(tensor.shape, rng)
        else:
            tensors[name] = tensor
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)
    config = json.loads((out / "config.json").read_text())
    config["quantization_config"] = QUANTIZATION
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load(out, dtype):
    config = GptOssConfig.from_pretrained(out, attn_implementation="eager", experts_implementation="eager")
    del config.quantization_config
    model = GptOssForCausalLM(config).to(dtype).eval()
    tensors = load_file(out / "model.safetensors")
    for name in [name for name in tensors if name.endswith("_blocks")]:
        scales = tensors.pop(name.replace("_blocks", "_scales"))
        # Exact in bf16: two bits beside a power of two.
        tensors[name.removesuffix("_blocks")] = convert_moe_packed_tensors(tensors.pop(name), scales)
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()})
    return model
