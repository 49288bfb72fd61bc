# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Whole checkpoints: the tensors in the order of the model, config.json or the
keys of a GGUF file, and the expectation."""
import os

import numpy as np

from . import expected, numbers
from .containers import (
    BOOL, F32, GGUF_TYPES, STRING, U32, Tensor, write_checkpoint,
    write_gguf, write_gguf_split, write_safetensors)
from .layouts import VOCABULARY, DeepseekV3, GptOss, groups
from .source import (
    DOWN, GATE, UP, Source, concatenated, generator, interleaved, only,
    other, other_tensor, transposed)

BOTH = (GATE, UP)


# ---------------------------------------------------------- layouts of experts

def separate(source, family, o, layer_name, layer):
    """A matrix for each projection of each expert."""
    made = []
    for e in range(o.experts):
        for p, word in enumerate(family.projections):
            stem = "%s%s.experts.%d.%s." % (layer_name, family.block, e, word)
            made += source.tensors(layer, e, p, lambda end, s=stem: s + end)
    return made


def fused(gate_up, down):
    """Tensors of all experts; lists of (name in the block, join)."""
    def make(source, family, _, layer_name, layer):
        name = layer_name + family.block + "."
        return [source.fused(layer, name + end, BOTH, join)
                for end, join in gate_up] + [
                    source.fused(layer, name + end, (DOWN,), join)
                    for end, join in down]
    return make


LAYOUTS = {
    "separate": separate,
    "fused": fused([("experts.gate_up_proj", concatenated("weight"))],
                   [("experts.down_proj", only("weight"))]),
    "fused-transposed": fused(
        [("experts.gate_up_proj", transposed(concatenated("weight")))],
        [("experts.down_proj", transposed(only("weight")))]),
    "granite": fused([("input_linear.weight", concatenated("weight"))],
                     [("output_linear.weight", only("weight"))]),
    "gptoss": fused(
        [("experts.gate_up_proj_blocks", interleaved("blocks")),
         ("experts.gate_up_proj_scales", interleaved("scales")),
         ("experts.gate_up_proj_bias", interleaved("bias"))],
        [("experts.down_proj_blocks", only("blocks")),
         ("experts.down_proj_scales", only("scales")),
         ("experts.down_proj_bias", only("bias"))]),
    "gptoss-original": fused(
        [("mlp1_weight.blocks", interleaved("blocks")),
         ("mlp1_weight.scales", interleaved("scales")),
         ("mlp1_bias", interleaved("bias"))],
        [("mlp2_weight.blocks", only("blocks")),
         ("mlp2_weight.scales", only("scales")),
         ("mlp2_bias", only("bias"))]),
    "gptoss-bf16": fused(
        [("experts.gate_up_proj", transposed(interleaved("weight"))),
         ("experts.gate_up_proj_bias", interleaved("bias"))],
        [("experts.down_proj", transposed(only("weight"))),
         ("experts.down_proj_bias", only("bias"))]),
}


# ------------------------------------------------------------------ expectation

class Model:
    """What expected.layer_tensors() asks for."""

    def __init__(self, source, family, router):
        self.expert = source.expert
        self.router = router
        self.activation, self.limit = family.activation, family.limit
        self.weight_on_input = family.weight_on_input
        self.routing, self.scale = family.routing, family.scale
        self.renormalize = family.renormalize


def write_expected(path, o, model):
    tensors = []
    for layer in range(o.first_layer, o.first_layer + o.layers):
        tensors += expected.layer_tensors(layer, generator(o, 5, layer), o,
                                          model)
    weights, _ = model.expert(o.first_layer, o.experts - 1)
    tensors += expected.expert_tensors(o.first_layer, o.experts - 1, weights)
    metadata = {"format": "pt"}
    if model.weight_on_input:
        metadata["weight_on_input"] = "true"
    write_safetensors(path, tensors, metadata)


# ------------------------------------------------------------------ safetensors

def safetensors_tensors(source, family, layout, o):
    def others(names):
        return [other_tensor(o, *name) for name in names]

    made = others(family.first(o))
    for number in range(o.first_layer + o.layers):
        layer = family.layer(number)
        made += others(family.any_layer(layer, o))
        if number < o.first_layer:
            made += others(family.dense_layer(layer, o))
        else:
            made += others(family.moe_layer(layer, o))
            made += LAYOUTS[layout](source, family, o, layer, number)
    made += others(family.last(o))
    if o.mtp:
        number = o.first_layer + o.layers
        layer = family.mtp_layer(number)
        made += others(family.mtp_others(layer, o))
        made += others(family.any_layer(layer, o))
        made += others(family.moe_layer(layer, o))
        made += LAYOUTS[layout](source, family, o, layer, number)
    return made


def write_folder(scheme, family, o):
    source = Source(o, scheme.choose)
    tensors = safetensors_tensors(source, family, scheme.layout, o)
    write_checkpoint(o.out, tensors, o.shards,
                     family.config(o, scheme.quantization(o, family)))

    def decoded(name, shape, kind):
        dtype, data = other(o, name, shape, kind)
        return numbers.decode(data, dtype)

    def router(layer):
        name = family.layer(layer)
        weight, bias = family.router_names(name)
        return (
            decoded(weight, (o.experts, o.hidden), "router"),
            decoded(bias, (o.experts,), "model") if bias else None,
            decoded(name + family.block + "." + family.correction,
                    (o.experts,), "f32") if family.correction else None)

    if o.expect:
        write_expected(os.path.join(o.out, "expected.safetensors"), o,
                       Model(source, family, router))


# ------------------------------------------------------------------------- GGUF

# The file_type of files that are mostly of a type.
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8,
              "Q5_1": 9, "Q2_K": 10, "Q4_K": 14, "Q5_K": 16, "Q6_K": 18,
              "IQ4_NL": 25, "BF16": 32, "MXFP4": 38}


def gguf_keys(arch, family, o, kind):
    def key(name):
        return arch + "." + name

    n_layers = o.first_layer + o.layers
    keys = [
        ("general.architecture", STRING, arch),
        ("general.name", STRING, "made for tests"),
        ("general.file_type", U32, FILE_TYPES[kind]),
        ("general.quantization_version", U32, 2),
        ("general.tags", STRING, ["tiny", "random"]),
        (key("block_count"), U32, n_layers),
        (key("context_length"), U32, 2048),
        (key("embedding_length"), U32, o.hidden),
        (key("feed_forward_length"), U32, 2 * o.intermediate),
        (key("attention.head_count"), U32, 4),
        (key("attention.head_count_kv"), U32, 2),
        (key("attention.layer_norm_rms_epsilon"), F32, 1e-6),
        (key("expert_count"), U32, o.experts),
        (key("expert_used_count"), U32, o.top_k),
        (key("expert_feed_forward_length"), U32, o.intermediate)]
    if issubclass(family, DeepseekV3):
        n_group, topk_group = groups(o)
        keys += [
            (key("leading_dense_block_count"), U32, o.first_layer),
            (key("expert_shared_count"), U32, 1),
            (key("expert_weights_scale"), F32, 2.5),
            (key("expert_weights_norm"), BOOL, True),
            (key("expert_gating_func"), U32, 2),
            (key("expert_group_count"), U32, n_group),
            (key("expert_group_used_count"), U32, topk_group)]
    return keys + [
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.tokens", STRING,
         ["t%d" % i for i in range(VOCABULARY)])]


def gguf_shape(one):
    """A tensor whose innermost axis counts elements, not blocks."""
    _, n_elements, _ = GGUF_TYPES[one.dtype]
    shape = tuple(one.shape)
    return one._replace(shape=shape[:-1] + (shape[-1] * n_elements,))


def gguf_experts(source, o, block, layer):
    """The experts of a layer in the form of o.gguf_layout."""
    words = ("gate", "up", "down")
    endings = source.sample(0, GATE).parts
    made = []
    if o.gguf_layout == "split":
        for p, word in enumerate(words):
            for e in range(o.experts):
                stem = "%sffn_%s.%d." % (block, word, e)
                made += source.tensors(layer, e, p, lambda end, s=stem: s + end)
    elif o.gguf_layout == "gate-up":
        made += [source.fused(layer, block + "ffn_gate_up_exps." + end, BOTH,
                              concatenated(end)) for end in endings]
    if o.gguf_layout != "split":
        chosen = (DOWN,) if o.gguf_layout == "gate-up" else (GATE, UP, DOWN)
        made += [source.fused(layer, "%sffn_%s_exps.%s" % (
            block, words[p], end), (p,), only(end))
                 for p in chosen for end in endings]
    return [gguf_shape(one) for one in made]


def gguf_other(o, name, shape, std):
    """A tensor of fp32, whose values the model's type holds, and a function
    that returns them in float64."""
    def values():
        rng = generator(o, 6, *name.encode())
        stored = numbers.encode(rng.normal(0, std, shape), o.x_dtype)
        return numbers.decode(stored, o.x_dtype)
    return Tensor(name, "F32", shape, 4 * int(np.prod(shape)),
                  lambda: [values().astype("<f4")]), values


def gguf_layer(o, family, number):
    """The names of a layer's other tensors, their shapes and spreads."""
    block = "blk.%d." % number
    h, i = o.hidden, o.intermediate
    names = [(block + "attn_norm.weight", (h,), .1),
             (block + "attn_q.weight", (64, h), .1),
             (block + "attn_output.weight", (h, 64), .1),
             (block + "ffn_norm.weight", (h,), .1)]
    if number < o.first_layer:
        return names + [(block + "ffn_gate.weight", (2 * i, h), .1),
                        (block + "ffn_up.weight", (2 * i, h), .1),
                        (block + "ffn_down.weight", (h, 2 * i), .1)]
    names.append((block + "ffn_gate_inp.weight", (o.experts, h), h ** -.5))
    if family is GptOss:
        names += [(block + "ffn_gate_inp.bias", (o.experts,), .1),
                  (block + "attn_sinks.weight", (4,), .1)]
    if issubclass(family, DeepseekV3):
        names += [(block + "exp_probs_b.bias", (o.experts,), .1),
                  (block + "ffn_gate_shexp.weight", (i, h), .1),
                  (block + "ffn_up_shexp.weight", (i, h), .1),
                  (block + "ffn_down_shexp.weight", (h, i), .1)]
    return names


def write_gguf_file(scheme, arch, family, o):
    source = Source(o, scheme.choose)
    h = o.hidden
    tensors = [gguf_other(o, "token_embd.weight", (VOCABULARY, h), .1)[0]]
    for number in range(o.first_layer + o.layers):
        tensors += [gguf_other(o, *name)[0]
                    for name in gguf_layer(o, family, number)]
        if number >= o.first_layer:
            tensors += gguf_experts(source, o, "blk.%d." % number, number)
    tensors += [gguf_other(o, "output_norm.weight", (h,), .1)[0],
                gguf_other(o, "output.weight", (VOCABULARY, h), .1)[0]]
    kind = source.sample(0, GATE).parts["weight"].dtype
    keys = gguf_keys(arch, family, o, kind)
    if o.split > 1:
        write_gguf_split(o.out, keys, tensors, o.split)
    else:
        write_gguf(o.out, keys, tensors)

    def router(layer):
        values = {name: gguf_other(o, name, shape, std)[1]()
                  for name, shape, std in gguf_layer(o, family, layer)
                  if ".ffn_gate_inp." in name}
        stem = "blk.%d.ffn_gate_inp." % layer
        return values[stem + "weight"], values.get(stem + "bias"), None

    if o.expect:
        write_expected(o.out[:-len(".gguf")] + ".expected.safetensors", o,
                       Model(source, family, router))
