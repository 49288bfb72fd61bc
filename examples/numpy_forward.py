#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""A mixture-of-experts layer on NumPy arrays, in fp16.

Random weights are rounded to 4 bits, and a forward call is compared with
float64: with the rounded weights, from which only fp16 may keep it away, and
with the original ones, which tells what 4 bits cost.
"""

from __future__ import annotations

import sys

import numpy as np

import w4moe

TOKENS, EXPERTS, TOP_K, HIDDEN, INTERMEDIATE, GROUP = 16, 8, 2, 256, 192, 32

# Relative errors, in L2. fp16 has 11 bits: half a unit is 0.0005.
LIMIT_SAME_WEIGHTS = 0.001
LIMIT_ORIGINAL_WEIGHTS = 0.3


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    difference = got.astype(np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


def expert(x: np.ndarray, w13: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """SwiGLU: w13 is gate and then up, [2I][H]; w2 is [H][I]."""
    gate, up = np.split(w13 @ x, 2)
    return w2 @ (gate / (1 + np.exp(-gate)) * up)


def moe(
    x: np.ndarray,
    ids: np.ndarray,
    weights: np.ndarray,
    w13: np.ndarray,
    w2: np.ndarray,
) -> np.ndarray:
    """The layer in float64."""
    x, weights, w13, w2 = (
        a.astype(np.float64) for a in (x, weights, w13, w2)
    )
    return np.stack(
        [
            sum(
                weight * expert(row, w13[e], w2[e])
                for e, weight in zip(chosen, shares)
            )
            for row, chosen, shares in zip(x, ids, weights)
        ]
    )


def main() -> int:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        values = rng.standard_normal(shape) / np.sqrt(shape[-1])
        return values.astype(np.float16)

    w13 = normal(EXPERTS, 2 * INTERMEDIATE, HIDDEN)
    w2 = normal(EXPERTS, HIDDEN, INTERMEDIATE)
    x = rng.standard_normal((TOKENS, HIDDEN)).astype(np.float16)

    # Router logits to the k best experts, their softmax adding up to 1.
    logits = rng.standard_normal((TOKENS, EXPERTS)).astype(np.float32)
    ids = np.argsort(-logits, axis=1)[:, :TOP_K].astype(np.int32)
    weights = np.exp(np.take_along_axis(logits, ids, axis=1))
    weights /= weights.sum(axis=1, keepdims=True)

    with w4moe.Context() as ctx:
        print(f"w4moe {w4moe.version()}, NumPy {np.__version__}")
        packed = [
            w4moe.Matrix(
                ctx,
                EXPERTS,
                *original.shape[1:],
                group_size=GROUP,
                gated=gated,
                scale_dtype=w4moe.DType.F16,
            )
            for original, gated in ((w13, True), (w2, False))
        ]
        rounded = [np.empty(a.shape, np.float32) for a in (w13, w2)]
        for matrix, original, floats in zip(packed, (w13, w2), rounded):
            n_weights = 2 if matrix.struct.gated else 1
            for e in range(EXPERTS):
                parts = np.split(original[e], n_weights)
                for i, part in enumerate(parts):
                    matrix.quantize(e, part, first_out=i * len(part))
                matrix.dequantize(e, floats[e])

        layer = w4moe.Layer.create(*packed, router=w4moe.Router.SOFTMAX_TOPK)
        workspace = w4moe.Workspace(layer, TOKENS, TOP_K)
        # The arrays are in host memory, whatever the backend.
        flags = w4moe.Flags.HOST_IO
        out = layer.forward(
            workspace, np.empty_like(x), x, ids, weights, flags=flags
        )
        routed = layer.forward(
            workspace,
            np.empty_like(x),
            x,
            router_logits=logits,
            top_k=TOP_K,
            flags=flags,
        )

    same = relative_error(out, moe(x, ids, weights, *rounded))
    same_routed = relative_error(routed, moe(x, ids, weights, *rounded))
    original = relative_error(out, moe(x, ids, weights, w13, w2))
    print(f"to float64 with the 4-bit weights:    {same:.5f}")
    print(f"the same, routed by the library:      {same_routed:.5f}")
    print(f"to float64 with the original weights: {original:.5f}")
    good = max(same, same_routed) <= LIMIT_SAME_WEIGHTS
    good = good and original <= LIMIT_ORIGINAL_WEIGHTS
    print("as expected" if good else "too large")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
