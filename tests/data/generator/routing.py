# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""How models choose experts, in float64, written from the models' papers and
configurations.

Each function takes logits [T][E], the correction [E] or None, and the options,
and returns what experts are chosen by and what they are weighed by.
"""
import numpy as np

from .layouts import groups


def softmax(logits, correction, o):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits, e / e.sum(axis=1, keepdims=True)


def sigmoid(logits, correction, o):
    scores = 1 / (1 + np.exp(-logits))
    return scores + (0 if correction is None else correction), scores


def sigmoid_of_logits(logits, correction, o):
    """The choice is among logits: the same, but for scores that are equal."""
    return logits, 1 / (1 + np.exp(-logits))


def sqrt_softplus(logits, correction, o):
    scores = np.sqrt(np.log1p(np.exp(-np.abs(logits))) +
                     np.maximum(logits, 0))
    return scores + (0 if correction is None else correction), scores


def grouped_sigmoid(logits, correction, o):
    """Experts of the groups whose two best add up to the most."""
    chosen_by, scores = sigmoid(logits, correction, o)
    n_group, topk_group = groups(o)
    grouped = chosen_by.reshape(len(logits), n_group, -1)
    value = np.sort(grouped, axis=2)[:, :, -2:].sum(axis=2)
    kept = np.argsort(-value, axis=1, kind="stable")[:, :topk_group]
    dropped = np.ones((len(logits), n_group), bool)
    np.put_along_axis(dropped, kept, False, axis=1)
    grouped = np.where(dropped[:, :, np.newaxis], -np.inf, grouped)
    return grouped.reshape(logits.shape), scores


def choose(kind, logits, correction, o, renormalize=True, scale=1.0):
    """ids [T][k] and weights [T][k]."""
    chosen_by, scores = kind(logits, correction, o)
    ids = np.argsort(-chosen_by, axis=1, kind="stable")[:, :o.top_k]
    weights = np.take_along_axis(scores, ids, axis=1)
    if renormalize:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return ids.astype("<i4"), (weights * scale).astype("<f4")
