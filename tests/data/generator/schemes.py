# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""How one matrix [N][K] is stored in a safetensors checkpoint.

A packer takes a random generator, N, K and the options, and returns a Matrix:
the tensors, by the ending of their names, and a function that returns the
weights that they mean, as float64, exact. N are output rows, K inputs; codes
are 0 to 15, and with scale s and zero z of the group w = s (code - z).
"""
import collections

import numpy as np

from . import numbers

# parts: name ending -> Part. weight(): float64 [N][K]; None if nothing is
# expected of the matrix.
Matrix = collections.namedtuple("Matrix", "parts weight")

# type of safetensors or GGUF, data, and whether the data are codes, which mean
# something in any order.
Part = collections.namedtuple("Part", "dtype data is_codes")

# The order of the columns of a word of AWQ.
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def codes_part(dtype, data):
    return Part(dtype, data, True)


def part(dtype, data):
    return Part(dtype, data, False)


# ------------------------------------------------------------- bits to bytes

def pack_bytes(codes):
    """Two codes a byte along the last axis, the low bits first."""
    return codes[..., 0::2] | (codes[..., 1::2] << np.uint8(4))


def pack_words(codes):
    """Eight codes a word along the last axis, the low bits first, the last
    word filled up with zeros. [R][C] to int32 [R][ceil(C / 8)]."""
    padding = -codes.shape[-1] % 8
    if padding:
        codes = np.pad(codes, [(0, 0), (0, padding)])
    return np.ascontiguousarray(pack_bytes(codes)).view("<i4")


def awq_words(codes):
    """[R][C] to int32 [R][C / 8], in AWQ's order."""
    rows = codes.shape[0]
    codes = codes.reshape(rows, -1, 8)[..., AWQ_ORDER]
    return pack_words(codes.reshape(rows, -1))


def ct_weight(codes):
    return pack_words(codes)


def ct_zeros(zeros):
    """[N][G] to int32 [ceil(N / 8)][G]."""
    return np.ascontiguousarray(pack_words(np.ascontiguousarray(zeros.T)).T)


def gptq_weight(codes):
    """[N][K] to int32 [K / 8][N]."""
    return np.ascontiguousarray(pack_words(codes).T)


def gptq_zeros(stored):
    """[N][G] to int32 [G][N / 8]."""
    return pack_words(np.ascontiguousarray(stored.T))


def awq_weight(codes):
    """[N][K] to int32 [K][N / 8]."""
    return awq_words(np.ascontiguousarray(codes.T))


def awq_zeros(zeros):
    """[N][G] to int32 [G][N / 8]."""
    return awq_words(np.ascontiguousarray(zeros.T))


# -------------------------------------------------------- random ingredients

def random_codes(rng, n, k):
    return rng.integers(0, 16, (n, k), dtype="u1")


def random_scales(rng, shape, dtype):
    """Scales as stored, and as float64."""
    stored = numbers.encode(rng.uniform(.005, .02, shape), dtype)
    return stored, numbers.decode(stored, dtype)


def random_order(rng, k, group_size):
    """A g_idx: the groups of contiguous columns, in random order."""
    return rng.permutation(np.arange(k) // group_size).astype("<i4")


def in_order(k, group_size):
    return (np.arange(k) // group_size).astype("<i4")


def n_groups(k, group_size):
    return -(-k // group_size)


def grouped(codes, zeros, scales, g_idx):
    """The weights of codes [N][K] with zeros and scales [N][G]."""
    offset = codes.astype(np.float64) - zeros.astype(np.float64)[:, g_idx]
    return offset * scales[:, g_idx]


# --------------------------------------------------------- compressed-tensors

def pack_ct(rng, n, k, o, group_size, symmetric=True, actorder=False):
    codes = random_codes(rng, n, k)
    g = n_groups(k, group_size)
    stored, scales = random_scales(rng, (n, g), o.dtype)
    zeros = np.full((n, g), 8, "u1")
    g_idx = in_order(k, group_size)
    parts = {
        "weight_packed": codes_part("I32", ct_weight(codes)),
        "weight_scale": part(o.dtype, stored),
        "weight_shape": part("I64", np.array([n, k], "<i8")),
    }
    if not symmetric:
        zeros = rng.integers(0, 16, (n, g), dtype="u1")
        parts["weight_zero_point"] = part("I32", ct_zeros(zeros))
    if actorder:
        g_idx = random_order(rng, k, group_size)
        parts["weight_g_idx"] = part("I32", g_idx)
    return Matrix(parts, lambda: grouped(codes, zeros, scales, g_idx))


def ct_sym(rng, n, k, o):
    return pack_ct(rng, n, k, o, o.group_size)


def ct_sym_64(rng, n, k, o):
    return pack_ct(rng, n, k, o, 64)


def ct_asym(rng, n, k, o):
    return pack_ct(rng, n, k, o, o.group_size, symmetric=False)


def ct_actorder(rng, n, k, o):
    return pack_ct(rng, n, k, o, o.group_size, actorder=True)


def ct_channel(rng, n, k, o):
    return pack_ct(rng, n, k, o, k)


# ---------------------------------------------------------------- GPTQ, AWQ

def pack_gptq(rng, n, k, o, symmetric, version, descact=False):
    codes = random_codes(rng, n, k)
    g = n_groups(k, o.group_size)
    scale, scales = random_scales(rng, (n, g), o.dtype)
    zeros = np.full((n, g), 8, "u1")
    if not symmetric:
        lowest = 1 if version == 1 and not o.zero_wrap else 0
        zeros = rng.integers(lowest, 16, (n, g), dtype="u1")
    if not symmetric and version == 1 and o.zero_wrap:
        zeros[0, 0] = 0
    stored = (zeros - np.uint8(version == 1)) & np.uint8(15)
    g_idx = random_order(rng, k, o.group_size) if descact else \
        in_order(k, o.group_size)
    parts = {
        "qweight": codes_part("I32", gptq_weight(codes)),
        "qzeros": part("I32", gptq_zeros(stored)),
        "scales": part(o.dtype, np.ascontiguousarray(scale.T)),
        "g_idx": part("I32", g_idx),
    }
    return Matrix(parts, lambda: grouped(codes, zeros, scales, g_idx))


def gptq_v1_sym(rng, n, k, o):
    return pack_gptq(rng, n, k, o, True, 1)


def gptq_v1_asym(rng, n, k, o):
    return pack_gptq(rng, n, k, o, False, 1)


def gptq_v2_sym(rng, n, k, o):
    return pack_gptq(rng, n, k, o, True, 2)


def gptq_v2_asym(rng, n, k, o):
    return pack_gptq(rng, n, k, o, False, 2)


def gptq_descact(rng, n, k, o):
    return pack_gptq(rng, n, k, o, False, 1, descact=True)


def awq(rng, n, k, o):
    codes = random_codes(rng, n, k)
    g = n_groups(k, o.group_size)
    scale, scales = random_scales(rng, (n, g), o.dtype)
    zeros = rng.integers(0, 16, (n, g), dtype="u1")
    parts = {
        "qweight": codes_part("I32", awq_weight(codes)),
        "qzeros": part("I32", awq_zeros(zeros)),
        "scales": part(o.dtype, np.ascontiguousarray(scale.T)),
    }
    g_idx = in_order(k, o.group_size)
    return Matrix(parts, lambda: grouped(codes, zeros, scales, g_idx))


# --------------------------------------------------------------------- MXFP4

def random_e8m0(rng, shape):
    """Scales: most of them small, so that activations are not all clamped."""
    scales = rng.integers(118, 124, shape, dtype="u1")
    large = rng.integers(124, 131, shape, dtype="u1")
    return np.where(rng.random(shape) < .01, large, scales)


def random_mx(rng, n, k):
    """Codes [N][K], scales [N][K / 32] and the function of the weights."""
    codes = random_codes(rng, n, k)
    scales = random_e8m0(rng, (n, k // 32))

    def weight():
        factors = np.repeat(numbers.from_e8m0(scales), 32, axis=1)
        return numbers.E2M1[codes] * factors
    return codes, scales, weight


def ct_mxfp4(rng, n, k, _):
    codes, scales, weight = random_mx(rng, n, k)
    return Matrix({"weight_packed": codes_part("U8", pack_bytes(codes)),
                   "weight_scale": part("U8", scales)}, weight)


def deepseek_mxfp4(rng, n, k, _):
    codes, scales, weight = random_mx(rng, n, k)
    packed = pack_bytes(codes).view("i1")
    return Matrix({"weight": codes_part("I8", packed),
                   "scale": part("F8_E8M0", scales)}, weight)


def gptoss_mxfp4(rng, n, k, _):
    codes, scales, weight = random_mx(rng, n, k)
    blocks = pack_bytes(codes).reshape(n, k // 32, 16)
    return Matrix({"blocks": codes_part("U8", blocks),
                   "scales": part("U8", scales)}, weight)


# ------------------------------------------------------------ wide and rounded

def plain(dtype, spread=.02):
    """A packer of weights in a plain type."""
    def pack(rng, n, k, _):
        stored = numbers.encode(rng.normal(0, spread, (n, k)), dtype)
        return Matrix({"weight": codes_part(dtype, stored)},
                      lambda: numbers.decode(stored, dtype))
    return pack


def plain_model(rng, n, k, o):
    """Weights in the model's own type, as wide as those of 4 bits beside them:
    what rounds them must show in a layer's output."""
    return plain(o.dtype, .06)(rng, n, k, o)


def fp8_block(rng, n, k, _):
    """F8_E4M3 with a scale for each 128 x 128 weights. Scales have 20 bits, so
    that fp32 holds their products with 4 bits exactly."""
    blocks = (n_groups(n, 128), n_groups(k, 128))
    fraction = rng.integers(1 << 19, 1 << 20, blocks)
    scales = (fraction * 2.0 ** -31).astype("<f4")
    factors = np.repeat(np.repeat(scales, 128, axis=0), 128, axis=1)[:n, :k]
    factors = factors.astype(np.float64)
    codes = numbers.to_e4m3(rng.normal(0, .02, (n, k)) / factors)
    return Matrix({"weight": codes_part("F8_E4M3", codes),
                   "weight_scale_inv": part("F32", scales)},
                  lambda: numbers.from_e4m3(codes) * factors)
