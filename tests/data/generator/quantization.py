# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""quantization_config of each scheme: functions of the options and the family,
which return it, or None."""

NOT_QUANTISED = ["lm_head", "re:.*(mlp|block_sparse_moe|feed_forward).gate$",
                 "re:.*router.*", "re:.*attn.*", "re:.*shared_expert.*",
                 "re:.*eh_proj$"]


def ct_weights(group_size, bits=4, symmetric=True, actorder=None, kind="int",
               strategy="group"):
    return {"num_bits": bits, "type": kind, "symmetric": symmetric,
            "strategy": strategy, "group_size": group_size,
            "actorder": actorder, "block_structure": None, "dynamic": False,
            "observer": "minmax", "observer_kwargs": {}}


def ct_config(groups, form="pack-quantized", ignore=()):
    """groups: list of (targets, weights)."""
    return {
        "quant_method": "compressed-tensors", "format": form,
        "quantization_status": "compressed", "kv_cache_scheme": None,
        "ignore": NOT_QUANTISED + list(ignore),
        "config_groups": {
            "group_%d" % i: {"targets": targets, "input_activations": None,
                             "output_activations": None, "weights": weights}
            for i, (targets, weights) in enumerate(groups)}}


def ct(form="pack-quantized", **options):
    def config(o, _):
        weights = ct_weights(**dict({"group_size": o.group_size}, **options))
        return ct_config([(["Linear"], weights)], form)
    return config


def expert_names(o, family, chosen):
    """Modules (layer, expert, projection) that are chosen(e, p)."""
    return ["%s%s.experts.%d.%s" % (family.layer(layer), family.block, e, word)
            for layer in range(o.first_layer, o.first_layer + o.layers)
            for e in range(o.experts)
            for p, word in enumerate(family.projections) if chosen(e, p)]


def ct_unquantized(chosen):
    def config(o, family):
        return ct_config([(["Linear"], ct_weights(o.group_size))],
                         ignore=expert_names(o, family, chosen))
    return config


def ct_mixed_zeros(chosen):
    def config(o, family):
        return ct_config([
            (expert_names(o, family, chosen),
             ct_weights(o.group_size, symmetric=False)),
            (["Linear"], ct_weights(o.group_size))])
    return config


def ct_mixed_groups(o, family):
    gate, up, down = family.projections
    return ct_config([
        (["re:.*experts\\.\\d+\\.(%s|%s)$" % (gate, up)],
         ct_weights(o.group_size)),
        (["re:.*experts\\.\\d+\\.%s$" % down], ct_weights(64))])


def gptq(symmetric, label="gptq", descact=False, bits=4, **others):
    def config(o, _):
        return dict({
            "quant_method": "gptq", "bits": bits, "group_size": o.group_size,
            "desc_act": descact, "sym": symmetric, "checkpoint_format": label,
            "damp_percent": 0.01, "true_sequential": True}, **others)
    return config


def awq(version="gemm"):
    def config(o, family):
        return {"quant_method": "awq", "bits": 4, "group_size": o.group_size,
                "zero_point": True, "version": version,
                "modules_to_not_convert": [family.router]}
    return config


def autoround(packing, symmetric):
    def config(o, _):
        return {"quant_method": "auto-round",
                "packing_format": "auto_round:" + packing, "bits": 4,
                "group_size": o.group_size, "sym": symmetric,
                "data_type": "int", "iters": 200,
                "block_name_to_quantize": "model.layers"}
    return config


def gptoss(*_):
    return {"quant_method": "mxfp4", "modules_to_not_convert": [
        "model.layers.*.self_attn", "model.layers.*.mlp.router",
        "model.embed_tokens", "lm_head"]}


def fp8(scale_format=None):
    def config(*_):
        config = {"quant_method": "fp8", "fmt": "e4m3",
                  "activation_scheme": "dynamic",
                  "weight_block_size": [128, 128]}
        if scale_format is not None:
            config["scale_fmt"] = scale_format
        return config
    return config


def none(*_):
    return None
