"""The sources in f32: as published, and with the lattice of their values broken.

What is published has been quantized before, so that a format with the same lattice gives it back
without any error and looks better than it is. In `broken` channels are multiplied by random factors
and divided by them where they are read: the same function, with values that lie on no lattice. One
set of factors is one throw of dice, and which of two ways of rounding is ahead may change with it:
`broken-2`, `broken-3` … are others.
"""

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.quants import dequantize

from divergence.base import say
from divergence.published import fetch

LOW, HIGH = 0.7, 1.4
DROPPED = {"general.architecture", "general.file_type", "general.quantization_version"}  # the writer's own


def source(setup, model, kind):
    """The GGUF in f32, made if it is not there."""
    out = setup.folder("sources") / f"{model.name}.{kind}.f32.gguf"
    if not out.exists():
        say(f"making {out.name}")
        reader = GGUFReader(fetch(setup, model))
        write(reader, {} if kind == "published" else broken(reader, seed(kind)), out)
    return out


def check(kind):
    """Whether there is such a source."""
    if kind != "published":
        seed(kind)


def seed(kind):
    """The seed of the factors: 1 of `broken`, N of `broken-N`."""
    name, _, number = kind.partition("-")
    if name != "broken" or not (number or "1").isdigit():
        raise SystemExit(f"{kind}: a source is published, broken or broken-N")
    return int(number or 1)


def write(reader, factors, out):
    """All of a GGUF in f32, with its tensors multiplied by (factors of rows, factors of columns)."""
    part = out.with_suffix(".part")
    writer = GGUFWriter(part, reader.get_field("general.architecture").contents())
    copy_metadata(reader, writer)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    if "output.weight" in factors:
        tensors.setdefault("output.weight", tensors["token_embd.weight"])
    for name, tensor in tensors.items():
        shape = tuple(int(n) for n in reversed(tensor.shape))
        writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * int(np.prod(shape)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in tensors.items():
        writer.write_tensor_data(values(tensor, *factors.get(name, (1, 1))))
    writer.close()
    part.rename(out)


def copy_metadata(reader, writer):
    for field in reader.fields.values():
        if field.name in DROPPED or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    writer.add_file_type(LlamaFileType.ALL_F32)


def values(tensor, rows, columns):
    """A tensor in f32, multiplied in f64."""
    plain = dequantize(tensor.data, tensor.tensor_type)
    if np.ndim(rows) == 0 and np.ndim(columns) == 0:
        return np.ascontiguousarray(plain, np.float32)
    if plain.ndim == 2 and np.ndim(rows):
        rows = rows[:, None]
    return (plain.astype(np.float64) * rows * columns).astype(np.float32)


class Shape:
    """The sizes of a model that its factors need."""

    def __init__(self, reader):
        arch = reader.get_field("general.architecture").contents()
        get = lambda key: reader.get_field(f"{arch}.{key}")  # noqa: E731
        self.layers, self.width = get("block_count").contents(), get("embedding_length").contents()
        self.inner = get("feed_forward_length").contents()
        heads = get("attention.head_count").contents()
        self.kv_heads = get("attention.head_count_kv").contents()
        self.group = heads // self.kv_heads
        head = get("attention.value_length")
        self.head = head.contents() if head else self.width // heads


def broken(reader, seed):
    """Tensor name: (factors of its rows, factors of its columns)."""
    shape, rng, factors = Shape(reader), np.random.default_rng(seed), {}
    draw = lambda count: np.exp(rng.uniform(np.log(LOW), np.log(HIGH), count))  # noqa: E731

    def fold(factor, writes, reads, read_factor=None):
        """Rows of `writes` times the factor, columns of `reads` divided by it."""
        for name in writes:
            rows, columns = factors.get(name, (1, 1))
            factors[name] = rows * factor, columns
        for name in reads:
            rows, columns = factors.get(name, (1, 1))
            factors[name] = rows, columns / (factor if read_factor is None else read_factor)

    for layer in range(shape.layers):
        name = lambda part: f"blk.{layer}.{part}"  # noqa: E731
        fold(draw(shape.width), [name("attn_norm.weight")], [name(f"attn_{x}.weight") for x in "qkv"])
        fold(draw(shape.width), [name("ffn_norm.weight")], [name(f"ffn_{x}.weight") for x in ("gate", "up")])
        fold(draw(shape.inner), [name("ffn_up.weight")], [name("ffn_down.weight")])
        value = draw(shape.kv_heads * shape.head)
        shared = np.repeat(value.reshape(shape.kv_heads, 1, shape.head), shape.group, axis=1).ravel()
        fold(value, [name("attn_v.weight"), name("attn_v.bias")], [name("attn_output.weight")], shared)
    fold(draw(shape.width), ["output_norm.weight"], ["output.weight"])
    return factors
