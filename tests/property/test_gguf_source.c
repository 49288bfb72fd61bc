/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the keys of a GGUF checkpoint tell, and where it may be. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "gguf_case.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
        case_begin(arch, NULL);
        if (rows[i].gating != 0) {
            case_key(arch, "expert_gating_func", rows[i].gating);
        }
        if (rows[i].n_group != 0) {
            case_key(arch, "expert_group_count", rows[i].n_group);
            case_key(arch, "expert_group_used_count", 1);
        }
        snprintf(text, sizeof(text), "%s.expert_weights_scale", arch);
        gguf_float32(&case_build, text, rows[i].scale);
        snprintf(text, sizeof(text), "%s.expert_weights_norm", arch);
        gguf_bool(&case_build, text, rows[i].norm);
        case_experts(1, TYPE_Q4_0, NULL);
        ct_ok(case_convert(&report));
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
    case_begin("qwen3moe", "expert_feed_forward_length");
    case_key("qwen3moe", "feed_forward_length", 2 * I);
    case_experts(0, TYPE_Q4_0, NULL);
    ct_ok(case_convert(NULL));
    case_begin("llama", "expert_feed_forward_length");
    case_key("llama", "feed_forward_length", I);
    case_experts(0, TYPE_Q4_0, NULL);
    ct_ok(case_convert(NULL));
    case_begin("llama", "expert_feed_forward_length");
    gguf_array(&case_build, "llama.expert_feed_forward_length", 4, 4, list, 2);
    case_experts(1, TYPE_Q4_0, NULL);
    ct_ok(case_convert(NULL));
    case_begin("llama", "expert_feed_forward_length");
    gguf_array(&case_build, "llama.expert_feed_forward_length", 4, 4, wrong, 2);
    case_experts(1, TYPE_Q4_0, NULL);
    case_refused(W4MOE_UNSUPPORTED,
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
    case_begin("deepseek4", NULL);
    gguf_float32(&case_build, name, 10.0f);
    case_experts(0, TYPE_MXFP4, NULL);
    ct_ok(case_convert(&report));
    ck_assert(report.activation.limit == 10.0f);
    case_begin("deepseek4", NULL);
    gguf_array(&case_build, name, FLOAT32, 4, list, 2);
    case_experts(0, TYPE_MXFP4, NULL);
    ct_ok(case_convert(&report));
    ck_assert(report.activation.limit == 10.0f);
    case_begin("deepseek4", NULL);
    gguf_array(&case_build, name, FLOAT32, 4, wrong, 2);
    case_experts(0, TYPE_MXFP4, NULL);
    case_refused(W4MOE_UNSUPPORTED, "has 10 and 0");
    case_begin("deepseek4", NULL);
    gguf_float32(&case_build, name, -1.0f);
    case_experts(0, TYPE_MXFP4, NULL);
    case_refused(W4MOE_FORMAT, "swiglu_clamp_exp\" is no positive number");
    case_begin("glm4moe", NULL);
    gguf_float32(&case_build, "glm4moe.swiglu_clamp_exp", 10.0f);
    case_experts(0, TYPE_Q4_0, NULL);
    case_refused(W4MOE_UNSUPPORTED, "glm4moe.swiglu_clamp_exp\" is 10: where");
}
END_TEST

/* Layers that predict further tokens are left out; a correction is not of
 * softmax; a router that is quantised is not taken. */
START_TEST(layers)
{
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    case_begin("glm4moe", NULL);
    case_key("glm4moe", "nextn_predict_layers", 1);
    case_experts(0, TYPE_Q4_0, NULL);
    case_experts(1, TYPE_Q8_0, "down");
    case_tensor("blk.0.exp_probs_b.bias", TYPE_F32, E, 1, 1);
    ct_ok(case_convert(&report));
    ck_assert_uint_eq(report.n_layers, 1);
    ck_assert_uint_eq(report.n_tensors_used, 4);
    ck_assert_uint_eq(report.n_tensors_other, 2);
    ck_assert_int_eq(report.router.kind, W4MOE_ROUTER_SIGMOID);
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_tensor("blk.0.exp_probs_b.bias", TYPE_F32, E, 1, 1);
    case_tensor("blk.0.ffn_gate_inp.weight", TYPE_Q8_0, H, E, 1);
    ct_ok(case_convert(&report));
    ck_assert_int_eq(report.router.kind, W4MOE_ROUTER_NONE);
    ck_assert_uint_eq(report.n_tensors_used, 4);
    ck_assert_uint_eq(report.n_tensors_other, 1);
    case_begin("glm4moe", NULL);
    case_key("glm4moe", "nextn_predict_layers", 2);
    case_experts(0, TYPE_Q4_0, NULL);
    case_refused(W4MOE_FORMAT, "nextn_predict_layers\" is not below");
}
END_TEST

START_TEST(paths)
{
    const char *folder = test_subfolder(test_path("two"));
    case_options.name_map = "rules";
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_refused(W4MOE_INVALID, "(rules) is for safetensors files");
    case_options.name_map = NULL;
    for (int i = 0; i < 2; i++) {
        case_begin("qwen3moe", NULL);
        case_experts(0, TYPE_Q4_0, NULL);
        gguf_write(&case_build, test_path("two/model-%d.gguf", i));
        w4moe_status status =
                w4moe_convert(ct_ctx, NULL, NULL, folder, &case_options);
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
    ct_refused(w4moe_convert(ct_ctx, NULL, NULL, folder, &case_options),
            W4MOE_FORMAT, "config.json");
    ct_refused(w4moe_convert(ct_ctx, NULL, NULL,
                       test_subfolder(test_path("empty")), &case_options),
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
    tcase_add_checked_fixture(tc, case_setup, ct_ctx_teardown);
    tcase_add_test(tc, architectures);
    tcase_add_test(tc, widths);
    tcase_add_test(tc, clamps);
    tcase_add_test(tc, layers);
    tcase_add_test(tc, paths);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
