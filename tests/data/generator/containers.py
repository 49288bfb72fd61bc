# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Writers of safetensors checkpoints and GGUF files.

Both write a list of Tensor and hold only one chunk of one tensor in memory.
"""
import collections
import json
import os
import struct

import numpy as np

from .numbers import DTYPES

# name, type (of safetensors, or of GGUF), shape (outermost first), bytes, and a
# function that returns the data as an iterable of arrays.
Tensor = collections.namedtuple("Tensor", "name dtype shape size chunks")

# Types of GGUF: id, elements of a block, bytes of a block.
GGUF_TYPES = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18),
    "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18),
    "BF16": (30, 1, 2), "MXFP4": (39, 32, 17),
}
GGUF_ALIGNMENT = 32
FORMAT_PT = {"format": "pt"}


def tensor(name, dtype, array):
    """A tensor whose data is there."""
    return Tensor(name, dtype, array.shape, array.nbytes, lambda: [array])


def write_data(file, one):
    """Writes the data of a tensor, which must have its size."""
    written = 0
    for chunk in one.chunks():
        data = memoryview(np.ascontiguousarray(chunk).reshape(-1).view("u1"))
        file.write(data)
        written += len(data)
    if written != one.size:
        raise AssertionError("%s: %d bytes, not %d" %
                             (one.name, written, one.size))


# ------------------------------------------------------------- safetensors

def write_safetensors(path, tensors, metadata=None):
    """One file, its tensors in the order of the safetensors package: larger
    types first, then by name."""
    rank = list(DTYPES)
    tensors = sorted(tensors, key=lambda t: (-rank.index(t.dtype), t.name))
    header = {"__metadata__": FORMAT_PT if metadata is None else metadata}
    offset = 0
    for one in tensors:
        header[one.name] = {
            "dtype": one.dtype, "shape": list(one.shape),
            "data_offsets": [offset, offset + one.size]}
        offset += one.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=1 << 20) as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for one in tensors:
            write_data(file, one)


def split_by_size(tensors, n):
    """n lists of about the same number of bytes, none of them empty."""
    if n > len(tensors):
        raise ValueError("%d tensors for %d files" % (len(tensors), n))
    total = sum(t.size for t in tensors)
    parts = [[] for _ in range(n)]
    before = 0
    for i, one in enumerate(tensors):
        number = min(before * n // max(total, 1), n - 1)
        # Enough tensors must be left for the parts that have none.
        number = max(number, n - (len(tensors) - i))
        filled = sum(1 for part in parts if part)
        parts[min(number, filled)].append(one)
        before += one.size
    return parts


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_checkpoint(folder, tensors, n_shards, config):
    """config.json and model.safetensors, or shards and their index."""
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, "config.json"), config)
    if n_shards == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), tensors)
        return
    weight_map = {}
    for i, part in enumerate(split_by_size(tensors, n_shards)):
        name = "model-%05d-of-%05d.safetensors" % (i + 1, n_shards)
        write_safetensors(os.path.join(folder, name), part)
        weight_map.update((t.name, name) for t in part)
    write_json(os.path.join(folder, "model.safetensors.index.json"), {
        "metadata": {"total_size": sum(t.size for t in tensors)},
        "weight_map": dict(sorted(weight_map.items()))})


# -------------------------------------------------------------------- GGUF

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
U16 = 2
SCALARS = {U16: "<H", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(kind, value):
    return gguf_string(value) if kind == STRING else \
        struct.pack(SCALARS[kind], value)


def gguf_pair(key, kind, value):
    """A key and its value; a list becomes an array of that kind."""
    out = gguf_string(key)
    if not isinstance(value, list):
        return out + struct.pack("<I", kind) + gguf_value(kind, value)
    out += struct.pack("<IIQ", ARRAY, kind, len(value))
    return out + b"".join(gguf_value(kind, v) for v in value)


def write_gguf(path, pairs, tensors):
    """One GGUF file of version 3."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(pairs))]
    head += [gguf_pair(*pair) for pair in pairs]
    offset = 0
    for one in tensors:
        head.append(gguf_string(one.name))
        head.append(struct.pack("<I", len(one.shape)))
        head += [struct.pack("<Q", n) for n in reversed(one.shape)]
        head.append(struct.pack("<IQ", GGUF_TYPES[one.dtype][0], offset))
        offset += one.size + -one.size % GGUF_ALIGNMENT
    text = b"".join(head)
    text += bytes(-len(text) % GGUF_ALIGNMENT)
    with open(path, "wb", buffering=1 << 20) as file:
        file.write(text)
        for one in tensors:
            write_data(file, one)
            file.write(bytes(-one.size % GGUF_ALIGNMENT))


def write_gguf_split(path, pairs, tensors, n):
    """n files NAME-0000i-of-0000n.gguf. The first has the keys of the model."""
    stem = path[:-len(".gguf")]
    for i, part in enumerate(split_by_size(tensors, n)):
        keys = (pairs if i == 0 else []) + [
            ("split.no", U16, i), ("split.count", U16, n),
            ("split.tensors.count", I32, len(tensors))]
        write_gguf("%s-%05d-of-%05d.gguf" % (stem, i + 1, n), keys, part)
