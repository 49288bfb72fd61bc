# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""How one matrix [N][K] is stored in a GGUF file: packers as in schemes.py,
with one part, "weight", whose elements are whole blocks.

Types of 4 bits get random codes; the others, which moe-convert rounds, get
normally distributed weights, quantised here in a plain way. Scales are such
that fp32 holds every weight exactly.
"""
import numpy as np

from .containers import GGUF_TYPES
from .schemes import Matrix, codes_part, random_mx

# Values of the codes of IQ4_NL.
IQ4_NL = np.array([-127, -104, -83, -65, -49, -35, -22, -10,
                   1, 13, 25, 38, 53, 69, 89, 113])


def random_f16(rng, low, high, shape):
    """Numbers of fp16 as stored, and as float64."""
    stored = rng.uniform(low, high, shape).astype("<f2")
    return stored, stored.astype(np.float64)


def to_f16(values):
    stored = values.astype("<f2")
    return stored, stored.astype(np.float64)


def matrix(kind, n, k, fields, weight):
    """Joins the fields of the blocks, bytes [N][K / block][...]. weight():
    the weights in any shape."""
    _, n_elements, n_bytes = GGUF_TYPES[kind]
    data = np.concatenate(fields, axis=-1)
    data = np.ascontiguousarray(data).view("V%d" % n_bytes)
    data = data.reshape(n, k // n_elements)
    return Matrix({"weight": codes_part(kind, data)},
                  lambda: weight().reshape(n, k))


def halves(codes):
    """Byte j has code j in its low bits and j + half in its high ones."""
    half = codes.shape[-1] // 2
    return codes[..., :half] | (codes[..., half:] << np.uint8(4))


def normal_blocks(rng, n, k, size):
    return rng.normal(0, .02, (n, k // size, size))


def rounded(values, low, high):
    return np.clip(np.rint(values), low, high).astype(np.int64)


# ---------------------------------------------------------- blocks of 32

def q4_0(rng, n, k, _):
    codes = rng.integers(0, 16, (n, k // 32, 32), dtype="u1")
    stored, d = random_f16(rng, .005, .02, (n, k // 32, 1))
    return matrix("Q4_0", n, k, [stored.view("u1"), halves(codes)],
                  lambda: d * (codes.astype(np.float64) - 8))


def q4_1(rng, n, k, _):
    codes = rng.integers(0, 16, (n, k // 32, 32), dtype="u1")
    stored, d = random_f16(rng, .005, .02, (n, k // 32, 1))
    lowest, m = to_f16(d * rng.uniform(-10, -6, d.shape))
    fields = [stored.view("u1"), lowest.view("u1"), halves(codes)]
    return matrix("Q4_1", n, k, fields, lambda: d * codes + m)


def high_bits(codes):
    """The fifth bits of 32 codes, code j in bit j of a word."""
    return np.packbits(codes >> np.uint8(4), axis=-1, bitorder="little")


def low_bits(codes):
    return codes & np.uint8(15)


def q5_0(rng, n, k, _):
    w = normal_blocks(rng, n, k, 32)
    stored, d = to_f16(np.abs(w).max(axis=-1, keepdims=True) / 15)
    codes = (rounded(w / d, -16, 15) + 16).astype("u1")
    fields = [stored.view("u1"), high_bits(codes), halves(low_bits(codes))]
    return matrix("Q5_0", n, k, fields,
                  lambda: d * (codes.astype(np.float64) - 16))


def q5_1(rng, n, k, _):
    w = normal_blocks(rng, n, k, 32)
    lowest, m = to_f16(w.min(axis=-1, keepdims=True))
    stored, d = to_f16((w.max(axis=-1, keepdims=True) - m) / 31)
    codes = rounded((w - m) / d, 0, 31).astype("u1")
    fields = [stored.view("u1"), lowest.view("u1"), high_bits(codes),
              halves(low_bits(codes))]
    return matrix("Q5_1", n, k, fields, lambda: d * codes + m)


def q8_0(rng, n, k, _):
    w = normal_blocks(rng, n, k, 32)
    stored, d = to_f16(np.abs(w).max(axis=-1, keepdims=True) / 127)
    codes = rounded(w / d, -127, 127).astype("i1")
    return matrix("Q8_0", n, k, [stored.view("u1"), codes.view("u1")],
                  lambda: d * codes)


def iq4_nl(rng, n, k, _):
    w = normal_blocks(rng, n, k, 32)
    stored, d = to_f16(np.abs(w).max(axis=-1, keepdims=True) / 127)
    codes = np.searchsorted((IQ4_NL[1:] + IQ4_NL[:-1]) / 2, w / d).astype("u1")
    return matrix("IQ4_NL", n, k, [stored.view("u1"), halves(codes)],
                  lambda: d * IQ4_NL[codes])


def mxfp4(rng, n, k, _):
    codes, scales, weight = random_mx(rng, n, k)
    fields = [scales[..., np.newaxis], halves(codes.reshape(n, k // 32, 32))]
    return matrix("MXFP4", n, k, fields, weight)


# ---------------------------------------------------------- blocks of 256

def six_bits(scales, mins):
    """Eight scales and eight minima of 6 bits, in 12 bytes."""
    s, m = scales.astype("u1"), mins.astype("u1")
    top = np.uint8(48)
    return np.concatenate([
        s[..., :4] | ((s[..., 4:] & top) << np.uint8(2)),
        m[..., :4] | ((m[..., 4:] & top) << np.uint8(2)),
        low_bits(s[..., 4:]) | (low_bits(m[..., 4:]) << np.uint8(4))], axis=-1)


def pairs(codes):
    """Codes of 8 sub-blocks of 32, two sub-blocks to 32 bytes."""
    by_pair = low_bits(codes).reshape(codes.shape[:-2] + (4, 64))
    return halves(by_pair).reshape(codes.shape[:-2] + (128,))


def k_weight(codes, d, scales, dmin, mins):
    """[N][blocks][8][32] from d and dmin [N][blocks][1]."""
    return ((d * scales)[..., np.newaxis] * codes -
            (dmin * mins)[..., np.newaxis])


def q4_k(rng, n, k, _):
    shape = (n, k // 256)
    codes = rng.integers(0, 16, shape + (8, 32), dtype="u1")
    scales = rng.integers(1, 64, shape + (8,))
    mins = rng.integers(0, 64, shape + (8,))
    stored, d = random_f16(rng, 1.3e-4, 4e-4, shape + (1,))
    lowest, dmin = random_f16(rng, 1e-3, 3e-3, shape + (1,))
    fields = [stored.view("u1"), lowest.view("u1"), six_bits(scales, mins),
              pairs(codes)]
    return matrix("Q4_K", n, k, fields,
                  lambda: k_weight(codes, d, scales, dmin, mins))


def q5_k(rng, n, k, _):
    w = normal_blocks(rng, n, k, 256).reshape(n, k // 256, 8, 32)
    minimum = np.minimum(w.min(axis=-1), 0)
    step = (w.max(axis=-1) - minimum) / 31
    stored, d = to_f16(step.max(axis=-1, keepdims=True) / 63)
    lowest, dmin = to_f16(-minimum.min(axis=-1, keepdims=True) / 63)
    scales, mins = rounded(step / d, 1, 63), rounded(-minimum / dmin, 0, 63)
    codes = (w + (dmin * mins)[..., np.newaxis]) / \
        (d * scales)[..., np.newaxis]
    codes = rounded(codes, 0, 31).astype("u1")
    # Byte l of qh has the fifth bits of code l of the sub-blocks.
    high = np.packbits(codes >> np.uint8(4), axis=-2, bitorder="little")
    fields = [stored.view("u1"), lowest.view("u1"), six_bits(scales, mins),
              high[..., 0, :], pairs(codes)]
    return matrix("Q5_K", n, k, fields,
                  lambda: k_weight(codes, d, scales, dmin, mins))


def q6_k(rng, n, k, _):
    """Some scales are negative, as quantisers leave them."""
    w = normal_blocks(rng, n, k, 256).reshape(n, k // 256, 16, 16)
    step = np.abs(w).max(axis=-1) / 31
    stored, d = to_f16(step.max(axis=-1, keepdims=True) / 127)
    sign = np.where(rng.random(step.shape) < .3, -1, 1)
    scales = sign * rounded(step / d, 1, 127)
    factor = (d * scales)[..., np.newaxis]
    codes = (rounded(w / factor, -32, 31) + 32).astype("u1")
    # By half of a block, by quarter of a half: 32 codes each.
    quarters = codes.reshape(n, k // 256, 2, 4, 32)
    low, high = low_bits(quarters), quarters >> np.uint8(4)
    ql = low[..., :2, :] | (low[..., 2:, :] << np.uint8(4))
    shifts = np.array([0, 2, 4, 6], "u1")[:, np.newaxis]
    qh = np.bitwise_or.reduce(high << shifts, axis=-2)
    fields = [ql.reshape(n, k // 256, 128), qh.reshape(n, k // 256, 64),
              scales.astype("i1").view("u1"), stored.view("u1")]
    return matrix("Q6_K", n, k, fields,
                  lambda: factor * (codes.astype("i4") - 32))


def q2_k(rng, n, k, _):
    """Of random bytes: nothing reads it."""
    data = rng.integers(0, 256, (n, k // 256 * 84), dtype="u1").view("V84")
    return Matrix({"weight": codes_part("Q2_K", data)}, None)
