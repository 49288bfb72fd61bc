# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Matrices in forms that moe-convert refuses: right names, types and shapes,
random bytes."""
import numpy as np

from . import numbers
from .schemes import Matrix, codes_part, n_groups, part


def random_words(rng, *shape):
    return rng.integers(-1 << 31, 1 << 31, shape).astype("<i4")


def random_scales(rng, o, *shape):
    return numbers.encode(rng.uniform(.005, .02, shape), o.dtype)


def nvfp4(rng, n, k, _):
    return Matrix({
        "weight_packed": codes_part(
            "U8", rng.integers(0, 256, (n, k // 2), dtype="u1")),
        "weight_scale": part(
            "F8_E4M3", rng.integers(1, 127, (n, k // 16), dtype="u1")),
        "weight_global_scale": part("F32", np.array([448.], "<f4")),
    }, None)


def marlin(rng, n, k, o):
    return Matrix({
        "B": codes_part("I32", random_words(rng, k // 16, 2 * n)),
        "s": part("F16", numbers.encode(rng.uniform(
            .005, .02, (n_groups(k, o.group_size), n)), "F16")),
        "workspace": part("I32", np.zeros(max(n // 8, 1), "<i4")),
    }, None)


def gemv(rng, n, k, o):
    g = -(-n_groups(k, o.group_size) // 8)
    return Matrix({
        "qweight": codes_part("I32", random_words(rng, n, k // 8)),
        "qzeros": part("I32", random_words(rng, n, g)),
        "scales": part(o.dtype, random_scales(rng, o, n, 8 * g)),
    }, None)


def ct_bits(bits):
    """compressed-tensors with weights of another width."""
    def pack(rng, n, k, o):
        g = n_groups(k, o.group_size)
        words = random_words(rng, n, -(-k * bits // 32))
        return Matrix({
            "weight_packed": codes_part("I32", words),
            "weight_scale": part(o.dtype, random_scales(rng, o, n, g)),
            "weight_shape": part("I64", np.array([n, k], "<i8")),
        }, None)
    return pack


def gptq_8bit(rng, n, k, o):
    g = n_groups(k, o.group_size)
    zeros = np.full((g, n // 4), 0x7F7F7F7F, "<i4")
    return Matrix({
        "qweight": codes_part("I32", random_words(rng, k // 4, n)),
        "qzeros": part("I32", zeros),
        "scales": part(o.dtype, random_scales(rng, o, g, n)),
        "g_idx": part("I32", (np.arange(k) // o.group_size).astype("<i4")),
    }, None)
