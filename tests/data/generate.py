#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Makes a mixture-of-experts checkpoint of random weights in one of many
schemes, and what must come out of it in float64.

OUT is a folder; for the schemes gguf-* it is a file NAME.gguf. The expectation
is OUT/expected.safetensors or NAME.expected.safetensors, with the tensors that
tests/data/README.md lists. The same options make the same files. Needs Python
3.9 and numpy. Status: 0, 1 on errors, 2 on wrong usage.
"""
import argparse
import sys

# This folder goes into the distribution as it is.
sys.dont_write_bytecode = True

from generator import blocks, layouts, model, quantization as q  # noqa: E402
from generator import refused, schemes as s  # noqa: E402
from generator.source import DOWN, with_bias  # noqa: E402

TORCH_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
DTYPES = {"bf16": "BF16", "fp16": "F16"}


class Scheme:
    """choose: a packer, or a function (e, p) of expert and projection that
    returns one. names: a family of layouts.FAMILIES by default, or the only
    family. sizes: default hidden and intermediate size. step: what both must be
    multiples of."""

    def __init__(self, choose, quantization=q.none, layout="separate",
                 names="qwen3_moe", dtype="bf16", only_dtype=None,
                 sizes=(128, 96), step=8, expect=True):
        self.packers = choose
        self.quantization = quantization
        self.layout = layout
        self.names = names
        self.dtype = dtype
        self.only_dtype = only_dtype
        self.sizes = sizes
        self.step = step
        self.expect = expect

    def choose(self, e, p):
        return self.packers(e, p)


def always(packer):
    return lambda e, p: packer


def is_plain(e, _):
    """Experts that a quantiser left out."""
    return e % 4 == 1


def is_asymmetric(e, p):
    return (e + p) % 2 == 1


def unquantized(e, p):
    return s.plain_model if is_plain(e, p) else s.ct_sym


def mixed_groups(_, p):
    return s.ct_sym_64 if p == DOWN else s.ct_sym


def mixed_zeros(e, p):
    return s.ct_asym if is_asymmetric(e, p) else s.ct_sym


def ct(packer, **weights):
    return Scheme(always(packer), q.ct(**weights))


def gptq(packer, symmetric, label="gptq", **more):
    return Scheme(always(packer), q.gptq(symmetric, label, **more),
                  dtype="fp16")


def fused(packer, layout, family, **others):
    return Scheme(always(packer), layout=layout, names=family, **others)


MX = {"form": "mxfp4-pack-quantized", "group_size": 32, "kind": "float"}
NVFP4 = {"form": "nvfp4-pack-quantized", "group_size": 16, "kind": "float",
         "strategy": "tensor_group"}
GPTOSS = always(with_bias(s.gptoss_mxfp4))
BF16 = s.plain("BF16")

SCHEMES = {
    "ct-sym": ct(s.ct_sym),
    "ct-asym": ct(s.ct_asym, symmetric=False),
    "ct-channel": ct(s.ct_channel, group_size=None, strategy="channel"),
    "ct-actorder": ct(s.ct_actorder, actorder="group"),
    "ct-mxfp4": Scheme(always(s.ct_mxfp4), q.ct(**MX), step=32),
    "gptq-v1-sym": gptq(s.gptq_v1_sym, True),
    "gptq-v1-asym": gptq(s.gptq_v1_asym, False),
    "gptq-v2-sym": gptq(s.gptq_v2_sym, True, "gptq_v2"),
    "gptq-v2-asym": gptq(s.gptq_v2_asym, False, "gptq_v2"),
    "gptq-mislabelled": gptq(s.gptq_v2_sym, True),
    "gptq-descact": gptq(s.gptq_descact, False, descact=True),
    "autoround-gptq": Scheme(always(s.gptq_v1_sym),
                             q.autoround("auto_gptq", True), dtype="fp16"),
    "autoround-awq": Scheme(always(s.awq), q.autoround("auto_awq", False),
                            dtype="fp16"),
    "awq": Scheme(always(s.awq), q.awq(), dtype="fp16"),
    "gptoss": Scheme(GPTOSS, q.gptoss, "gptoss", layouts.GptOss, step=32),
    "gptoss-original": Scheme(GPTOSS, q.none, "gptoss-original",
                              layouts.GptOssOriginal, step=32),
    "gptoss-bf16": fused(with_bias(BF16), "gptoss-bf16", layouts.GptOss,
                         only_dtype="BF16"),
    "deepseek-v4": Scheme(always(s.deepseek_mxfp4), q.fp8("ue8m0"),
                          names=layouts.DeepseekV4, step=32),
    "fp8-block": Scheme(always(s.fp8_block), q.fp8(), names="deepseek_v3"),
    "bf16": Scheme(always(BF16), only_dtype="BF16"),
    "fp16": Scheme(always(s.plain("F16")), only_dtype="F16"),
    "fp32": Scheme(always(s.plain("F32")), only_dtype="F32"),
    "qwen3_5-bf16": fused(BF16, "fused", layouts.Qwen35, only_dtype="BF16"),
    "qwen3_vl-bf16": fused(BF16, "fused-transposed", layouts.Qwen3Vl,
                           only_dtype="BF16"),
    "llama4-bf16": fused(BF16, "fused-transposed", layouts.Llama4,
                         only_dtype="BF16"),
    "granite-bf16": fused(BF16, "granite", layouts.Granite, only_dtype="BF16"),
    "mixed-unquantized": Scheme(unquantized, q.ct_unquantized(is_plain)),
    "mixed-groups": Scheme(mixed_groups, q.ct_mixed_groups, sizes=(128, 128)),
    "mixed-zeros": Scheme(mixed_zeros, q.ct_mixed_zeros(is_asymmetric)),
    "refuse-nvfp4": Scheme(always(refused.nvfp4), q.ct(**NVFP4), step=16,
                           expect=False),
    "refuse-marlin": Scheme(
        always(refused.marlin),
        q.gptq(True, "marlin", is_marlin_format=True), dtype="fp16", step=16,
        expect=False),
    "refuse-gemv": Scheme(always(refused.gemv), q.awq("gemv"), dtype="fp16",
                          expect=False),
    "refuse-3bit": Scheme(always(refused.ct_bits(3)), q.ct(bits=3),
                          expect=False),
    "refuse-8bit": Scheme(always(refused.ct_bits(8)), q.ct(bits=8),
                          expect=False),
    "refuse-gptq-8bit": Scheme(always(refused.gptq_8bit), q.gptq(True, bits=8),
                               dtype="fp16", expect=False),
}


def gguf(packer, down=None, step=32, **others):
    def choose(_, p):
        return down if down is not None and p == DOWN else packer
    sizes = (256, 256) if step == 256 else (128, 96)
    return Scheme(choose, layout="gguf", sizes=sizes, step=step, **others)


SCHEMES.update({
    "gguf-q4_0": gguf(blocks.q4_0), "gguf-q4_1": gguf(blocks.q4_1),
    "gguf-q4_k": gguf(blocks.q4_k, step=256), "gguf-mxfp4": gguf(blocks.mxfp4),
    "gguf-q5_0": gguf(blocks.q5_0), "gguf-q5_1": gguf(blocks.q5_1),
    "gguf-q5_k": gguf(blocks.q5_k, step=256),
    "gguf-q6_k": gguf(blocks.q6_k, step=256), "gguf-q8_0": gguf(blocks.q8_0),
    "gguf-iq4_nl": gguf(blocks.iq4_nl),
    "gguf-f16": gguf(s.plain("F16"), step=8),
    "gguf-bf16": gguf(s.plain("BF16"), step=8),
    "gguf-f32": gguf(s.plain("F32"), step=8),
    "gguf-q4_k_m-like": gguf(blocks.q4_k, blocks.q6_k, step=256),
    "refuse-gguf-q2_k": gguf(blocks.q2_k, step=256, expect=False),
})

# --names of GGUF: architecture and family.
ARCHITECTURES = {
    "qwen3_moe": ("qwen3moe", layouts.Qwen3Moe),
    "gpt-oss": ("gpt-oss", layouts.GptOss),
    "deepseek_v3": ("deepseek2", layouts.DeepseekV3),
}


def parser():
    p = argparse.ArgumentParser(
        usage="generate.py SCHEME OUT [option]... | --list",
        description=__doc__.split("\n\n")[0])
    p.add_argument("scheme", metavar="SCHEME", nargs="?")
    p.add_argument("out", metavar="OUT", nargs="?")
    p.add_argument("--list", action="store_true", help="print the schemes")
    p.add_argument("--layers", type=int, default=1, help="layers with experts")
    p.add_argument("--first-layer", type=int, default=0, metavar="L",
                   help="the first of them; those before are dense")
    p.add_argument("--experts", type=int, default=4)
    p.add_argument("--top-k", type=int, help="default: 2; llama4: 1")
    p.add_argument("--hidden", type=int, help="default: 128 or 256")
    p.add_argument("--intermediate", type=int, help="default: 96 to 256")
    p.add_argument("--group-size", type=int, default=32)
    p.add_argument("--tokens", type=int, default=5)
    p.add_argument("--dtype", choices=DTYPES, help="default: by scheme")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--names", metavar="FAMILY", help="one of " + ", ".join(
        list(layouts.FAMILIES)) + "; of GGUF: " + ", ".join(ARCHITECTURES))
    p.add_argument("--mtp", action="store_true",
                   help="experts of a layer that predicts further tokens")
    p.add_argument("--zero-wrap", action="store_true",
                   help="gptq-v1-asym, gptq-descact: some zeros are 0")
    p.add_argument("--gguf-layout", choices=("fused", "gate-up", "split"),
                   default="fused")
    p.add_argument("--split", type=int, default=1, metavar="N",
                   help="GGUF: into N files")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--routed", action="store_true",
                   help="expect what the model's own router chooses, not what "
                   "is drawn")
    p.add_argument("--no-expected", dest="expect", action="store_false")
    p.add_argument("--fast", action="store_true",
                   help="the same few matrices for all experts, turned; "
                   "no expectation")
    return p


def check(p, o, scheme):
    """Ends with a message about options that do not fit."""
    for name in ("layers", "experts", "top_k", "hidden", "intermediate",
                 "group_size", "tokens", "shards", "split"):
        if getattr(o, name) < 1:
            p.error("--%s must be positive" % name.replace("_", "-"))
    if o.first_layer < 0 or o.seed < 0:
        p.error("--first-layer and --seed must not be negative")
    if o.top_k > o.experts:
        p.error("--top-k %d of %d experts" % (o.top_k, o.experts))
    if o.hidden % scheme.step or o.intermediate % scheme.step:
        p.error("sizes %d and %d: %s needs multiples of %d" % (
            o.hidden, o.intermediate, o.scheme, scheme.step))
    is_gguf = scheme.layout == "gguf"
    if is_gguf and (not o.out.endswith(".gguf") or o.shards != 1):
        p.error("%s writes a file NAME.gguf, split by --split" % o.scheme)
    if not is_gguf and (o.split != 1 or o.gguf_layout != "fused"):
        p.error("%s is no GGUF scheme" % o.scheme)
    if o.routed and is_gguf:
        p.error("no --routed with GGUF")
    if o.mtp and (is_gguf or o.family.mtp is None):
        p.error("no --mtp with these names")


def choose_family(p, o, scheme):
    """The family, and the architecture of GGUF or None."""
    if scheme.layout == "gguf":
        names = o.names or scheme.names
        if names not in ARCHITECTURES:
            p.error("--names of GGUF: " + ", ".join(ARCHITECTURES))
        return ARCHITECTURES[names]
    if not isinstance(scheme.names, str):
        if o.names is not None:
            p.error("%s has names of its own" % o.scheme)
        return None, scheme.names
    names = o.names or scheme.names
    if names not in layouts.FAMILIES:
        p.error("--names: " + ", ".join(layouts.FAMILIES))
    return None, layouts.FAMILIES[names]


def options(argv):
    p = parser()
    o = p.parse_intermixed_args(argv)
    if o.list:
        return o, None
    if o.scheme is None or o.out is None:
        p.error("SCHEME and OUT are needed")
    if o.scheme not in SCHEMES:
        p.error("no scheme %s; --list prints them" % o.scheme)
    scheme = SCHEMES[o.scheme]
    o.arch, o.family = choose_family(p, o, scheme)
    o.dtype = scheme.only_dtype or DTYPES[o.dtype or scheme.dtype]
    o.x_dtype = "BF16" if o.dtype == "F32" else o.dtype
    o.torch_dtype = TORCH_DTYPES[o.dtype]
    if o.hidden is None:
        o.hidden = scheme.sizes[0]
    if o.intermediate is None:
        o.intermediate = scheme.sizes[1]
    if o.top_k is None:
        o.top_k = 1 if o.family is layouts.Llama4 else min(2, o.experts)
    o.expect = o.expect and scheme.expect and not o.fast
    check(p, o, scheme)
    return o, scheme


def main(argv):
    o, scheme = options(argv)
    if o.list:
        print("\n".join(SCHEMES))
    elif scheme.layout == "gguf":
        if o.family is layouts.GptOss:
            scheme = with_biases(scheme)
        model.write_gguf_file(scheme, o.arch, o.family, o)
    else:
        model.write_folder(scheme, o.family(), o)


def with_biases(scheme):
    """The scheme, of matrices with biases."""
    made = {}

    def choose(e, p):
        packer = scheme.choose(e, p)
        return made.setdefault(packer, with_bias(packer, "F32"))
    return Scheme(choose, layout="gguf")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit("generate.py: %s" % error)
