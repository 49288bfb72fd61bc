/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the keys and names of a GGUF checkpoint tell, and checkpoints that are
 * refused, each with a text that says why. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "gguf_model.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static w4moe_convert_options options;

static void
setup(void)
{
    ct_ctx_setup();
    options = ct_options(W4MOE_ORDER_TILE);
    options.dry_run = 1;
}

/* ------------------------------------------------------------- checkpoints */

enum { E = 2, H = 64, I = 32 };

/* A file in the making: keys, then tensors of pattern bytes. */
static struct gguf_build build;

static void
key(const char *arch, const char *name, uint32_t value)
{
    char text[64];
    snprintf(text, sizeof(text), "%s.%s", arch, name);
    gguf_uint32(&build, text, value);
}

/* The keys of an architecture, but for one. */
static void
begin(const char *arch, const char *without)
{
    static const struct {
        const char *name;
        uint32_t value;
    } keys[] = {
            {"block_count", 2},
            {"embedding_length", H},
            {"expert_count", E},
            {"expert_used_count", 2},
            {"expert_feed_forward_length", I},
    };
    gguf_begin(&build);
    gguf_string(&build, "general.architecture", arch);
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (without == NULL || strcmp(keys[i].name, without) != 0) {
            key(arch, keys[i].name, keys[i].value);
        }
    }
}

static void
tensor(const char *name, enum gguf_type type, size_t n0, size_t n1, size_t n2)
{
    const uint64_t shape[] = {n0, n1, n2};
    gguf_tensor(&build, name, type, 3, shape, NULL,
            gguf_type_bytes(type, n0 * n1 * n2));
}

/* The matrices of a layer's experts, but for one. */
static void
experts(unsigned layer, enum gguf_type type, const char *without)
{
    static const char *const words[] = {"gate", "up", "down"};
    for (size_t m = 0; m < COUNT(words); m++) {
        char name[64];
        int down = m == 2;
        snprintf(name, sizeof(name), "blk.%u.ffn_%s_exps.weight", layer,
                words[m]);
        if (without == NULL || strcmp(words[m], without) != 0) {
            tensor(name, type, down ? I : H, down ? H : I, E);
        }
    }
}

static w4moe_status
convert(w4moe_convert_report *report)
{
    return w4moe_convert(ct_ctx, report, NULL,
            gguf_write(&build, test_path("model.gguf")), &options);
}

static void
refused(w4moe_status status, const char *text)
{
    ct_refused(convert(NULL), status, text);
}

/* ------------------------------------------------------------ architectures */

START_TEST(architectures)
{
    static const struct {
        const char *arch;
        /* expert_gating_func, expert_weights_scale, expert_group_count; 0:
         * without. */
        uint32_t gating;
        float scale;
        uint32_t n_group;
        int norm;
        w4moe_activation_kind activation;
        w4moe_router_kind kind;
        int renormalize;
    } rows[] = {
            {"qwen3moe", 0, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_SOFTMAX_TOPK,
                    1},
            {"qwen3moe", 2, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"qwen3moe", 99, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"qwen3moe", 0, 2.0f, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"qwen2moe", 0, 0, 0, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_SOFTMAX_TOPK,
                    0},
            {"llama", 1, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_SOFTMAX_TOPK, 1},
            {"deepseek2", 0, 16.0f, 0, 0, W4MOE_ACT_SILU,
                    W4MOE_ROUTER_SOFTMAX_TOPK, 0},
            {"deepseek2", 2, 2.5f, 2, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_SIGMOID,
                    1},
            {"deepseek2", 2, 2.5f, 1, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_SIGMOID,
                    1},
            /* Whether it has groups is not known. */
            {"deepseek2", 2, 2.5f, 0, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            /* Groups do not divide the experts; are not softmax's. */
            {"deepseek2", 2, 2.5f, 4, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"deepseek2", 1, 2.5f, 2, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"deepseek4", 4, 1.5f, 0, 1, W4MOE_ACT_SILU,
                    W4MOE_ROUTER_SQRT_SOFTPLUS, 1},
            {"glm4moe", 0, 0, 0, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_SIGMOID, 1},
            {"minimax-m2", 2, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_SIGMOID, 1},
            {"dots1", 0, 0, 0, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"ernie4_5-moe", 0, 0, 0, 1, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
            {"gpt-oss", 0, 0, 0, 0, W4MOE_ACT_SWIGLUOAI,
                    W4MOE_ROUTER_TOPK_SOFTMAX, 0},
            {"gpt-oss", 3, 0, 0, 0, W4MOE_ACT_SWIGLUOAI,
                    W4MOE_ROUTER_TOPK_SOFTMAX, 0},
            {"gemma4", 0, 0, 0, 0, W4MOE_ACT_GELU_TANH, W4MOE_ROUTER_NONE, 0},
            /* Two experts per token are not top-1. */
            {"llama4", 2, 0, 0, 0, W4MOE_ACT_SILU, W4MOE_ROUTER_NONE, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *arch = rows[i].arch;
        w4moe_convert_report report = {.struct_size = sizeof(report)};
        char text[64];
        begin(arch, NULL);
        if (rows[i].gating != 0) {
            key(arch, "expert_gating_func", rows[i].gating);
        }
        if (rows[i].n_group != 0) {
            key(arch, "expert_group_count", rows[i].n_group);
            key(arch, "expert_group_used_count", 1);
        }
        snprintf(text, sizeof(text), "%s.expert_weights_scale", arch);
        gguf_float32(&build, text, rows[i].scale);
        snprintf(text, sizeof(text), "%s.expert_weights_norm", arch);
        gguf_bool(&build, text, rows[i].norm);
        experts(1, TYPE_Q4_0, NULL);
        ct_ok(convert(&report));
        ck_assert_str_eq(report.model_type, arch);
        ck_assert_int_eq(report.activation.kind, rows[i].activation);
        int known = rows[i].kind != W4MOE_ROUTER_NONE;
        ck_assert_msg(report.router.kind == rows[i].kind &&
                              report.router.renormalize == rows[i].renormalize,
                "row %zu, %s: kind %d, renormalize %d", i, arch,
                (int)report.router.kind, report.router.renormalize);
        ck_assert(report.router.scale == (known ? rows[i].scale : 0.0f));
        ck_assert_uint_eq(report.router.n_group,
                known && rows[i].n_group > 1 ? rows[i].n_group : 0);
        ck_assert_uint_eq(report.n_layers, 1);
        ck_assert_uint_eq(report.n_experts, E);
        ck_assert_uint_eq(report.hidden_size, H);
        ck_assert_uint_eq(report.intermediate_size, I);
    }
}
END_TEST

/* Widths without a key of their own, and lists of them. */
START_TEST(widths)
{
    const uint64_t list[] = {0, I};
    const uint64_t wrong[] = {I, 2 * I};
    begin("qwen3moe", "expert_feed_forward_length");
    key("qwen3moe", "feed_forward_length", 2 * I);
    experts(0, TYPE_Q4_0, NULL);
    ct_ok(convert(NULL));
    begin("llama", "expert_feed_forward_length");
    key("llama", "feed_forward_length", I);
    experts(0, TYPE_Q4_0, NULL);
    ct_ok(convert(NULL));
    begin("llama", "expert_feed_forward_length");
    gguf_array(&build, "llama.expert_feed_forward_length", 4, 4, list, 2);
    experts(1, TYPE_Q4_0, NULL);
    ct_ok(convert(NULL));
    begin("llama", "expert_feed_forward_length");
    gguf_array(&build, "llama.expert_feed_forward_length", 4, 4, wrong, 2);
    experts(1, TYPE_Q4_0, NULL);
    refused(W4MOE_UNSUPPORTED,
            "llama.expert_feed_forward_length\" has 32 and 64");
}
END_TEST

/* swiglu_clamp_exp, a number or a list. */
START_TEST(clamps)
{
    static const char name[] = "deepseek4.swiglu_clamp_exp";
    enum { FLOAT32 = 6 };
    const uint64_t ten = 0x41200000;
    const uint64_t list[] = {ten, ten};
    const uint64_t wrong[] = {ten, 0};
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    begin("deepseek4", NULL);
    gguf_float32(&build, name, 10.0f);
    experts(0, TYPE_MXFP4, NULL);
    ct_ok(convert(&report));
    ck_assert(report.activation.limit == 10.0f);
    begin("deepseek4", NULL);
    gguf_array(&build, name, FLOAT32, 4, list, 2);
    experts(0, TYPE_MXFP4, NULL);
    ct_ok(convert(&report));
    ck_assert(report.activation.limit == 10.0f);
    begin("deepseek4", NULL);
    gguf_array(&build, name, FLOAT32, 4, wrong, 2);
    experts(0, TYPE_MXFP4, NULL);
    refused(W4MOE_UNSUPPORTED, "has 10 and 0");
    begin("deepseek4", NULL);
    gguf_float32(&build, name, -1.0f);
    experts(0, TYPE_MXFP4, NULL);
    refused(W4MOE_FORMAT, "swiglu_clamp_exp\" is no positive number");
    begin("glm4moe", NULL);
    gguf_float32(&build, "glm4moe.swiglu_clamp_exp", 10.0f);
    experts(0, TYPE_Q4_0, NULL);
    refused(W4MOE_UNSUPPORTED, "glm4moe.swiglu_clamp_exp\" is 10: where");
}
END_TEST

/* Layers that predict further tokens are left out; a correction is not of
 * softmax; a router that is quantised is not taken. */
START_TEST(layers)
{
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    begin("glm4moe", NULL);
    key("glm4moe", "nextn_predict_layers", 1);
    experts(0, TYPE_Q4_0, NULL);
    experts(1, TYPE_Q8_0, "down");
    tensor("blk.0.exp_probs_b.bias", TYPE_F32, E, 1, 1);
    ct_ok(convert(&report));
    ck_assert_uint_eq(report.n_layers, 1);
    ck_assert_uint_eq(report.n_tensors_used, 4);
    ck_assert_uint_eq(report.n_tensors_other, 2);
    ck_assert_int_eq(report.router.kind, W4MOE_ROUTER_SIGMOID);
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    tensor("blk.0.exp_probs_b.bias", TYPE_F32, E, 1, 1);
    tensor("blk.0.ffn_gate_inp.weight", TYPE_Q8_0, H, E, 1);
    ct_ok(convert(&report));
    ck_assert_int_eq(report.router.kind, W4MOE_ROUTER_NONE);
    ck_assert_uint_eq(report.n_tensors_used, 4);
    ck_assert_uint_eq(report.n_tensors_other, 1);
    begin("glm4moe", NULL);
    key("glm4moe", "nextn_predict_layers", 2);
    experts(0, TYPE_Q4_0, NULL);
    refused(W4MOE_FORMAT, "nextn_predict_layers\" is not below");
}
END_TEST

/* ----------------------------------------------------------------- refusals */

START_TEST(types)
{
    static const struct {
        enum gguf_type type;
        const char *text;
        int always;
    } rows[] = {
            {TYPE_F32, "F32", 0},
            {TYPE_F16, "F16", 0},
            {TYPE_BF16, "BF16", 0},
            {TYPE_Q5_0, "Q5_0", 0},
            {TYPE_Q5_1, "Q5_1", 0},
            {TYPE_Q8_0, "Q8_0", 0},
            {TYPE_IQ4_NL, "IQ4_NL", 0},
            {TYPE_Q2_K, "Q2_K", 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[128];
        size_t n = rows[i].always ? 256 : H;
        for (int requantize = 0; requantize < 2; requantize++) {
            options.requantize = requantize;
            begin("qwen3moe", "embedding_length");
            key("qwen3moe", "embedding_length", (uint32_t)n);
            tensor("blk.0.ffn_up_exps.weight", rows[i].type, n, I, E);
            if (requantize && !rows[i].always) {
                refused(W4MOE_FORMAT, "gate: no weight");
                continue;
            }
            snprintf(text, sizeof(text),
                    rows[i].always ? "\"blk.0.ffn_up_exps.weight\": weights of "
                                     "type %s are not converted"
                                   : "\"blk.0.ffn_up_exps.weight\" is of type "
                                     "%s, ",
                    rows[i].text);
            refused(W4MOE_UNSUPPORTED, text);
            ck_assert(rows[i].always ||
                      strstr(w4moe_ctx_error(ct_ctx), "--requantize") != NULL);
        }
    }
    options.requantize = 1;
    begin("qwen3moe", NULL);
    experts(0, TYPE_MXFP4, "down");
    tensor("blk.0.ffn_down_exps.weight", TYPE_Q8_0, I, H, E);
    refused(W4MOE_UNSUPPORTED, "rounding to E2M1 codes is not done");
    begin("qwen3moe", NULL);
    experts(0, TYPE_MXFP4, "down");
    tensor("blk.0.ffn_down_exps.weight", TYPE_Q4_0, I, H, E);
    refused(W4MOE_UNSUPPORTED, "E2M1");
    begin("gpt-oss", NULL);
    experts(0, TYPE_MXFP4, NULL);
    tensor("blk.0.ffn_up_exps.bias", TYPE_Q8_0, I, E, 1);
    refused(W4MOE_UNSUPPORTED, "a bias of type Q8_0");
}
END_TEST

START_TEST(keys)
{
    static const char *const needed[] = {"block_count", "embedding_length",
            "expert_count", "expert_used_count", "expert_feed_forward_length"};
    for (size_t i = 0; i < COUNT(needed); i++) {
        begin("qwen3moe", needed[i]);
        experts(0, TYPE_Q4_0, NULL);
        /* Without its own key, the width is that of dense layers. */
        refused(W4MOE_FORMAT,
                i == 4 ? "qwen3moe.feed_forward_length\" is missing"
                       : "\" is missing");
        begin("qwen3moe", needed[i]);
        key("qwen3moe", needed[i], 0);
        experts(0, TYPE_Q4_0, NULL);
        refused(W4MOE_FORMAT, "is outside [1, 2^31 - 1]");
    }
    begin("qwen3moe", "expert_used_count");
    key("qwen3moe", "expert_used_count", E + 1);
    refused(W4MOE_FORMAT, "3 experts per token of 2 experts");
    begin("qwen3moe", "embedding_length");
    key("qwen3moe", "embedding_length", 100);
    refused(W4MOE_FORMAT, "100 input features of gate and up");
    begin("smallthinker", NULL);
    experts(0, TYPE_Q4_0, NULL);
    refused(W4MOE_UNSUPPORTED, "architecture \"smallthinker\"");
    gguf_begin(&build);
    refused(W4MOE_FORMAT, "no key \"general.architecture\"");
    /* Numbers that only memory without bound could hold. */
    begin("qwen3moe", "expert_count");
    key("qwen3moe", "expert_count", INT32_MAX);
    experts(0, TYPE_Q4_0, NULL);
    refused(W4MOE_FORMAT, "layers of 2147483647 experts");
}
END_TEST

START_TEST(names)
{
    static const char *const unknown[] = {"blk.0.ffn_gate_exps.scale",
            "blk.0.ffn_norm_exps.weight", "blk.0.ffn_gate.1.scale",
            "blk.0.ffn_gate_up.1.weight", "v.blk.0.ffn_gate_exps.weight",
            "blk.00.ffn_gate_exps.weight"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        begin("qwen3moe", NULL);
        experts(0, TYPE_Q4_0, NULL);
        tensor(unknown[i], TYPE_F32, E, 1, 1);
        refused(W4MOE_UNSUPPORTED, unknown[i]);
        ck_assert(strstr(w4moe_ctx_error(ct_ctx), "no known name") != NULL);
    }
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    experts(2, TYPE_Q4_0, NULL);
    refused(W4MOE_FORMAT, "\"blk.2.ffn_gate_exps.weight\": layer 2 of 2");
    begin("qwen3moe", NULL);
    tensor("blk.0.ffn_gate.weight", TYPE_Q4_0, H, I, 1);
    refused(W4MOE_FORMAT, "none of 1 tensors is part of an expert");
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    tensor("blk.0.ffn_up.2.weight", TYPE_Q4_0, H, I, 1);
    refused(W4MOE_FORMAT, "expert 2, but the keys say 2 experts");
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    tensor("blk.0.ffn_up.1.weight", TYPE_Q4_0, H, I, 1);
    refused(W4MOE_FORMAT, "\"blk.0.ffn_up_exps.weight\" and "
                          "\"blk.0.ffn_up.1.weight\" are the same weight");
    begin("gpt-oss", NULL);
    experts(0, TYPE_MXFP4, NULL);
    tensor("blk.0.ffn_up_exps.bias", TYPE_F32, I, E, 1);
    tensor("blk.0.ffn_up.0.bias", TYPE_F32, I, 1, 1);
    refused(W4MOE_FORMAT, "are the same weight");
}
END_TEST

/* Every size of every tensor, and tensors that are not there. */
START_TEST(shapes)
{
    static const struct {
        const char *name;
        enum gguf_type type;
        size_t shape[3];
        const char *text;
    } rows[] = {
            {"ffn_down_exps.weight", TYPE_Q4_0, {I, H, E + 1},
                    "[32, 64, 3, 1]"},
            {"ffn_down_exps.weight", TYPE_Q4_0, {I, H, 1}, "[32, 64, 1, 1]"},
            {"ffn_down_exps.weight", TYPE_Q4_0, {I, I, E}, "[32, 32, 2, 1]"},
            {"ffn_down_exps.weight", TYPE_Q4_0, {H, H, E}, "[64, 64, 2, 1]"},
            {"ffn_down.0.weight", TYPE_Q4_0, {I, H, E}, "[32, 64, 1, 1]"},
            {"ffn_down_exps.bias", TYPE_F32, {I, E, 1}, "[64, 2, 1, 1]"},
            {"ffn_gate_inp.weight", TYPE_F32, {H, I, 1}, "[64, 2, 1, 1]"},
            {"ffn_gate_inp.bias", TYPE_F32, {H, 1, 1}, "[2, 1, 1, 1]"},
            {"exp_probs_b.bias", TYPE_F32, {H, 1, 1}, "[2, 1, 1, 1]"},
            {"ffn_gate_up_exps.weight", TYPE_Q4_0, {H, I, E}, "[64, 64, 2, 1]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[64];
        begin("qwen3moe", NULL);
        experts(0, TYPE_Q4_0, "down");
        snprintf(name, sizeof(name), "blk.0.%s", rows[i].name);
        tensor(name, rows[i].type, rows[i].shape[0], rows[i].shape[1],
                rows[i].shape[2]);
        refused(W4MOE_FORMAT, rows[i].text);
        ck_assert(strstr(w4moe_ctx_error(ct_ctx), name) != NULL);
    }
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    experts(1, TYPE_Q4_0, "down");
    refused(W4MOE_FORMAT, "layer 1, expert 0, down: no weight (tensor "
                          "\"blk.1.ffn_down_exps.weight\")");
    /* Where there is a router, there are experts. */
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    tensor("blk.1.ffn_gate_inp.weight", TYPE_F32, H, E, 1);
    refused(W4MOE_FORMAT, "layer 1, expert 0, gate: no weight");
}
END_TEST

/* Numbers that are none are found when they are read. */
START_TEST(scales)
{
    const uint64_t first[] = {H, 2 * I, E};
    const uint64_t second[] = {I, H, E};
    size_t n = gguf_type_bytes(TYPE_MXFP4, 2 * I * H * E);
    unsigned char *bytes = calloc(n, 1);
    ck_assert_ptr_nonnull(bytes);
    options.dry_run = 0;
    options.force = 1;
    begin("qwen3moe", NULL);
    gguf_tensor(&build, "blk.0.ffn_gate_up_exps.weight", TYPE_MXFP4, 3, first,
            bytes, n);
    /* Row 3 of expert 1, which is one block. */
    bytes[17 * (H + 3)] = 255;
    gguf_tensor(&build, "blk.0.ffn_down_exps.weight", TYPE_MXFP4, 3, second,
            bytes, n / 2);
    const char *path = gguf_write(&build, test_path("nan.gguf"));
    ct_refused(w4moe_convert(ct_ctx, NULL, test_path("out.safetensors"), path,
                       &options),
            W4MOE_FORMAT,
            "\"blk.0.ffn_down_exps.weight\": the scale of row 3, columns 0 to "
            "31, is NaN");
    ck_assert(!test_file_exists(test_path("out.safetensors")));
    free(bytes);
}
END_TEST

START_TEST(paths)
{
    const char *folder = test_subfolder(test_path("two"));
    options.name_map = "rules";
    begin("qwen3moe", NULL);
    experts(0, TYPE_Q4_0, NULL);
    refused(W4MOE_INVALID, "(rules) is for safetensors files");
    options.name_map = NULL;
    for (int i = 0; i < 2; i++) {
        begin("qwen3moe", NULL);
        experts(0, TYPE_Q4_0, NULL);
        gguf_write(&build, test_path("two/model-%d.gguf", i));
        w4moe_status status =
                w4moe_convert(ct_ctx, NULL, NULL, folder, &options);
        if (i == 0) {
            ct_ok(status);
        } else {
            ct_refused(status, W4MOE_FORMAT,
                    "several GGUF files, \"model-0.gguf\" and "
                    "\"model-1.gguf\"");
        }
    }
    /* A config.json makes it a safetensors checkpoint. */
    test_file_write(test_path("two/config.json"), "{}", 2);
    ct_refused(w4moe_convert(ct_ctx, NULL, NULL, folder, &options),
            W4MOE_FORMAT, "config.json");
    ct_refused(w4moe_convert(ct_ctx, NULL, NULL,
                       test_subfolder(test_path("empty")), &options),
            W4MOE_IO, "config.json");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gguf_source");
    TCase *tc = tcase_create("gguf_source");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, ct_ctx_teardown);
    tcase_add_test(tc, architectures);
    tcase_add_test(tc, widths);
    tcase_add_test(tc, clamps);
    tcase_add_test(tc, layers);
    tcase_add_test(tc, types);
    tcase_add_test(tc, keys);
    tcase_add_test(tc, names);
    tcase_add_test(tc, shapes);
    tcase_add_test(tc, scales);
    tcase_add_test(tc, paths);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
