# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Checks of examples/w4moe.py, for test-examples.sh.

    binding.py layout     prints C in which every struct and every constant of
                          the binding is compared with the headers
    binding.py refusals   wrong arrays are refused by text, and none is kept
                          (needs NumPy)
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Callable

import w4moe

PREFIXES = {
    w4moe.Status: "W4MOE_",
    w4moe.DType: "W4MOE_",
    w4moe.Order: "W4MOE_ORDER_",
    w4moe.Code: "W4MOE_CODE_",
    w4moe.Activation: "W4MOE_ACT_",
    w4moe.Router: "W4MOE_ROUTER_",
    w4moe.LayerFlags: "W4MOE_LAYER_",
    w4moe.Flags: "W4MOE_",
}


def layout() -> None:
    def must(condition: str) -> None:
        print(f'_Static_assert({condition}, "{condition}");')

    print("#include <w4moe.h>")
    for struct in w4moe.Struct.__subclasses__():
        name = struct.c_name
        must(f"sizeof({name}) == {ctypes.sizeof(struct)}")
        for field, *_ in struct._fields_:
            place = getattr(struct, field)
            must(f"offsetof({name}, {field}) == {place.offset}")
            must(f"sizeof((({name} *)0)->{field}) == {place.size}")
    for kind, prefix in PREFIXES.items():
        for value in kind:
            if kind is w4moe.DType and value == w4moe.DType.NONE:
                must("W4MOE_DTYPE_NONE == 0")
            elif value.name != "NONE" or prefix == "W4MOE_ROUTER_":
                must(f"{prefix}{value.name} == {value.value}")


def refused(
    text: str, call: Callable[..., Any], *args: Any, **named: Any
) -> None:
    try:
        call(*args, **named)
    except w4moe.Error as error:
        if text not in str(error):
            sys.exit(f'"{error}" does not say "{text}"')
    else:
        sys.exit(f'no failure that says "{text}"')


def refusals() -> None:
    import numpy as np

    refused("backend", w4moe.Context, backend="none")
    ctx = w4moe.Context(backend="cpu", n_threads=2)
    refused("nothing-here", w4moe.File, ctx, "nothing-here.safetensors")
    w13 = w4moe.Matrix(ctx, 2, 32, 16, 16, gated=True, asymmetric=True)
    w2 = w4moe.Matrix(ctx, 2, 16, 16, 16)
    refused("multiple of 8", w4moe.Matrix, ctx, 2, 30, 16, 16)
    weight = np.linspace(-1, 1, 256, dtype=np.float16).reshape(16, 16)
    for e in range(2):
        w13.quantize(e, weight)
        w13.quantize(e, weight, first_out=16)
        w2.quantize(e, weight)
    refused("[16, 8], not ['any', 16]", w2.quantize, 0, weight[:, :8].copy())
    refused("strides", w2.quantize, 0, weight.T)
    refused("expert", w2.quantize, 2, weight)
    refused("elements are float64, not", w2.quantize, 0, np.zeros((16, 16)))
    refused("float32", w2.dequantize, 0, weight)

    layer = w4moe.Layer.create(w13, w2, router=w4moe.Router.SOFTMAX_TOPK)
    workspace = w4moe.Workspace(layer, 4, 2)
    right = {
        "out": np.zeros((4, 16), np.float16),
        "x": np.ones((4, 16), np.float16),
        "ids": np.array([[0, 1]] * 4, np.int32),
        "weights": np.full((4, 2), 0.5, np.float32),
    }

    def refused_with(text: str, **changed: Any) -> None:
        refused(text, layer.forward, workspace, **{**right, **changed})

    counts = [sys.getrefcount(array) for array in right.values()]
    wide = np.zeros((4, 40), np.float16)
    layer.forward(workspace, **right)
    # Columns of one array, out and x side by side in it, and out as x.
    wide[:, :16] = right["x"]
    x, out = wide[:, :16], wide[:, 16:32]
    layer.forward(workspace, **{**right, "x": x, "out": out})
    layer.forward(workspace, **{**right, "x": x, "out": x})
    if not (right["out"] == out).all() or not (x == out).all():
        sys.exit("strided arrays have another result")
    if not out.any() or wide[:, 32:].any():
        sys.exit("the result is zero, or something beside it was written")

    refused_with("int64, not int32 (of PyTorch", ids=right["ids"].astype(int))
    refused_with("x: elements are float32", x=np.ones((4, 16), np.float32))
    refused_with("out: the shape is [3, 16]", out=right["out"][:3])
    refused_with("x: the shape is [16]", x=right["x"][0])
    refused_with("x: the strides are [40, 2]", x=wide[:, :32:2])
    refused_with("out: the strides", out=np.zeros((4, 16), "e", order="F"))
    refused_with("weights: the strides", weights=np.zeros((4, 3), "f")[:, :2])
    refused_with("ids: the shape", ids=right["ids"][:, :1], top_k=2)
    refused_with("weights: the shape", weights=right["weights"][:, :1].copy())
    refused_with("out overlaps x", x=wide[:, :16], out=wide[:, 8:24])
    refused_with("out is x", out=right["x"], flags=w4moe.Flags.ACCUMULATE)
    refused_with("list has no __dlpack__", x=[1, 2])
    wrong = right["ids"].copy()
    wrong[1, 0] = 2
    refused_with("id 2 of token 1", ids=wrong)
    refused_with("x: NoneType has no __dlpack__", x=None)
    refused_with("only ids is given", weights=None)
    if counts != [sys.getrefcount(array) for array in right.values()]:
        sys.exit("references to arrays were kept")

    # Whatever is used after the context is gone is refused, not a crash.
    ctx.close()
    refused("INVALID", layer.forward, workspace, **right)
    workspace.close()
    layer.close()


if __name__ == "__main__":
    {"layout": layout, "refusals": refusals}[sys.argv[1]]()
