# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Families of models: names of tensors and fields of config.json.

Besides experts, a checkpoint gets a few other tensors of its family, with small
sizes where a converter does not look: embedding, norms, attention, routers,
shared experts, dense layers.
"""
GATE_UP_DOWN = ("gate_proj", "up_proj", "down_proj")
W1_W3_W2 = ("w1", "w3", "w2")

VOCABULARY = 64
# Of all heads of attention together.
ATTENTION = 64


def groups(o):
    """n_group and topk_group that leave at least top_k experts."""
    if o.experts % 2 == 0 and o.experts // 2 >= max(o.top_k, 2):
        return 2, 1
    return 1, 1


class Family:
    """Names and fields of ordinary families; others replace what differs. Each
    has a model_type, an architecture, and fields(o): what config.json says
    about experts."""

    model_type, architecture = None, None

    embedding, norm, head = "embed_tokens", "norm", "lm_head"
    prefix, head_prefix = "model.", ""
    layer_word = "layers"
    block = "mlp"
    projections = GATE_UP_DOWN
    router = "gate"
    # Whether the router has a bias that is a part of the logits.
    router_bias = False
    # Name in the block of what is added to scores only to choose.
    correction = None
    # How experts are chosen: a function of routing.py, and factors.
    routing, renormalize, scale = "softmax", True, 1.0
    shared = None
    layer_norms = ("input_layernorm.weight", "post_attention_layernorm.weight")
    attention = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                 "self_attn.o_proj")
    # How layers for the prediction of further tokens are named, if any.
    mtp = None
    activation, limit, weight_on_input = "silu", 0, False
    # model_type and architecture of the model around the language model.
    outer = None
    hidden_act = "silu"

    def layer(self, number):
        return "%s%s.%d." % (self.prefix, self.layer_word, number)

    def mtp_layer(self, number):
        """The layer after the last, in the main model's names or in others."""
        return self.layer(number) if self.mtp == "layer" else self.mtp

    def fields(self, o):
        raise NotImplementedError

    def text_config(self, o):
        config = {"architectures": [self.architecture],
                  "model_type": self.model_type,
                  "hidden_size": o.hidden,
                  "num_hidden_layers": o.first_layer + o.layers}
        if self.hidden_act:
            config["hidden_act"] = self.hidden_act
        config.update({
            "num_attention_heads": 4, "num_key_value_heads": 2,
            "vocab_size": VOCABULARY, "torch_dtype": o.torch_dtype,
            "num_experts_per_tok": o.top_k})
        config.update(self.fields(o))
        return config

    def config(self, o, quantization):
        config = self.text_config(o)
        if self.outer is not None:
            del config["architectures"]
            config = {"architectures": [self.outer[1]],
                      "model_type": self.outer[0], "text_config": config,
                      "vision_config": {"model_type": "vision",
                                        "hidden_size": 32}}
        if quantization is not None:
            config["quantization_config"] = quantization
        return config

    # Other tensors: lists of (name, shape, kind), where kind is "model"
    # (normally distributed, in the model's type), "one", "router", "f32", or a
    # type; see other() in source.py.

    def first(self, o):
        names = [(self.prefix + self.embedding + ".weight",
                  (VOCABULARY, o.hidden), "model")]
        if self.outer is not None:
            names.append(("vision_tower.blocks.0.mlp.fc1.weight", (32, 32),
                          "model"))
        return names

    def last(self, o):
        return [(self.prefix + self.norm + ".weight", (o.hidden,), "one"),
                (self.head_prefix + self.head + ".weight",
                 (VOCABULARY, o.hidden), "model")]

    def router_names(self, layer):
        """Weight and bias, or None, of a layer given by its name."""
        name = layer + self.block + "." + self.router
        return name + ".weight", name + ".bias" if self.router_bias else None

    def any_layer(self, layer, o):
        names = [(layer + norm, (o.hidden,), "one")
                 for norm in self.layer_norms]
        for i, name in enumerate(self.attention):
            rows = ATTENTION if i in (0, 3) else ATTENTION // 2
            shape = (o.hidden, rows) if i == 3 else (rows, o.hidden)
            names.append((layer + name + ".weight", shape, "model"))
        return names

    def three(self, name, width, o):
        """gate, up and down of an ordinary MLP."""
        shapes = [(width, o.hidden), (width, o.hidden), (o.hidden, width)]
        return [("%s.%s.weight" % (name, word), shape, "model")
                for word, shape in zip(self.projections, shapes)]

    def dense_layer(self, layer, o):
        return self.three(layer + self.block, 2 * o.intermediate, o)

    def moe_layer(self, layer, o):
        weight, bias = self.router_names(layer)
        names = [(weight, (o.experts, o.hidden), "router")]
        if bias is not None:
            names.append((bias, (o.experts,), "model"))
        if self.correction is not None:
            names.append((layer + self.block + "." + self.correction,
                          (o.experts,), "f32"))
        if self.shared is not None:
            name = layer + self.block + "." + self.shared
            names += self.three(name, o.intermediate, o)
        return names

    def mtp_others(self, layer, o):
        """What such a layer has besides those of any layer."""
        return [(layer + "enorm.weight", (o.hidden,), "one"),
                (layer + "hnorm.weight", (o.hidden,), "one"),
                (layer + "eh_proj.weight", (o.hidden, 2 * o.hidden), "model")]


class Qwen3Moe(Family):
    model_type, architecture = "qwen3_moe", "Qwen3MoeForCausalLM"

    def fields(self, o):
        return {"num_experts": o.experts,
                "moe_intermediate_size": o.intermediate,
                "intermediate_size": 2 * o.intermediate,
                "norm_topk_prob": True, "decoder_sparse_step": 1,
                "mlp_only_layers": list(range(o.first_layer))}


class Qwen3Next(Qwen3Moe):
    model_type, architecture = "qwen3_next", "Qwen3NextForCausalLM"
    shared = "shared_expert"
    attention = ("linear_attn.in_proj_qkvz", "linear_attn.in_proj_ba",
                 "self_attn.v_proj", "linear_attn.out_proj")
    mtp = "mtp.layers.0."

    def fields(self, o):
        return dict(super().fields(o),
                    shared_expert_intermediate_size=o.intermediate)

    def moe_layer(self, layer, o):
        return super().moe_layer(layer, o) + [
            (layer + self.block + ".shared_expert_gate.weight", (1, o.hidden),
             "model")]

    def mtp_others(self, layer, o):
        return [("mtp.fc.weight", (o.hidden, 2 * o.hidden), "model")]


class Qwen35(Qwen3Next):
    model_type, architecture = "qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"
    outer = ("qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration")
    prefix = "model.language_model."

    def fields(self, o):
        fields = super().fields(o)
        for name in ("norm_topk_prob", "decoder_sparse_step",
                     "mlp_only_layers", "intermediate_size"):
            del fields[name]
        return fields


class Qwen3Vl(Qwen3Moe):
    model_type, architecture = "qwen3_vl_moe_text", "Qwen3VLMoeForCausalLM"
    outer = ("qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration")
    prefix = "model.language_model."


class Mixtral(Family):
    model_type, architecture = "mixtral", "MixtralForCausalLM"
    block, projections = "block_sparse_moe", W1_W3_W2

    def fields(self, o):
        return {"num_local_experts": o.experts,
                "intermediate_size": o.intermediate}


class MiniMaxM2(Mixtral):
    model_type, architecture = "minimax_m2", "MiniMaxM2ForCausalLM"
    correction, routing = "e_score_correction_bias", "sigmoid"

    def fields(self, o):
        return dict(super().fields(o), scoring_func="sigmoid",
                    use_routing_bias=True, shared_intermediate_size=0)


class DeepseekV3(Family):
    model_type, architecture = "deepseek_v3", "DeepseekV3ForCausalLM"
    correction, shared = "gate.e_score_correction_bias", "shared_experts"
    routing, scale = "grouped_sigmoid", 2.5
    mtp = "layer"

    def fields(self, o):
        n_group, topk_group = groups(o)
        return {"n_routed_experts": o.experts,
                "moe_intermediate_size": o.intermediate,
                "intermediate_size": 2 * o.intermediate,
                "n_shared_experts": 1, "scoring_func": "sigmoid",
                "topk_method": "noaux_tc", "n_group": n_group,
                "topk_group": topk_group, "routed_scaling_factor": 2.5,
                "norm_topk_prob": True, "moe_layer_freq": 1,
                "first_k_dense_replace": o.first_layer,
                "num_nextn_predict_layers": int(o.mtp)}


class KimiK25(DeepseekV3):
    model_type, architecture = "kimi_k2", "DeepseekV3ForCausalLM"
    outer = ("kimi_k25", "KimiK25ForConditionalGeneration")
    prefix, head_prefix = "language_model.model.", "language_model."

    def config(self, o, quantization):
        """The quantisation is among the language model's fields."""
        config = super().config(o, None)
        if quantization is not None:
            config["text_config"]["quantization_config"] = quantization
        return config


class Glm4Moe(DeepseekV3):
    model_type, architecture = "glm4_moe", "Glm4MoeForCausalLM"
    routing, scale = "sigmoid", 1.0

    def fields(self, o):
        fields = dict(super().fields(o), n_group=1, topk_group=1,
                      routed_scaling_factor=1.0)
        for name in ("scoring_func", "topk_method", "moe_layer_freq"):
            del fields[name]
        return fields


class Llama4(Family):
    model_type, architecture = "llama4_text", "Llama4ForCausalLM"
    outer = ("llama4", "Llama4ForConditionalGeneration")
    prefix, head_prefix = "language_model.model.", "language_model."
    block, router, shared = "feed_forward", "router", "shared_expert"
    weight_on_input = True
    routing, renormalize = "sigmoid_of_logits", False

    def fields(self, o):
        return {"num_local_experts": o.experts,
                "intermediate_size": o.intermediate,
                "intermediate_size_mlp": 2 * o.intermediate,
                "interleave_moe_layer_step": 1,
                "moe_layers": list(range(o.first_layer,
                                         o.first_layer + o.layers))}


class Lfm2(Family):
    model_type, architecture = "lfm2_moe", "Lfm2MoeForCausalLM"
    block, projections = "feed_forward", W1_W3_W2
    correction, routing = "expert_bias", "sigmoid"
    layer_norms = ("operator_norm.weight", "ffn_norm.weight")
    norm = "embedding_norm"
    hidden_act = None

    def fields(self, o):
        return {"num_experts": o.experts,
                "moe_intermediate_size": o.intermediate,
                "intermediate_size": 2 * o.intermediate,
                "num_dense_layers": o.first_layer, "norm_topk_prob": True,
                "use_expert_bias": True, "routed_scaling_factor": 1.0}


class Granite(Family):
    model_type, architecture = "granitemoe", "GraniteMoeForCausalLM"
    block, router = "block_sparse_moe", "router.layer"

    def fields(self, o):
        return {"num_local_experts": o.experts,
                "intermediate_size": o.intermediate}


class GptOss(Family):
    model_type, architecture = "gpt_oss", "GptOssForCausalLM"
    router, router_bias = "router", True
    activation, limit = "swigluoai", 7.0

    def fields(self, o):
        return {"num_local_experts": o.experts, "experts_per_token": o.top_k,
                "intermediate_size": o.intermediate, "swiglu_limit": 7.0}

    def any_layer(self, layer, o):
        return super().any_layer(layer, o) + [
            (layer + "self_attn.sinks", (4,), "model"),
            (layer + "self_attn.o_proj.bias", (o.hidden,), "model")]


class GptOssOriginal(GptOss):
    """The release in its own names; its config does not say what it is."""
    prefix, layer_word, router = "", "block", "gate"
    embedding, norm, head = "embedding", "norm", "unembedding"
    layer_norms = ("attn.norm.scale", "mlp.norm.scale")
    attention = ()

    def config(self, o, quantization):
        return {"num_hidden_layers": o.first_layer + o.layers,
                "num_experts": o.experts, "experts_per_token": o.top_k,
                "vocab_size": VOCABULARY, "hidden_size": o.hidden,
                "intermediate_size": o.intermediate, "swiglu_limit": 7.0,
                "head_dim": 16, "num_attention_heads": 4,
                "num_key_value_heads": 2, "sliding_window": 128,
                "initial_context_length": 4096, "rope_theta": 150000}

    def last(self, o):
        return [("norm.scale", (o.hidden,), "one"),
                ("unembedding.weight", (VOCABULARY, o.hidden), "model")]

    def any_layer(self, layer, o):
        return Family.any_layer(self, layer, o) + [
            (layer + "attn.qkv.weight", (2 * ATTENTION, o.hidden), "model"),
            (layer + "attn.qkv.bias", (2 * ATTENTION,), "model"),
            (layer + "attn.sinks", (4,), "model")]


class DeepseekV4(Family):
    model_type, architecture = "deepseek_v4", "DeepseekV4ForCausalLM"
    prefix, block, projections = "", "ffn", W1_W3_W2
    embedding, head = "embed", "head"
    layer_norms = ("attn_norm.weight", "ffn_norm.weight")
    attention = ("attn.wq_a", "attn.wq_b", "attn.wkv", "attn.wo_a")
    correction, shared, limit = "gate.bias", "shared_experts", 10.0
    routing, scale = "sqrt_softplus", 1.5
    mtp = "mtp.0."

    def fields(self, o):
        return {"n_routed_experts": o.experts,
                "moe_intermediate_size": o.intermediate,
                "n_shared_experts": 1, "scoring_func": "sqrtsoftplus",
                "topk_method": "noaux_tc", "norm_topk_prob": True,
                "routed_scaling_factor": 1.5, "swiglu_limit": 10.0,
                "num_hash_layers": 0, "expert_dtype": "fp4",
                "num_nextn_predict_layers": int(o.mtp)}

    def three(self, name, width, o):
        """Shared experts are in 8 bits."""
        names = []
        for weight, shape, _ in super().three(name, width, o):
            scale = weight[:-len("weight")] + "scale"
            blocks = tuple(-(-n // 128) for n in shape)
            names += [(weight, shape, "F8_E4M3"), (scale, blocks, "F8_E8M0")]
        return names


# Families for schemes of one matrix for each projection of each expert.
FAMILIES = {
    "qwen3_moe": Qwen3Moe, "mixtral": Mixtral, "deepseek_v3": DeepseekV3,
    "kimi_k2_5": KimiK25, "qwen3_next": Qwen3Next, "minimax_m2": MiniMaxM2,
    "glm4_moe": Glm4Moe, "llama4": Llama4, "lfm2": Lfm2, "granite": Granite,
}
