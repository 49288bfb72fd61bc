# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Number types of checkpoints: how values are rounded to them and stored.

Arrays that are to be written have the bytes of the file: little endian, and
unsigned integers for types that numpy does not have.
"""
import numpy as np

# Types of safetensors: stored as, in the order in which writers sort them.
DTYPES = {
    "U8": "u1", "I8": "i1", "F8_E4M3": "u1", "F8_E8M0": "u1",
    "F16": "<f2", "BF16": "<u2", "I32": "<i4", "F32": "<f4",
    "F64": "<f8", "I64": "<i8",
}

# Values of E2M1 codes; bit 3 is the sign.
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6])


def to_bf16(values):
    """Nearest bf16, ties to even, as bits."""
    bits = np.asarray(values, "<f4").view("<u4")
    bits = bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))
    return (bits >> 16).astype("<u2")


def from_bf16(bits):
    return (bits.astype("<u4") << np.uint32(16)).view("<f4")


def encode(values, dtype):
    """Values as the array of a tensor of that type, rounded to nearest."""
    if dtype == "BF16":
        return to_bf16(values)
    return np.asarray(values).astype(DTYPES[dtype])


def decode(array, dtype):
    """What encode() made, as float64."""
    values = from_bf16(array) if dtype == "BF16" else array
    return values.astype(np.float64)


def e4m3_table():
    """Values of F8_E4M3 codes 0 to 0x7E; 0x7F is NaN, bit 7 the sign."""
    code = np.arange(0x7F)
    exponent, mantissa = code >> 3, code & 7
    normal = (8 + mantissa) * 2.0 ** (exponent - 10)
    return np.where(exponent == 0, mantissa * 2.0 ** -9, normal)


def to_e4m3(values):
    """Nearest F8_E4M3 codes; too large ones become the largest."""
    table = e4m3_table()
    middles = (table[1:] + table[:-1]) / 2
    code = np.searchsorted(middles, np.abs(values)).astype("u1")
    return code | (np.signbit(values).astype("u1") << 7)


def from_e4m3(code):
    table = np.append(e4m3_table(), np.nan)
    return np.concatenate([table, -table])[code]


def from_e8m0(code):
    return 2.0 ** (code.astype(np.float64) - 127)


def exact_f32(values):
    """Values as fp32, which must hold them exactly."""
    rounded = np.asarray(values).astype("<f4")
    if not np.array_equal(rounded.astype(np.float64), values):
        raise AssertionError("weights that fp32 does not hold exactly")
    return rounded
