"""Makes tiny random Llama models quantized as they are published, and what transformers says of them.

    python tests/golden/tiny_quantized.py [NAME ...]

Writes `tests/fixtures/tiny/quantized-NAME/` as `tiny_llama.py` does, which describes the files. Matrices
are packed by the tools whose formats these are. The golden is of the floats that the same tools read
out of what they packed, in float32; `golden_values.json` has the SHA-256 of each of those matrices
(little-endian float32).
"""

import hashlib
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

import tiny_llama
from common import FIXTURES, write_json

LINEAR = re.compile(r"\.(q|k|v|o|gate|up|down)_proj\.weight$")


def integers(w, bits, group, symmetric):
    """Scales and zero points `(rows, groups)` of a matrix, as a plain quantizer has them."""
    group = w.shape[1] if group < 0 else group
    parts = w.float().reshape(w.shape[0], -1, group)
    top = 2**bits - 1
    if symmetric:
        scale = parts.abs().amax(-1) / (top // 2)
        zero = torch.full_like(scale, (top + 1) // 2)
    else:
        low, high = parts.amin(-1).clamp(max=0), parts.amax(-1).clamp(min=0)
        scale = (high - low) / top
        zero = (-low / scale).round().clamp(0, top)
    return scale, zero


class Gptq:
    """GPTQ, packed by gptqmodel."""

    def __init__(self, bits=4, group=32, symmetric=True, order=False, version=1):
        self.bits, self.group, self.symmetric, self.order, self.version = bits, group, symmetric, order, version

    def config(self):
        return {
            "quant_method": "gptq", "bits": self.bits, "group_size": self.group, "desc_act": self.order,
            "sym": self.symmetric, "lm_head": False, "pack_dtype": "int32", "true_sequential": True,
            "checkpoint_format": "gptq" if self.version == 1 else "gptq_v2", "meta": {"quantizer": ["gptqmodel:7.7.0"]},
        }

    def pack(self, name, w):
        from gptqmodel.nn_modules.qlinear.torch import TorchLinear
        from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module

        rows, cols = w.shape
        group = cols if self.group < 0 else self.group
        order = torch.randperm(cols, generator=torch.Generator().manual_seed(len(name))) if self.order else torch.arange(cols)
        scale, zero = integers(w[:, order], self.bits, self.group, self.symmetric)
        scale = scale.half().float()
        g_idx = torch.empty(cols, dtype=torch.int32)
        g_idx[order] = (torch.arange(cols) // group).int()
        linear = torch.nn.Linear(cols, rows, bias=False)
        linear.weight.data = w.float()
        layer = TorchLinear(self.bits, self.group, self.symmetric, self.order, cols, rows, register_buffers=True)
        layer.pack(linear, scale, zero, g_idx)
        layer.eval()
        layer.post_init()
        stored = layer.scales.clone()
        layer.scales, layer.dequant_dtype = layer.scales.float(), torch.int32
        floats = layer.dequantize_weight().float().T.contiguous()
        if self.version == 1:
            convert_gptq_v2_to_v1_format_module(layer, SimpleNamespace(bits=self.bits, pack_dtype=torch.int32))
        module = name.removesuffix(".weight")
        parts = {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": stored, "g_idx": layer.g_idx}
        return {f"{module}.{part}": t.clone().contiguous() for part, t in parts.items()}, floats


class Awq:
    """AWQ, packed by gptqmodel as AutoAWQ does."""

    def config(self):
        return {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm", "modules_to_not_convert": None}

    def pack(self, name, w):
        from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
        from gptqmodel.quantization.awq.utils.packing_utils import reverse_awq_order, unpack_awq

        scale, zero = integers(w, 4, 32, False)
        scale = scale.half()
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        # What rounds to 16 would spill into the next code.
        low, high = ((k - zero) * scale.float() for k in (0, 15))
        linear.weight.data = w.float().clamp(low.repeat_interleave(32, 1), high.repeat_interleave(32, 1))
        layer = AwqTorchLinear(4, 32, False, False, w.shape[1], w.shape[0], register_buffers=True)
        layer.pack(linear, scale, zero)
        codes, zeros = reverse_awq_order(*unpack_awq(layer.qweight, layer.qzeros, 4), 4)
        codes, zeros = codes & 15, (zeros & 15).repeat_interleave(32, 0)
        floats = ((codes.float() - zeros.float()) * layer.scales.float().repeat_interleave(32, 0)).T.contiguous()
        module = name.removesuffix(".weight")
        return {f"{module}.{part}": getattr(layer, part).clone().contiguous() for part in ("qweight", "qzeros", "scales")}, floats


class CompressedTensors:
    """compressed-tensors, packed by itself."""

    def __init__(self, format, **weights):
        self.format, self.weights = format, {"symmetric": True, "dynamic": False} | weights

    def scheme(self):
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

        return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**self.weights))

    def config(self):
        group = {"targets": ["Linear"], "weights": self.weights, "input_activations": None, "output_activations": None, "format": self.format}
        return {
            "quant_method": "compressed-tensors", "format": self.format, "config_groups": {"group_0": group}, "ignore": ["lm_head"],
            "quantization_status": "compressed", "kv_cache_scheme": None, "sparsity_config": {}, "transform_config": {},
        }

    def scales(self, w):
        """Parts beside the weight, as observers leave them."""
        a = self.weights
        if a["type"] == "int":
            scale, zero = integers(w, a["num_bits"], a.get("group_size") or -1, a["symmetric"])
            parts = {"weight_scale": scale.to(w.dtype)}
            if not a["symmetric"]:
                parts["weight_zero_point"] = (zero - 2 ** (a["num_bits"] - 1)).to(torch.int8)
            return parts
        if a["num_bits"] == 8:
            return {"weight_scale": (w.float().abs().amax(1, keepdim=True) / 448).to(w.dtype)}
        peaks = w.float().reshape(w.shape[0], -1, a["group_size"]).abs().amax(-1)
        if a["group_size"] == 32:
            return {"weight_scale": 2 ** (torch.log2(peaks).floor() - 2)}
        whole = 448 * 6 / w.float().abs().max()
        scale = (peaks / 6 * whole).to(torch.float8_e4m3fn).float()
        return {"weight_scale": scale, "weight_global_scale": whole.reshape(1)}

    def floats(self, parts):
        """Of NVFP4, which the compressor itself reads in bf16."""
        from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
        from compressed_tensors.quantization.lifecycle.forward import dequantize

        packed = parts["weight_packed"]
        codes = unpack_fp4_from_uint8(packed, packed.shape[0], 2 * packed.shape[1], dtype=torch.float32)
        scale, whole = parts["weight_scale"].float(), parts["weight_global_scale"]
        return dequantize(x_q=codes, scale=scale, args=self.scheme().weights, global_scale=whole, dtype=torch.float32)

    def pack(self, name, w):
        from compressed_tensors.compressors.base import BaseCompressor

        compressor = BaseCompressor.get_value_from_registry(self.format)
        parts = compressor.compress({"weight": w.clone()} | self.scales(w), self.scheme())
        wide = {k: v.float() if k == "weight_scale" and v.dtype == w.dtype else v for k, v in parts.items()}
        floats = compressor.decompress(wide, self.scheme())["weight"].float()
        if "weight_global_scale" in parts:
            floats = self.floats(parts)
        module = name.removesuffix(".weight")
        return {f"{module}.{part}": torch.as_tensor(t).contiguous() for part, t in parts.items()}, floats


class Fp8Blocks:
    """DeepSeek's: a scale for each block of 128 rows and columns, which multiplies."""

    def config(self):
        return {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}

    def pack(self, name, w):
        rows, cols = w.shape
        padded = torch.nn.functional.pad(w.float(), (0, -cols % 128, 0, -rows % 128))
        blocks = padded.reshape(padded.shape[0] // 128, 128, padded.shape[1] // 128, 128)
        scale = blocks.abs().amax((1, 3)) / 448
        wide = scale.repeat_interleave(128, 0).repeat_interleave(128, 1)[:rows, :cols]
        codes = (w.float() / wide).to(torch.float8_e4m3fn)
        return {name: codes, name + "_scale_inv": scale}, codes.float() * wide


class Mlx:
    """MLX, packed by itself; the embedding too."""

    def __init__(self, bits, group, own=None):
        self.common, self.own = {"group_size": group, "bits": bits, "mode": "affine"}, own or {}

    def config(self):
        return self.common | self.own

    def wants(self, name):
        return LINEAR.search(name) or name.endswith("embed_tokens.weight")

    def pack(self, name, w):
        import mlx.core as mx

        module = name.removesuffix(".weight")
        s = self.own.get(module, self.common)
        matrix = mx.array(w.float().numpy()).astype(mx.bfloat16)
        parts = mx.quantize(matrix, group_size=s["group_size"], bits=s["bits"])
        wide = [parts[0]] + [part.astype(mx.float32) for part in parts[1:]]
        floats = torch.from_numpy(np.array(mx.dequantize(*wide, group_size=s["group_size"], bits=s["bits"])))
        codes = torch.from_numpy(np.array(parts[0]).view(np.int32)).view(torch.uint32)
        rest = [torch.from_numpy(np.array(part)).bfloat16() for part in wide[1:]]
        return {f"{module}.{part}": t for part, t in zip(("weight", "scales", "biases"), [codes, *rest])}, floats


class Nf4:
    """bitsandbytes of 4 bits, whose scales are quantized too."""

    def config(self):
        return {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}

    def pack(self, name, w):
        import bitsandbytes.functional as F

        codes, state = F.quantize_4bit(w.float(), quant_type="nf4", compress_statistics=True, blocksize=64)
        floats = F.dequantize_4bit(codes, state).float()
        return {name: codes} | {f"{name}.{part}": t for part, t in state.as_dict(packed=True).items()}, floats


class Int8:
    """bitsandbytes of 8 bits."""

    def config(self):
        return {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}

    def pack(self, name, w):
        import bitsandbytes.functional as F

        codes, scales, _ = F.int8_vectorwise_quant(w.half())
        module = name.removesuffix(".weight")
        parts = {name: codes, f"{module}.SCB": scales, f"{module}.weight_format": torch.tensor(0, dtype=torch.uint8)}
        return parts, codes.float() * (scales.float() * torch.tensor(1 / 127, dtype=torch.float32)).unsqueeze(1)


FEW = {"type": "int", "num_bits": 4, "strategy": "group"}
CASES = {
    "gptq": ("GPTQ, symmetric", "float16", Gptq()),
    "gptq-zeros": ("GPTQ of the second version, with zero points and groups of 64", "float16", Gptq(group=64, symmetric=False, version=2)),
    "gptq-zeros-v1": ("GPTQ of the first version, with zero points", "float16", Gptq(symmetric=False)),
    "gptq-order": ("GPTQ whose groups are no neighbours", "float16", Gptq(order=True)),
    "gptq-8": ("GPTQ in 8 bits, one scale a row", "bfloat16", Gptq(bits=8, group=-1)),
    "gptq-3": ("GPTQ in 3 bits", "float16", Gptq(bits=3)),
    "awq": ("AWQ", "float16", Awq()),
    "ct-int4": ("compressed-tensors: packed, symmetric", "bfloat16", CompressedTensors("pack-quantized", group_size=32, **FEW)),
    "ct-zeros": ("compressed-tensors: packed, zero points", "bfloat16", CompressedTensors("pack-quantized", group_size=64, **FEW | {"symmetric": False})),
    "ct-int8": ("compressed-tensors: int8 by rows", "bfloat16", CompressedTensors("int-quantized", type="int", num_bits=8, strategy="channel")),
    "ct-fp8": ("compressed-tensors: FP8 by rows", "bfloat16", CompressedTensors("float-quantized", type="float", num_bits=8, strategy="channel")),
    "ct-nvfp4": ("compressed-tensors: NVFP4", "bfloat16", CompressedTensors("nvfp4-pack-quantized", type="float", num_bits=4, strategy="tensor_group", group_size=16)),
    "ct-mxfp4": ("compressed-tensors: MXFP4", "bfloat16", CompressedTensors("mxfp4-pack-quantized", type="float", num_bits=4, strategy="group", group_size=32)),
    "fp8-blocks": ("FP8 in blocks of 128 times 128", "bfloat16", Fp8Blocks()),
    "mlx-4": ("MLX in 4 bits, the embedding too", "bfloat16", Mlx(4, 64, {"model.layers.0.self_attn.v_proj": {"group_size": 32, "bits": 6, "mode": "affine"}})),
    "mlx-8": ("MLX in 8 bits", "bfloat16", Mlx(8, 32)),
    "nf4": ("bitsandbytes NF4, its scales quantized too", "bfloat16", Nf4()),
    "int8": ("bitsandbytes int8", "float16", Int8()),
}


def build(c):
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=64, intermediate_size=192, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
            vocab_size=260, max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=256, eos_token_id=257,
        )
    )


def save(out, c, seed):
    tiny_llama.save_model(out, c, seed, build)
    path, method = out / "model.safetensors", c["method"]
    wants = getattr(method, "wants", LINEAR.search)
    tensors, floats, hashes = {}, {}, {}
    for name, tensor in load_file(path).items():
        if not wants(name):
            tensors[name], floats[name] = tensor, tensor.float()
            continue
        parts, floats[name] = method.pack(name, tensor)
        assert (floats[name] - tensor.float()).abs().max() < 0.5 * tensor.float().abs().max(), name
        tensors |= parts
        # Adding 0 makes 0 of −0.
        hashes[name] = hashlib.sha256((floats[name].contiguous() + 0.0).numpy().astype("<f4").tobytes()).hexdigest()
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)
    config = json.loads((out / "config.json").read_text())
    config["quantization" if isinstance(method, Mlx) else "quantization_config"] = method.config()
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    write_json(out / "golden_values.json", hashes, indent=1)
    c["floats"] = floats


def load(out, c, dtype=torch.float32):
    model = build(c).to(dtype).eval()
    state = {name: tensor.to(dtype) for name, tensor in c["floats"].items()}
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert missing in ([], ["lm_head.weight"]), missing
    model.tie_weights()
    return model


def main(wanted):
    tiny_llama.load = load
    torch.set_num_threads(1)
    for number, (name, (note, dtype, method)) in enumerate(CASES.items()):
        if wanted and name not in wanted:
            continue
        c = dict(note=note, dtype=dtype, method=method, vocab=260, first=40, kv=2)
        out = FIXTURES / "tiny" / f"quantized-{name}"
        for attempt in range(20):
            tiny_llama.shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            save(out, c, 9000 + 100 * number + attempt)
            if tiny_llama.golden(out, c, 9000 + 100 * number + attempt):
                break
        else:
            raise SystemExit(f"{name}: no seed gives a clear greedy continuation")


if __name__ == "__main__":
    main(sys.argv[1:])
