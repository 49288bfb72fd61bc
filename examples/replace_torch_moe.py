#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""The experts of a PyTorch layer of experts replaced by w4moe, in bf16.

The layer is that of Mixtral and Qwen3-MoE with random weights: a linear
router, the softmax of the k best experts' logits, SwiGLU experts. Its experts
are rounded to 4 bits, packed, and replaced; the new layer is compared with the
old one, which tells what 4 bits cost, and with the old one on rounded weights,
from which only bf16 may keep it away. Then the router goes the same way: one
call is the whole layer.
"""

from __future__ import annotations

import copy
import sys

import torch
from torch import Tensor, nn

import w4moe

TOKENS, EXPERTS, TOP_K, HIDDEN, INTERMEDIATE, GROUP = 48, 8, 2, 256, 192, 32

# Relative errors, in L2. bf16 has 8 bits: half a unit is 0.004.
LIMIT_SAME_WEIGHTS = 0.008
LIMIT_ORIGINAL_WEIGHTS = 0.3


# ------------------------------------------------------- the layer in PyTorch


class Expert(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.up_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.down_proj = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = nn.functional.silu(self.gate_proj(x))
        return self.down_proj(gate * self.up_proj(x))


class Experts(nn.Module):
    """All experts: each computes the tokens that chose it."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Expert() for _ in range(EXPERTS))

    def forward(self, x: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            tokens, choices = torch.where(ids == e)
            share = weights[tokens, choices].unsqueeze(1).to(x.dtype)
            out.index_add_(0, tokens, expert(x[tokens]) * share)
        return out


class Moe(nn.Module):
    """The layer: router and experts."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.experts: nn.Module = Experts()

    def forward(self, x: Tensor) -> Tensor:
        logits = nn.functional.linear(x.float(), self.gate.weight.float())
        weights, ids = logits.softmax(dim=1).topk(TOP_K, dim=1)
        weights = weights / weights.sum(dim=1, keepdim=True)
        return self.experts(x, ids, weights)


# -------------------------------------------------------- the layer in w4moe


class W4Experts(nn.Module):
    """The same experts, in 4 bits, with memory for calls of max_tokens."""

    def __init__(
        self,
        ctx: w4moe.Context,
        experts: Experts,
        router: nn.Linear,
        max_tokens: int,
    ) -> None:
        super().__init__()
        self.w13 = w4moe.Matrix(
            ctx, EXPERTS, 2 * INTERMEDIATE, HIDDEN, GROUP, gated=True
        )
        self.w2 = w4moe.Matrix(ctx, EXPERTS, HIDDEN, INTERMEDIATE, GROUP)
        for e, expert in enumerate(experts.experts):
            gate, up, down = (
                linear.weight.detach()
                for linear in (
                    expert.gate_proj,
                    expert.up_proj,
                    expert.down_proj,
                )
            )
            self.w13.quantize(e, gate)
            self.w13.quantize(e, up, first_out=INTERMEDIATE)
            self.w2.quantize(e, down)
        self.layer = w4moe.Layer.create(
            self.w13,
            self.w2,
            router=w4moe.Router.SOFTMAX_TOPK,
            router_weight=router.weight.detach(),
        )
        self.workspace = w4moe.Workspace(self.layer, max_tokens, TOP_K)

    def forward(self, x: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
        return self.layer.forward(
            self.workspace,
            torch.empty_like(x),
            x,
            ids.to(torch.int32),
            weights,
            flags=w4moe.Flags.HOST_IO,
        )

    def whole_layer(self, x: Tensor) -> Tensor:
        """Router and experts, in one call."""
        return self.layer.forward(
            self.workspace,
            torch.empty_like(x),
            x,
            top_k=TOP_K,
            flags=w4moe.Flags.HOST_IO,
        )

    def write_back(self, experts: Experts) -> None:
        """Gives PyTorch's experts the rounded weights."""
        w13 = torch.empty(2 * INTERMEDIATE, HIDDEN)
        w2 = torch.empty(HIDDEN, INTERMEDIATE)
        for e, expert in enumerate(experts.experts):
            self.w13.dequantize(e, w13)
            self.w2.dequantize(e, w2)
            expert.gate_proj.weight.data.copy_(w13[:INTERMEDIATE])
            expert.up_proj.weight.data.copy_(w13[INTERMEDIATE:])
            expert.down_proj.weight.data.copy_(w2)


# --------------------------------------------------------------- comparison


def relative_error(got: Tensor, expected: Tensor) -> float:
    difference = got.double() - expected.double()
    return float(difference.norm() / expected.double().norm())


def main() -> int:
    torch.manual_seed(1)
    with torch.no_grad(), w4moe.Context() as ctx:
        print(f"w4moe {w4moe.version()}, PyTorch {torch.__version__}")
        x = torch.randn(TOKENS, HIDDEN).bfloat16()
        moe = Moe().bfloat16()
        assert isinstance(moe.experts, Experts)

        # PyTorch's own layer, as it is and in fp32.
        by_torch = moe(x)
        in_fp32 = copy.deepcopy(moe).float()
        expected = in_fp32(x.float())

        # The experts are replaced: this is all that an engine has to do.
        w4_experts = W4Experts(ctx, moe.experts, moe.gate, max_tokens=TOKENS)
        moe.experts = w4_experts
        by_w4moe = moe(x)
        in_one_call = w4_experts.whole_layer(x)

        # PyTorch in fp32 with the rounded weights.
        assert isinstance(in_fp32.experts, Experts)
        w4_experts.write_back(in_fp32.experts)
        expected_w4 = in_fp32(x.float())

    same = relative_error(by_w4moe, expected_w4)
    one_call = relative_error(in_one_call, expected_w4)
    original = relative_error(by_w4moe, expected)
    print("relative errors, in L2, to PyTorch in fp32")
    print(f"  w4moe, with the 4-bit weights:     {same:.5f}")
    print(f"  the same, routed by w4moe, too:    {one_call:.5f}")
    print(f"  w4moe, with the original weights:  {original:.5f}")
    print(
        "  PyTorch in bf16, original weights: "
        f"{relative_error(by_torch, expected):.5f}"
    )
    good = max(same, one_call) <= LIMIT_SAME_WEIGHTS
    good = good and original <= LIMIT_ORIGINAL_WEIGHTS
    print("as expected" if good else "too large")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
