/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The grammar of tensor names: the families of models, what only looks like an
 * expert, numbers at their bounds, and names made to do damage. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/expert_name.h"
#include "test_random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
expect_kind(const char *name, enum w4_name_kind kind)
{
    struct w4_name parsed = w4_name_parse(name);
    ck_assert_msg(parsed.kind == kind, "\"%s\" is of kind %d, expected %d",
            name, (int)parsed.kind, (int)kind);
}

static void
expect_expert(const char *name, const char *prefix, uint32_t layer,
        uint32_t expert, enum w4_projection projection, const char *tensor)
{
    struct w4_name parsed = w4_name_parse(name);
    expect_kind(name, W4_NAME_EXPERT);
    ck_assert_msg(parsed.prefix_length == strlen(prefix) &&
                          memcmp(parsed.prefix, prefix, strlen(prefix)) == 0,
            "\"%s\" has the prefix \"%.*s\"", name, (int)parsed.prefix_length,
            parsed.prefix);
    ck_assert_msg(parsed.layer == layer && parsed.expert == expert &&
                          parsed.projection == projection,
            "\"%s\" is layer %u, expert %u, projection %d", name, parsed.layer,
            parsed.expert, (int)parsed.projection);
    ck_assert_str_eq(parsed.tensor, tensor);
    /* The result points into the name. */
    ck_assert_ptr_eq(parsed.tensor, name + strlen(name) - strlen(tensor));
}

START_TEST(families)
{
    /* Qwen2 and 3, DeepSeek-V2 and V3, Kimi-K2, GLM-4 */
    expect_expert("model.layers.0.mlp.experts.0.gate_proj.weight_packed",
            "model.", 0, 0, W4_GATE, "weight_packed");
    expect_expert("model.layers.61.mlp.experts.255.up_proj.weight_scale",
            "model.", 61, 255, W4_UP, "weight_scale");
    expect_expert("model.layers.7.mlp.experts.10.down_proj.weight_shape",
            "model.", 7, 10, W4_DOWN, "weight_shape");
    /* Qwen3-Next, 3.5 */
    expect_expert("model.language_model.layers.3.mlp.experts.5.up_proj.x",
            "model.language_model.", 3, 5, W4_UP, "x");
    /* Kimi-K2.5 */
    expect_expert("language_model.model.layers.4.mlp.experts.6.down_proj.x",
            "language_model.model.", 4, 6, W4_DOWN, "x");
    /* Mixtral, MiniMax-M2 */
    expect_expert("model.layers.1.block_sparse_moe.experts.2.w1.weight",
            "model.", 1, 2, W4_GATE, "weight");
    expect_expert("model.layers.1.block_sparse_moe.experts.2.w2.weight",
            "model.", 1, 2, W4_DOWN, "weight");
    expect_expert("model.layers.1.block_sparse_moe.experts.2.w3.weight",
            "model.", 1, 2, W4_UP, "weight");
    /* Llama-4 */
    expect_expert("language_model.model.layers.9.feed_forward.experts.15."
                  "gate_proj.weight_zero_point",
            "language_model.model.", 9, 15, W4_GATE, "weight_zero_point");
    /* Granite, Gemma-4, LFM2 */
    expect_expert("model.layers.2.block_sparse_moe.experts.3.down_proj.x",
            "model.", 2, 3, W4_DOWN, "x");
    expect_expert("model.layers.2.moe.experts.3.up_proj.x", "model.", 2, 3,
            W4_UP, "x");
    expect_expert("model.layers.2.feed_forward.experts.3.w1.x", "model.", 2, 3,
            W4_GATE, "x");
    /* DeepSeek-V4: no prefix at all */
    expect_expert(
            "layers.5.ffn.experts.6.w2.scale", "", 5, 6, W4_DOWN, "scale");
    /* Qwen3-Omni */
    expect_expert("thinker.model.layers.0.mlp.experts.1.gate_proj.x",
            "thinker.model.", 0, 1, W4_GATE, "x");
    /* Prefixes that were shipped broken */
    expect_expert("model.language_model.language_model.layers.0.mlp.experts.1."
                  "up_proj.x",
            "model.language_model.language_model.", 0, 1, W4_UP, "x");
    expect_expert("model.layers.3.model.layers.8.mlp.experts.1.up_proj.x",
            "model.layers.3.model.", 8, 1, W4_UP, "x");
    /* No block, and a tensor of several words */
    expect_expert("layers.0.experts.0.w3.a.b", "", 0, 0, W4_UP, "a.b");
    expect_expert("layers.0.experts.0.w3.", "", 0, 0, W4_UP, "");
}
END_TEST

static void
expect_fused(const char *name, const char *prefix, uint32_t layer,
        enum w4_name_kind kind, enum w4_part part)
{
    struct w4_name parsed = w4_name_parse(name);
    expect_kind(name, kind);
    ck_assert_msg(parsed.prefix_length == strlen(prefix) &&
                          memcmp(parsed.prefix, prefix, strlen(prefix)) == 0,
            "\"%s\" has the prefix \"%.*s\"", name, (int)parsed.prefix_length,
            parsed.prefix);
    ck_assert_msg(parsed.layer == layer && parsed.part == part,
            "\"%s\" is layer %u, part %d", name, parsed.layer,
            (int)parsed.part);
}

/* Tensors of all experts: each form of a family, of gate and up and of down,
 * and the part that both are. */
START_TEST(all_experts)
{
    static const struct {
        const char *prefix;
        const char *gate_up;
        const char *down;
        enum w4_part part;
    } forms[] = {
            /* GPT-OSS */
            {"model.", "layers.7.mlp.experts.gate_up_proj_blocks",
                    "layers.7.mlp.experts.down_proj_blocks", W4_PART_BLOCKS},
            {"model.", "layers.7.mlp.experts.gate_up_proj_scales",
                    "layers.7.mlp.experts.down_proj_scales", W4_PART_SCALES},
            {"model.", "layers.7.mlp.experts.gate_up_proj_bias",
                    "layers.7.mlp.experts.down_proj_bias", W4_PART_BIAS},
            /* GPT-OSS as it was first released, with and without a prefix */
            {"", "block.7.mlp.mlp1_weight.blocks",
                    "block.7.mlp.mlp2_weight.blocks", W4_PART_BLOCKS},
            {"model.", "block.7.mlp.mlp1_weight.scales",
                    "block.7.mlp.mlp2_weight.scales", W4_PART_SCALES},
            {"", "block.7.mlp.mlp1_bias", "block.7.mlp.mlp2_bias",
                    W4_PART_BIAS},
            /* Granite */
            {"model.", "layers.7.block_sparse_moe.input_linear.weight",
                    "layers.7.block_sparse_moe.output_linear.weight",
                    W4_PART_WEIGHT},
            /* Qwen3.5, in rows; Qwen3-VL, GPT-OSS in 16 bits, in columns: the
             * names are the same */
            {"model.language_model.", "layers.7.mlp.experts.gate_up_proj",
                    "layers.7.mlp.experts.down_proj", W4_PART_WEIGHT},
            /* Qwen3-Omni, in columns */
            {"thinker.model.", "layers.7.mlp.experts.gate_up_proj",
                    "layers.7.mlp.experts.down_proj", W4_PART_WEIGHT},
            /* Llama-4, in columns */
            {"language_model.model.",
                    "layers.7.feed_forward.experts.gate_up_proj",
                    "layers.7.feed_forward.experts.down_proj", W4_PART_WEIGHT},
            /* Gemma-4 */
            {"model.", "layers.7.experts.gate_up_proj.weight",
                    "layers.7.experts.down_proj.weight", W4_PART_WEIGHT},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        char name[128] = "";
        strcat(strcat(name, forms[i].prefix), forms[i].gate_up);
        expect_fused(name, forms[i].prefix, 7, W4_NAME_GATE_UP, forms[i].part);
        strcpy(name, forms[i].prefix);
        strcat(name, forms[i].down);
        expect_fused(name, forms[i].prefix, 7, W4_NAME_DOWN, forms[i].part);
    }
    /* Whole words only; without a layer nothing. */
    expect_kind("model.layers.0.mlp.experts.xgate_up_proj", W4_NAME_UNKNOWN);
    expect_kind("model.layers.0.mlp.experts.gate_up_proj_", W4_NAME_UNKNOWN);
    expect_kind("model.layers.0.mlp.myexperts.down_proj", W4_NAME_OTHER);
    expect_kind("block.0.mlp.mlp1_weight", W4_NAME_OTHER);
    expect_kind("block.0.xmlp.mlp1_bias", W4_NAME_OTHER);
    expect_kind("block.0.mlp.xmlp1_bias", W4_NAME_OTHER);
    expect_kind("block.mlp.mlp1_bias", W4_NAME_OTHER);
    expect_kind("xblock.0.mlp.mlp1_bias", W4_NAME_OTHER);
    expect_kind("experts.gate_up_proj_blocks", W4_NAME_OTHER);
    expect_kind("layers.0.block_sparse_moe.input_linear.bias", W4_NAME_OTHER);
    expect_kind("mtp.layers.0.mlp.experts.down_proj_blocks", W4_NAME_MTP);
}
END_TEST

/* The parts of a weight of one expert, by the last words. */
START_TEST(parts)
{
    static const struct {
        const char *word;
        enum w4_part part;
    } words[] = {{"weight", W4_PART_WEIGHT}, {"weight_packed", W4_PART_PACKED},
            {"qweight", W4_PART_QWEIGHT},
            {"weight_scale", W4_PART_WEIGHT_SCALE},
            {"weight_scale_inv", W4_PART_SCALE_INV}, {"scales", W4_PART_SCALES},
            {"scale", W4_PART_SCALE}, {"weight_zero_point", W4_PART_ZERO_POINT},
            {"qzeros", W4_PART_QZEROS}, {"g_idx", W4_PART_G_IDX},
            {"weight_g_idx", W4_PART_G_IDX}, {"weight_shape", W4_PART_SHAPE},
            {"bias", W4_PART_BIAS}, {"weight_scale_2", W4_N_PARTS},
            {"blocks", W4_N_PARTS}, {"weight.bias", W4_N_PARTS},
            {"", W4_N_PARTS}};
    for (size_t i = 0; i < COUNT(words); i++) {
        char name[64] = "layers.5.ffn.experts.6.w3.";
        strcat(name, words[i].word);
        expect_expert(name, "", 5, 6, W4_UP, words[i].word);
        ck_assert_msg(w4_name_parse(name).part == words[i].part,
                "\"%s\" is part %d", name, (int)w4_name_parse(name).part);
    }
}
END_TEST

/* What the user probably meant is among them, whatever the room. */
START_TEST(nearest)
{
    static const char *const pairs[][2] = {
            {"model.layers.0.mlp.experts.gate_up_proj_block",
                    "experts.gate_up_proj_blocks"},
            {"model.layers.0.mlp.experts.down_proj_scale",
                    "experts.down_proj_scales"},
            {"model.layers.0.mlp.experts.down_proj_packed",
                    "experts.down_proj"},
            {"model.layers.0.mlp.experts.0.gate_projx.weight",
                    "experts.E.gate_proj.PART"},
            {"model.layers.0.mlp.experts.0.w1_packed", "experts.E.w1.PART"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char text[160];
        w4_name_nearest(text, sizeof(text), pairs[i][0]);
        ck_assert_msg(strstr(text, pairs[i][1]) != NULL,
                "\"%s\": nearest \"%s\"", pairs[i][0], text);
    }
    char all[160];
    const char *name = pairs[0][0];
    w4_name_nearest(all, sizeof(all), name);
    for (size_t size = 1; size < sizeof(all); size++) {
        char text[160];
        memset(text, 'x', sizeof(text));
        w4_name_nearest(text, size, name);
        size_t n = size - 1 < strlen(all) ? size - 1 : strlen(all);
        ck_assert_uint_eq(strlen(text), n);
        ck_assert_mem_eq(text, all, n);
        ck_assert_int_eq(text[size], 'x');
    }
}
END_TEST

START_TEST(others)
{
    static const char *const names[] = {"", ".", "layers", "layers.",
            "layers.0", "layers.0.", "model.embed_tokens.weight",
            "lm_head.weight", "model.norm.weight",
            "model.layers.0.self_attn.q_proj.weight_packed",
            "model.layers.0.input_layernorm.weight",
            "model.layers.0.mlp.gate_proj.weight",
            "model.layers.0.mlp.shared_expert.gate_proj.weight",
            "model.layers.0.mlp.shared_expert_gate.weight",
            "model.layers.0.mlp.shared_experts.up_proj.weight_packed",
            "model.layers.0.mlp.experts", /* no dot behind it */
            "model.layers.0.mlp.myexperts.0.w1.x",
            "model.layers.0.mlp.experts_2.0.w1.x", "experts.0.w1.x",
            "mlp.experts.0.w1.x", /* no layer */
            "model.layers.x.mlp.experts.0.w1.x",
            "model.layers..mlp.experts.0.w1.x",
            "model.layers.-1.mlp.experts.0.w1.x",
            "model.layers.+1.mlp.experts.0.w1.x",
            "model.layers. 1.mlp.experts.0.w1.x",
            "model.layers.1x.mlp.experts.0.w1.x",
            "model.mylayers.1.mlp.experts.0.w1.x",
            "model.LAYERS.1.mlp.experts.0.w1.x", "model.layers.0.mlp.gate",
            "model.layers.0.mlp.mygate.weight",
            "model.layers.00.mlp.experts.0.w1.x",
            "model.layers.01.mlp.experts.0.w1.x",
            "model.layers.1000000000.mlp.experts.0.w1.x",
            "model.layers.18446744073709551616.mlp.experts.0.w1.x"};
    for (size_t i = 0; i < COUNT(names); i++) {
        expect_kind(names[i], W4_NAME_OTHER);
    }
}
END_TEST

/* Under ".experts." everything must be known, or it is told. */
START_TEST(unknown)
{
    static const char *const rests[] = {"", "gate_up_proj.x", "down_projx",
            "gate_up_proj_block", "gate_proj.weight", "w1.weight", "0", "0.",
            "0.w1", "0.gate_proj", "0.w4.weight", "0.weight", "0.w1x.weight",
            "0.xw1.weight", "0.W1.weight", "0.gate_proj_.weight",
            "00.w1.weight", "07.w1.weight", "-1.w1.weight", "+1.w1.weight",
            " 1.w1.weight", "1 .w1.weight", "0x1.w1.weight", "1e1.w1.weight",
            ".w1.weight", "0..w1.weight", "1000000000.w1.weight",
            "4294967296.w1.weight", "18446744073709551617.w1.weight",
            "99999999999999999999999999999999999.w1.weight",
            "0.mlp.experts.1.w1.weight", "experts.0.w1.weight"};
    for (size_t i = 0; i < COUNT(rests); i++) {
        char name[128] = "model.layers.0.mlp.experts.";
        strcat(name, rests[i]);
        expect_kind(name, W4_NAME_UNKNOWN);
    }
}
END_TEST

START_TEST(numbers)
{
    expect_expert("layers.999999999.experts.999999999.w1.x", "", 999999999,
            999999999, W4_GATE, "x");
    expect_expert("layers.100.experts.100.w1.x", "", 100, 100, W4_GATE, "x");
    expect_expert("layers.0.experts.0.w1.x", "", 0, 0, W4_GATE, "x");
    /* The last "layers.N." counts, if it is one. */
    expect_expert("layers.1.layers.2.experts.3.w1.x", "layers.1.", 2, 3,
            W4_GATE, "x");
    expect_expert("layers.1.layers.x.experts.3.w1.x", "", 1, 3, W4_GATE, "x");
    expect_expert("layers.1.mylayers.2.experts.3.w1.x", "", 1, 3, W4_GATE, "x");
}
END_TEST

START_TEST(routers)
{
    static const char *const names[][2] = {
            {"model.layers.4.mlp.gate.weight", "weight"},
            {"model.layers.4.mlp.gate.e_score_correction_bias",
                    "e_score_correction_bias"},
            {"model.layers.4.block_sparse_moe.gate.weight", "weight"},
            {"model.layers.4.mlp.router.weight", "weight"},
            {"model.layers.4.mlp.router.bias", "bias"},
            {"layers.4.gate.bias", "bias"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct w4_name parsed = w4_name_parse(names[i][0]);
        expect_kind(names[i][0], W4_NAME_ROUTER);
        ck_assert_uint_eq(parsed.layer, 4);
        ck_assert_str_eq(parsed.tensor, names[i][1]);
    }
}
END_TEST

START_TEST(multi_token_prediction)
{
    expect_kind("mtp.layers.0.mlp.experts.3.gate_proj.weight", W4_NAME_MTP);
    expect_kind("model.mtp.layers.0.mlp.experts.3.w1.x", W4_NAME_MTP);
    expect_kind("model.mtp.x.layers.0.mlp.experts.gate_up_proj", W4_NAME_MTP);
    expect_kind("mtp.layers.0.mlp.gate.weight", W4_NAME_OTHER);
    expect_kind("mtp.layers.0.self_attn.q_proj.weight", W4_NAME_OTHER);
    /* Words that only contain it. */
    expect_kind("xmtp.layers.0.mlp.experts.3.w1.x", W4_NAME_EXPERT);
    expect_kind("mtpx.layers.0.mlp.experts.3.w1.x", W4_NAME_EXPERT);
    expect_kind("model.layers.0.mtp.experts.3.w1.x", W4_NAME_EXPERT);
}
END_TEST

/* Random names of words that mean something: whatever comes out points into
 * the name and is in range. Meant for the sanitizers above all. */
START_TEST(hostile)
{
    static const char *const words[] = {"layers", "experts", "gate", "router",
            "mtp", "model", "0", "1", "999999999", "4294967295", "w1", "w2",
            "gate_proj", "down_proj", "weight", "", "..", "\xff", "%s%n",
            "layers.layers", "experts.experts", "shared_experts", "-1", "\n"};
    struct test_random random = {11};
    for (int i = 0; i < 200000; i++) {
        char text[512] = "";
        size_t n_words = test_random_below(&random, 12);
        for (size_t w = 0; w < n_words; w++) {
            strcat(text, words[test_random_below(&random, COUNT(words))]);
            strcat(text, test_random_below(&random, 8) != 0 ? "." : "");
        }
        char *name = strdup(text); /* so that reading past it is seen */
        struct w4_name parsed = w4_name_parse(name);
        size_t n = strlen(name);
        int ok = parsed.kind <= W4_NAME_MTP;
        if (parsed.kind != W4_NAME_OTHER) {
            ok = ok && parsed.layer <= 999999999 && parsed.prefix == name &&
                 parsed.prefix_length <= n && parsed.tensor >= name &&
                 parsed.tensor <= name + n;
        }
        if (parsed.kind == W4_NAME_EXPERT) {
            ok = ok && parsed.expert <= 999999999 &&
                 parsed.projection < W4_N_PROJECTIONS;
        }
        if (!ok) {
            ck_abort_msg("\"%s\"", name);
        }
        free(name);
    }
    /* A long name takes time in proportion to its length. */
    enum { LONG = 1 << 20 };
    char *name = malloc(LONG + 1);
    ck_assert_ptr_nonnull(name);
    for (int i = 0; i < LONG; i++) {
        name[i] = "layers.1."[i % 9];
    }
    name[LONG] = '\0';
    expect_kind(name, W4_NAME_OTHER);
    free(name);
}
END_TEST

START_TEST(projections)
{
    ck_assert_str_eq(w4_projection_name(W4_GATE), "gate");
    ck_assert_str_eq(w4_projection_name(W4_UP), "up");
    ck_assert_str_eq(w4_projection_name(W4_DOWN), "down");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("expert_name");
    TCase *tc = tcase_create("expert_name");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, families);
    tcase_add_test(tc, all_experts);
    tcase_add_test(tc, parts);
    tcase_add_test(tc, nearest);
    tcase_add_test(tc, others);
    tcase_add_test(tc, unknown);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, routers);
    tcase_add_test(tc, multi_token_prediction);
    tcase_add_test(tc, hostile);
    tcase_add_test(tc, projections);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
