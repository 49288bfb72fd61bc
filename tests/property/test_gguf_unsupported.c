/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* GGUF checkpoints that are refused, each with a text that says why. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "gguf_case.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
            case_options.requantize = requantize;
            case_begin("qwen3moe", "embedding_length");
            case_key("qwen3moe", "embedding_length", (uint32_t)n);
            case_tensor("blk.0.ffn_up_exps.weight", rows[i].type, n, I, E);
            if (requantize && !rows[i].always) {
                case_refused(W4MOE_FORMAT, "gate: no weight");
                continue;
            }
            snprintf(text, sizeof(text),
                    rows[i].always ? "\"blk.0.ffn_up_exps.weight\": weights of "
                                     "type %s are not converted"
                                   : "\"blk.0.ffn_up_exps.weight\" is of type "
                                     "%s, ",
                    rows[i].text);
            case_refused(W4MOE_UNSUPPORTED, text);
            ck_assert(rows[i].always ||
                      strstr(w4moe_ctx_error(ct_ctx), "--requantize") != NULL);
        }
    }
    case_options.requantize = 1;
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_MXFP4, "down");
    case_tensor("blk.0.ffn_down_exps.weight", TYPE_Q8_0, I, H, E);
    case_refused(W4MOE_UNSUPPORTED, "rounding to E2M1 codes is not done");
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_MXFP4, "down");
    case_tensor("blk.0.ffn_down_exps.weight", TYPE_Q4_0, I, H, E);
    case_refused(W4MOE_UNSUPPORTED, "E2M1");
    case_begin("gpt-oss", NULL);
    case_experts(0, TYPE_MXFP4, NULL);
    case_tensor("blk.0.ffn_up_exps.bias", TYPE_Q8_0, I, E, 1);
    case_refused(W4MOE_UNSUPPORTED, "a bias of type Q8_0");
}
END_TEST

START_TEST(keys)
{
    static const char *const needed[] = {"block_count", "embedding_length",
            "expert_count", "expert_used_count", "expert_feed_forward_length"};
    for (size_t i = 0; i < COUNT(needed); i++) {
        case_begin("qwen3moe", needed[i]);
        case_experts(0, TYPE_Q4_0, NULL);
        /* Without its own key, the width is that of dense layers. */
        case_refused(W4MOE_FORMAT,
                i == 4 ? "qwen3moe.feed_forward_length\" is missing"
                       : "\" is missing");
        case_begin("qwen3moe", needed[i]);
        case_key("qwen3moe", needed[i], 0);
        case_experts(0, TYPE_Q4_0, NULL);
        case_refused(W4MOE_FORMAT, "is outside [1, 2^31 - 1]");
    }
    case_begin("qwen3moe", "expert_used_count");
    case_key("qwen3moe", "expert_used_count", E + 1);
    case_refused(W4MOE_FORMAT, "3 experts per token of 2 experts");
    case_begin("qwen3moe", "embedding_length");
    case_key("qwen3moe", "embedding_length", 100);
    case_refused(W4MOE_FORMAT, "100 input features of gate and up");
    case_begin("smallthinker", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_refused(W4MOE_UNSUPPORTED, "architecture \"smallthinker\"");
    gguf_begin(&case_build);
    case_refused(W4MOE_FORMAT, "no key \"general.architecture\"");
    /* Numbers that only memory without bound could hold. */
    case_begin("qwen3moe", "expert_count");
    case_key("qwen3moe", "expert_count", INT32_MAX);
    case_experts(0, TYPE_Q4_0, NULL);
    case_refused(W4MOE_FORMAT, "layers of 2147483647 experts");
}
END_TEST

START_TEST(names)
{
    static const char *const unknown[] = {"blk.0.ffn_gate_exps.scale",
            "blk.0.ffn_norm_exps.weight", "blk.0.ffn_gate.1.scale",
            "blk.0.ffn_gate_up.1.weight", "v.blk.0.ffn_gate_exps.weight",
            "blk.00.ffn_gate_exps.weight"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        case_begin("qwen3moe", NULL);
        case_experts(0, TYPE_Q4_0, NULL);
        case_tensor(unknown[i], TYPE_F32, E, 1, 1);
        case_refused(W4MOE_UNSUPPORTED, unknown[i]);
        ck_assert(strstr(w4moe_ctx_error(ct_ctx), "no known name") != NULL);
    }
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_experts(2, TYPE_Q4_0, NULL);
    case_refused(W4MOE_FORMAT, "\"blk.2.ffn_gate_exps.weight\": layer 2 of 2");
    case_begin("qwen3moe", NULL);
    case_tensor("blk.0.ffn_gate.weight", TYPE_Q4_0, H, I, 1);
    case_refused(W4MOE_FORMAT, "none of 1 tensors is part of an expert");
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_tensor("blk.0.ffn_up.2.weight", TYPE_Q4_0, H, I, 1);
    case_refused(W4MOE_FORMAT, "expert 2, but the keys say 2 experts");
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_tensor("blk.0.ffn_up.1.weight", TYPE_Q4_0, H, I, 1);
    case_refused(W4MOE_FORMAT, "\"blk.0.ffn_up_exps.weight\" and "
                               "\"blk.0.ffn_up.1.weight\" are the same weight");
    case_begin("gpt-oss", NULL);
    case_experts(0, TYPE_MXFP4, NULL);
    case_tensor("blk.0.ffn_up_exps.bias", TYPE_F32, I, E, 1);
    case_tensor("blk.0.ffn_up.0.bias", TYPE_F32, I, 1, 1);
    case_refused(W4MOE_FORMAT, "are the same weight");
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
        case_begin("qwen3moe", NULL);
        case_experts(0, TYPE_Q4_0, "down");
        snprintf(name, sizeof(name), "blk.0.%s", rows[i].name);
        case_tensor(name, rows[i].type, rows[i].shape[0], rows[i].shape[1],
                rows[i].shape[2]);
        case_refused(W4MOE_FORMAT, rows[i].text);
        ck_assert(strstr(w4moe_ctx_error(ct_ctx), name) != NULL);
    }
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_experts(1, TYPE_Q4_0, "down");
    case_refused(W4MOE_FORMAT, "layer 1, expert 0, down: no weight (tensor "
                               "\"blk.1.ffn_down_exps.weight\")");
    /* Where there is a router, there are experts. */
    case_begin("qwen3moe", NULL);
    case_experts(0, TYPE_Q4_0, NULL);
    case_tensor("blk.1.ffn_gate_inp.weight", TYPE_F32, H, E, 1);
    case_refused(W4MOE_FORMAT, "layer 1, expert 0, gate: no weight");
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
    case_options.dry_run = 0;
    case_options.force = 1;
    case_begin("qwen3moe", NULL);
    gguf_tensor(&case_build, "blk.0.ffn_gate_up_exps.weight", TYPE_MXFP4, 3,
            first, bytes, n);
    /* Row 3 of expert 1, which is one block. */
    bytes[17 * (H + 3)] = 255;
    gguf_tensor(&case_build, "blk.0.ffn_down_exps.weight", TYPE_MXFP4, 3,
            second, bytes, n / 2);
    const char *path = gguf_write(&case_build, test_path("nan.gguf"));
    ct_refused(w4moe_convert(ct_ctx, NULL, test_path("out.safetensors"), path,
                       &case_options),
            W4MOE_FORMAT,
            "\"blk.0.ffn_down_exps.weight\": the scale of row 3, columns 0 to "
            "31, is NaN");
    ck_assert(!test_file_exists(test_path("out.safetensors")));
    free(bytes);
}
END_TEST

/* Every byte of the keys and names, changed: whatever comes of it, the memory
 * is fine and the text is there. Where it still converts, it does so to the
 * end. */
START_TEST(damage)
{
    static const unsigned char flips[] = {1, 0x80};
    size_t n;
    size_t n_good = 0;
    case_begin("gpt-oss", NULL);
    case_key("gpt-oss", "nextn_predict_layers", 0);
    case_experts(0, TYPE_Q4_0, NULL);
    case_tensor("blk.0.ffn_up_exps.bias", TYPE_F32, I, E, 1);
    case_tensor("blk.1.ffn_gate_up_exps.weight", TYPE_Q4_1, H, 2 * I, E);
    case_tensor("blk.1.ffn_down.0.weight", TYPE_Q4_0, I, H, 1);
    case_tensor("blk.1.ffn_down.1.weight", TYPE_Q4_1, I, H, 1);
    case_tensor("blk.1.ffn_gate_inp.weight", TYPE_F32, H, E, 1);
    size_t n_head = 24 + case_build.keys.n + case_build.entries.n;
    unsigned char *bytes = gguf_finish(&case_build, &n);
    const char *path = test_path("damaged.gguf");
    case_options.dry_run = 0;
    case_options.force = 1;
    case_options.requantize = 1;
    for (size_t at = 0; at < n_head; at++) {
        unsigned char good = bytes[at];
        for (size_t f = 0; f < COUNT(flips); f++) {
            bytes[at] = good ^ flips[f];
            test_file_write(path, bytes, n);
            w4moe_status status = w4moe_convert(ct_ctx, NULL,
                    test_path("damaged.safetensors"), path, &case_options);
            n_good += status == W4MOE_OK;
            if (status != W4MOE_OK && w4moe_ctx_error(ct_ctx)[0] == '\0') {
                ck_abort_msg(
                        "byte %zu: status %d without a text", at, (int)status);
            }
        }
        bytes[at] = good;
    }
    ck_assert_uint_gt(n_good, 0);
    free(bytes);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gguf_unsupported");
    TCase *tc = tcase_create("gguf_unsupported");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, case_setup, ct_ctx_teardown);
    tcase_add_test(tc, types);
    tcase_add_test(tc, keys);
    tcase_add_test(tc, names);
    tcase_add_test(tc, shapes);
    tcase_add_test(tc, scales);
    tcase_add_test(tc, damage);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
