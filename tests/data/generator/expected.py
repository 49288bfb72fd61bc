# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""What a layer of experts computes, in float64 without rounding in between."""
import numpy as np

from . import numbers, routing
from .containers import tensor


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def activate(kind, gate, up, limit):
    """kind "silu" or "swigluoai"; limit 0: none."""
    if limit:
        gate = np.minimum(gate, limit)
        up = np.clip(up, -limit, limit)
    if kind == "swigluoai":
        return (up + 1) * gate * sigmoid(1.702 * gate)
    return gate * sigmoid(gate) * up


def one_expert(x, weights, biases, activation, limit):
    """x [n][H] by weights (gate, up, down), biases likewise, or None each."""
    gate, up = x @ weights[0].T, x @ weights[1].T
    if biases[0] is not None:
        gate, up = gate + biases[0], up + biases[1]
    out = activate(activation, gate, up, limit) @ weights[2].T
    return out if biases[2] is None else out + biases[2]


def layer_output(x, ids, factors, get_expert, activation="silu", limit=0,
                 weight_on_input=False):
    """x [T][H], ids and factors [T][k]. get_expert(e) returns the weights and
    biases of an expert."""
    out = np.zeros(x.shape)
    for e in np.unique(ids):
        token, slot = np.nonzero(ids == e)
        factor = factors[token, slot][:, np.newaxis].astype(np.float64)
        rows = x[token] * factor if weight_on_input else x[token]
        y = one_expert(rows, *get_expert(e), activation, limit)
        np.add.at(out, token, y if weight_on_input else y * factor)
    return out


def random_routing(rng, n_tokens, n_experts, top_k):
    """ids [T][k], different in a row, and weights with sum 1; a single one is
    below 1."""
    scores = rng.random((n_tokens, n_experts))
    ids = np.argsort(scores, axis=1)[:, :top_k].astype("<i4")
    weights = np.exp(rng.normal(0, 1, (n_tokens, top_k)))
    total = weights.sum(axis=1, keepdims=True) + (top_k == 1)
    return ids, (weights / total).astype("<f4")


def layer_tensors(layer, rng, o, model):
    """The tensors of one layer. model has router(layer): weight, and bias and
    correction or None, in float64; expert(layer, e): weights and biases;
    activation, limit, weight_on_input; routing, renormalize, scale."""
    x = numbers.encode(rng.normal(0, 1, (o.tokens, o.hidden)), o.x_dtype)
    ids, factors = random_routing(rng, o.tokens, o.experts, o.top_k)
    rows = numbers.decode(x, o.x_dtype)
    weight, bias, correction = model.router(layer)
    logits = rows @ weight.T + (0 if bias is None else bias)
    if o.routed:
        ids, factors = routing.choose(
            getattr(routing, model.routing), logits, correction, o,
            model.renormalize, model.scale)
    out = layer_output(rows, ids, factors, lambda e: model.expert(layer, e),
                       model.activation, model.limit, model.weight_on_input)
    values = {"x": (o.x_dtype, x), "topk_ids": ("I32", ids),
              "topk_weights": ("F32", factors), "router_logits":
              ("F64", logits), "out": ("F64", out)}
    return [tensor("layers.%d.%s" % (layer, name), *value)
            for name, value in values.items()]


def expert_tensors(layer, e, weights):
    return [tensor("layers.%d.experts.%d.%s" % (layer, e, name), "F32",
                   numbers.exact_f32(weight))
            for name, weight in zip(("gate", "up", "down"), weights)]
