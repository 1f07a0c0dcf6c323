"""Writes the device tree that a Raspberry Pi's firmware would hand over, in little.

Devicetree Specification v0.4, chapter 5. The emulator adds memory, command line and where
the model lies, as the firmware does.
"""

import struct


def tree(model):
    strings, structure = bytearray(), bytearray()

    def padded(data):
        return data + bytes(-len(data) % 4)

    def node(name):
        structure.extend(struct.pack(">I", 1) + padded(name.encode() + b"\0"))

    def prop(name, value):
        structure.extend(struct.pack(">III", 3, len(value), len(strings)) + padded(value))
        strings.extend(name.encode() + b"\0")

    def end():
        structure.extend(struct.pack(">I", 2))

    node("")
    prop("#address-cells", struct.pack(">I", 2))
    prop("#size-cells", struct.pack(">I", 1))
    prop("model", model.encode() + b"\0")
    node("chosen")
    end()
    node("memory@0")
    prop("device_type", b"memory\0")
    prop("reg", struct.pack(">QI", 0, 0))
    end()
    end()
    structure.extend(struct.pack(">I", 9))
    reserved = bytes(16)
    start = 40 + len(reserved)
    texts = start + len(structure)
    head = struct.pack(
        ">10I", 0xD00DFEED, texts + len(strings), start, texts, 40, 17, 16, 0,
        len(strings), len(structure),
    )
    return head + reserved + bytes(structure) + bytes(strings)
