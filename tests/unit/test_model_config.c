/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json: what each family's says, every field missing, of a wrong type
 * and out of range in turn. Quantisations are in test_config_quant.c, what is
 * no JSON or no file in test_config_file.c. In the texts of JSON here, ' stands
 * for ". */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_case.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SIZES                                                                  \
    "'hidden_size':2048,'num_experts':128,'num_experts_per_tok':8,"            \
    "'moe_intermediate_size':768,'intermediate_size':6144,"

/* A Qwen3 config; %s-free, so that it can be parsed and edited. */
static const char qwen3[] =
        "{'model_type':'qwen3_moe','hidden_act':'silu'," SIZES
        "'norm_topk_prob':true}";

/* The good config with one edit. */
static void
refused_edit(const char *path, const char *value, w4moe_status status,
        const char *text)
{
    json_t *root = config_parse(qwen3);
    config_edit(root, path, value);
    config_refused(config_write(root), status, text);
    json_decref(root);
}

static struct w4_model_config
accepted(const json_t *root)
{
    return config_accepted(config_write(root));
}

/* ----------------------------------------------------------------- families */

/* SIZES and hidden_act are added to the fields. */
struct family_case {
    const char *type;
    const char *fields;
    enum w4_fused fused;
    w4moe_router_kind router;
    int renormalize;
    float scale;
    uint32_t n_group;
    uint32_t topk_group;
};

#define ROWS W4_FUSED_ROWS
#define COLUMNS W4_FUSED_COLUMNS
#define NO_FUSED W4_FUSED_NONE
#define NONE W4MOE_ROUTER_NONE
#define SOFTMAX W4MOE_ROUTER_SOFTMAX_TOPK
#define TOPK W4MOE_ROUTER_TOPK_SOFTMAX
#define SIGMOID W4MOE_ROUTER_SIGMOID
#define SOFTPLUS W4MOE_ROUTER_SQRT_SOFTPLUS

#define V3                                                                     \
    "'scoring_func':'sigmoid','topk_method':'noaux_tc','n_group':8,"           \
    "'topk_group':4,'norm_topk_prob':true,'routed_scaling_factor':2.5"
#define SCALED "'routed_scaling_factor':2"
#define BAILING "'score_function':'sigmoid','n_group':8,'topk_group':4," SCALED
#define KIMI                                                                   \
    "'moe_router_activation_func':'sigmoid','moe_renormalize':true,"           \
    "'num_expert_group':1,'topk_group':1,'routed_scaling_factor':2.446"

static const struct family_case families[] = {
        {"qwen2_moe", "'a':0", ROWS, SOFTMAX, 0, 0, 0, 0},
        {"qwen3_moe", "'norm_topk_prob':true", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"qwen3_moe", "'norm_topk_prob':null", ROWS, SOFTMAX, 0, 0, 0, 0},
        {"qwen3_next", "'a':0", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"qwen3_next", "'norm_topk_prob':false", ROWS, SOFTMAX, 0, 0, 0, 0},
        {"qwen3_5_moe_text", "'a':0", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"qwen3_5_moe", "'norm_topk_prob':false", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"qwen3_vl_moe_text", "'a':0", COLUMNS, SOFTMAX, 1, 0, 0, 0},
        {"qwen3_omni_moe_text", "'norm_topk_prob':true", COLUMNS, SOFTMAX, 1, 0,
                0, 0},
        {"mixtral", "'a':0", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"deepseek_v2",
                "'topk_method':'greedy','scoring_func':'softmax',"
                "'routed_scaling_factor':1.0,'n_group':1,'topk_group':1",
                ROWS, SOFTMAX, 0, 1, 0, 0},
        {"deepseek_v2",
                "'topk_method':'greedy','routed_scaling_factor':16.0,"
                "'norm_topk_prob':false",
                ROWS, SOFTMAX, 0, 16, 0, 0},
        {"deepseek_v2",
                "'topk_method':'group_limited_greedy','n_group':8,"
                "'topk_group':3,'routed_scaling_factor':16.0",
                ROWS, NONE, 0, 0, 0, 0},
        {"deepseek_v2", "'routed_scaling_factor':16.0,'norm_topk_prob':true",
                ROWS, NONE, 0, 0, 0, 0},
        {"deepseek_v2", "'scoring_func':'sigmoid'," SCALED, ROWS, NONE, 0, 0, 0,
                0},
        {"deepseek_v3", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"deepseek_v3",
                "'n_group':null,'topk_group':4,'routed_scaling_factor':1", ROWS,
                NONE, 0, 0, 0, 0},
        {"deepseek_v3", "'n_group':1,'topk_group':1", ROWS, NONE, 0, 0, 0, 0},
        {"deepseek_v3", "'n_group':1,'topk_group':1," SCALED, ROWS, SIGMOID, 1,
                2, 1, 1},
        {"deepseek_v3",
                "'n_group':1,'topk_group':1,'topk_method':'greedy'," SCALED,
                ROWS, NONE, 0, 0, 0, 0},
        {"deepseek_v3",
                "'n_group':1,'topk_group':1,'scoring_func':'softmax'," SCALED,
                ROWS, NONE, 0, 0, 0, 0},
        {"deepseek_v32", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"deepseek_v4",
                "'scoring_func':'sqrtsoftplus','topk_method':'noaux_tc',"
                "'norm_topk_prob':true,'routed_scaling_factor':1.5",
                ROWS, SOFTPLUS, 1, 1.5f, 0, 0},
        {"deepseek_v4", "'scoring_func':'sigmoid'," SCALED, ROWS, NONE, 0, 0, 0,
                0},
        {"kimi_k2", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"kimi_linear", KIMI, ROWS, SIGMOID, 1, 2.446f, 1, 1},
        {"glm4_moe", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"glm4v_moe_text", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"glm4_moe_lite", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"glm_moe_dsa", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"dots1", "'n_group':1,'topk_group':1," SCALED, ROWS, SIGMOID, 0, 2, 1,
                1},
        {"exaone_moe", V3, ROWS, SIGMOID, 1, 2.5f, 8, 4},
        {"minimax", "'a':0", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"minimax_m2", "'scoring_func':'sigmoid','use_routing_bias':true", ROWS,
                SIGMOID, 1, 0, 0, 0},
        {"minimax_m2", "'scoring_func':'softmax'", ROWS, NONE, 0, 0, 0, 0},
        {"minimax_m2", SCALED, ROWS, NONE, 0, 0, 0, 0},
        {"minimax_m3_vl_text", "'scoring_func':'sigmoid'," SCALED, ROWS,
                SIGMOID, 1, 2, 0, 0},
        {"llama4_text", "'a':0", COLUMNS, NONE, 0, 0, 0, 0},
        {"llama4_text", "'num_experts_per_tok':1", COLUMNS,
                W4MOE_ROUTER_SIGMOID_TOP1, 0, 0, 0, 0},
        {"granitemoe", "'a':0", ROWS, TOPK, 0, 0, 0, 0},
        {"granitemoehybrid", "'a':0", ROWS, TOPK, 0, 0, 0, 0},
        {"gemma4_text", "'a':0", ROWS, NONE, 0, 0, 0, 0},
        {"lfm2_moe", "'norm_topk_prob':true,'routed_scaling_factor':1.0", ROWS,
                SIGMOID, 1, 1, 0, 0},
        {"ernie4_5_moe", "'a':0", ROWS, NONE, 0, 0, 0, 0},
        {"hunyuan_v1_moe", "'a':0", ROWS, SOFTMAX, 1, 0, 0, 0},
        {"hunyuan_v1_moe", "'num_experts_per_tok':1", ROWS, NONE, 0, 0, 0, 0},
        {"olmoe", "'norm_topk_prob':false", ROWS, SOFTMAX, 0, 0, 0, 0},
        {"phimoe", "'a':0", ROWS, NONE, 0, 0, 0, 0},
        {"bailing_moe", "'norm_topk_prob':true", NO_FUSED, SOFTMAX, 1, 0, 0, 0},
        {"bailing_moe", "'norm_topk_prob':true,'multi_gate':true", NO_FUSED,
                NONE, 0, 0, 0, 0},
        {"bailing_moe", BAILING, NO_FUSED, SIGMOID, 1, 2, 8, 4},
        {"bailing_moe_v2", BAILING, NO_FUSED, SIGMOID, 1, 2, 8, 4},
        {"bailing_moe_v2", "'n_group':8,'topk_group':4," SCALED, NO_FUSED, NONE,
                0, 0, 0, 0},
        {"step3_text", "'norm_expert_weight':true", NO_FUSED, SOFTMAX, 1, 0, 0,
                0},
        {"step3p5",
                "'moe_router_activation':'sigmoid','norm_expert_weight':true,"
                "'moe_router_scaling_factor':3",
                NO_FUSED, SIGMOID, 1, 3, 0, 0},
        /* Types that are not known are not guessed. */
        {"qwen", V3, NO_FUSED, NONE, 0, 0, 0, 0},
        {"qwen3_moe_", "'a':0", NO_FUSED, NONE, 0, 0, 0, 0},
        {"qwen3_mo", "'a':0", NO_FUSED, NONE, 0, 0, 0, 0},
        {"_text", "'a':0", NO_FUSED, NONE, 0, 0, 0, 0},
        {"", "'a':0", NO_FUSED, NONE, 0, 0, 0, 0},
};

START_TEST(routers)
{
    const struct family_case *f = &families[_i];
    json_t *root = config_parse("{'hidden_act':'silu'," SIZES "'b':0}");
    json_object_set_new(root, "model_type", json_string(f->type));
    char *text = malloc(strlen(f->fields) + 3);
    ck_assert_ptr_nonnull(text);
    sprintf(text, "{%s}", f->fields);
    json_t *fields = config_parse(text);
    json_object_update(root, fields);
    struct w4_model_config c = accepted(root);
    ck_assert_str_eq(c.model_type, f->type);
    ck_assert_msg(c.fused == f->fused, "%s: fused %d", text, (int)c.fused);
    ck_assert_msg(c.router.kind == f->router, "%s: router %d", text,
            (int)c.router.kind);
    ck_assert_uint_eq(c.router.struct_size, sizeof(c.router));
    ck_assert_int_eq(c.router.renormalize, f->renormalize);
    ck_assert_int_eq(
            c.router.weight_on_input, f->router == W4MOE_ROUTER_SIGMOID_TOP1);
    ck_assert_msg(c.router.scale == f->scale, "%g", (double)c.router.scale);
    ck_assert_uint_eq(c.router.n_group, f->n_group);
    ck_assert_uint_eq(c.router.topk_group, f->topk_group);
    ck_assert_uint_eq(c.n_hash_layers, 0);
    free(text);
    json_decref(fields);
    json_decref(root);
}
END_TEST

/* -------------------------------------------------------------- activations */

START_TEST(activations)
{
    static const struct {
        const char *type, *name, *fields;
        w4moe_activation_kind kind;
        float limit, alpha, beta, linear_beta;
    } cases[] = {
            {"a", "'silu'", "{}", W4MOE_ACT_SILU, 0, 0, 0, 0},
            {"a", "'swish'", "{'swiglu_limit':7.5}", W4MOE_ACT_SILU, 7.5f, 0, 0,
                    0},
            {"a", "'gelu'", "{'swiglu_limit':null}", W4MOE_ACT_GELU, 0, 0, 0,
                    0},
            {"a", "'gelu_pytorch_tanh'", "{'swiglu_limit':0}",
                    W4MOE_ACT_GELU_TANH, 0, 0, 0, 0},
            {"gemma4", "null", "{'hidden_activation':'gelu_pytorch_tanh'}",
                    W4MOE_ACT_GELU_TANH, 0, 0, 0, 0},
            {"gpt_oss", "'silu'", "{}", W4MOE_ACT_SWIGLUOAI, 7, 1.702f, 0, 0},
            {"gpt_oss", "'silu'", "{'swiglu_limit':6.0}", W4MOE_ACT_SWIGLUOAI,
                    6, 1.702f, 0, 0},
            {"minimax_m3", "'swigluoai'",
                    "{'swiglu_limit':5.0,'swiglu_alpha':1.5}",
                    W4MOE_ACT_SWIGLUOAI, 5, 1.5f, 0, 0},
            {"lfm2_moe", "null", "{}", W4MOE_ACT_SILU, 0, 0, 0, 0},
            {"deepseek_v4", "'silu'", "{'swiglu_limit':10}", W4MOE_ACT_SILU, 10,
                    0, 0, 0},
            {"step3p5", "null", "{'swiglu_limits':[0.0,null,0]}",
                    W4MOE_ACT_SILU, 0, 0, 0, 0},
            {"step3p5", "null", "{'swiglu_limits':[7,7]}", W4MOE_ACT_SWIGLUSTEP,
                    7, 0, 0, 0},
            {"exaone_moe", "'silu'", "{'swiglu_limits':[4,4.0]}",
                    W4MOE_ACT_SILU, 4, 0, 0, 0},
            {"kimi_linear", "'situ'",
                    "{'activation_situ_beta':4.0,"
                    "'activation_situ_linear_beta':25.0}",
                    W4MOE_ACT_SITU, 0, 0, 4, 25},
            {"kimi_linear", "'situ'", "{'activation_situ_beta':4}",
                    W4MOE_ACT_SITU, 0, 0, 4, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *root = config_parse(qwen3);
        json_t *fields = config_parse(cases[i].fields);
        json_object_set_new(root, "model_type", json_string(cases[i].type));
        config_edit(root, "hidden_act", cases[i].name);
        json_object_update(root, fields);
        w4moe_activation act = accepted(root).activation;
        ck_assert_uint_eq(act.struct_size, sizeof(act));
        ck_assert_msg(act.kind == cases[i].kind, "%zu: %d", i, (int)act.kind);
        ck_assert_msg(act.limit == cases[i].limit, "%zu", i);
        ck_assert_msg(act.alpha == cases[i].alpha, "%zu", i);
        ck_assert_msg(act.beta == cases[i].beta, "%zu", i);
        ck_assert_msg(act.linear_beta == cases[i].linear_beta, "%zu", i);
        json_decref(fields);
        json_decref(root);
    }
}
END_TEST

START_TEST(bad_activations)
{
    static const char *const unknown[] = {
            NULL, "null", "''", "'relu'", "'relu2'", "'SILU'", "'silu '"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        refused_edit("hidden_act", unknown[i], W4MOE_UNSUPPORTED, "hidden_act");
    }
    refused_edit("hidden_act", "7", W4MOE_FORMAT, "hidden_act");
    refused_edit("hidden_act", "['silu']", W4MOE_FORMAT, "hidden_act");
    refused_edit("hidden_act", "'situ'", W4MOE_FORMAT, "activation_situ_beta");
    refused_edit("swiglu_limits", "7", W4MOE_FORMAT, "swiglu_limits");
    refused_edit("swiglu_limits", "['7']", W4MOE_FORMAT, "swiglu_limits");
    refused_edit("swiglu_limits", "[0,-1]", W4MOE_FORMAT, "swiglu_limits");
    refused_edit("swiglu_limits", "[null,7]", W4MOE_UNSUPPORTED,
            "swiglu_limits\" has 0 and 7");
    json_t *root = config_parse(qwen3);
    config_edit(root, "hidden_act", "'gelu'");
    config_edit(root, "swiglu_limit", "7");
    config_refused(config_write(root), W4MOE_UNSUPPORTED, "swiglu_limit 7");
    json_decref(root);
}
END_TEST

START_TEST(hash_layers)
{
    json_t *root = config_parse(qwen3);
    config_edit(root, "num_hash_layers", "3");
    ck_assert_uint_eq(accepted(root).n_hash_layers, 3);
    config_edit(root, "num_hash_layers", "0");
    config_edit(root, "mlp_layer_types", "['hash_moe','hash_moe','moe']");
    ck_assert_uint_eq(accepted(root).n_hash_layers, 2);
    config_edit(root, "mlp_layer_types", "['hash_moe']");
    ck_assert_uint_eq(accepted(root).n_hash_layers, 1);
    config_edit(root, "mlp_layer_types", "['dense',7]");
    ck_assert_uint_eq(accepted(root).n_hash_layers, 0);
    json_decref(root);
}
END_TEST

/* -------------------------------------------------------------------- sizes */

START_TEST(names_of_sizes)
{
    static const char *const experts[] = {"num_local_experts",
            "n_routed_experts", "moe_num_experts", "num_experts"};
    static const char *const top_k[] = {"moe_topk", "moe_top_k", "moe_k",
            "num_experts_per_token", "experts_per_token", "top_k_experts",
            "num_experts_per_tok"};
    json_t *root = config_parse(qwen3);
    for (size_t i = 0; i < COUNT(experts); i++) {
        config_edit(root, experts[(i + 3) % 4], NULL);
        config_edit(root, experts[i], "9");
        ck_assert_uint_eq(accepted(root).n_experts, 9);
    }
    for (size_t i = 0; i < COUNT(top_k); i++) {
        config_edit(root, top_k[(i + 6) % 7], NULL);
        config_edit(root, top_k[i], "5");
        ck_assert_uint_eq(accepted(root).top_k, 5);
    }
    /* Experts of the dense layers' width. */
    ck_assert_uint_eq(accepted(root).intermediate_size, 768);
    config_edit(root, "moe_intermediate_size", NULL);
    ck_assert_uint_eq(accepted(root).intermediate_size, 6144);
    /* Lists of layers that are equal; experts in a space of their own. */
    config_edit(root, "moe_intermediate_size", "[512,512,512]");
    ck_assert_uint_eq(accepted(root).intermediate_size, 512);
    config_edit(root, "hidden_size", "2147483647");
    ck_assert_uint_eq(accepted(root).hidden_size, 2147483647);
    config_edit(root, "routed_expert_hidden_size", "96");
    ck_assert_uint_eq(accepted(root).hidden_size, 96);
    json_decref(root);
}
END_TEST

START_TEST(bad_sizes)
{
    static const char *const names[] = {"hidden_size", "num_experts",
            "num_experts_per_tok", "moe_intermediate_size",
            "routed_expert_hidden_size"};
    static const char *const wrong[] = {"0", "-1", "2147483648",
            "9223372036854775807", "-9223372036854775808", "8.0", "'8'", "true",
            "[]", "['8']", "[[8]]", "{'a':8}", "''"};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t j = 0; j < COUNT(wrong); j++) {
            refused_edit(names[i], wrong[j], W4MOE_FORMAT, names[i]);
        }
        if (i < 3) { /* the others have a second name */
            refused_edit(names[i], NULL, W4MOE_FORMAT, names[i]);
            refused_edit(names[i], "null", W4MOE_FORMAT, names[i]);
        }
    }
    refused_edit("num_experts", "[64,0]", W4MOE_FORMAT, "num_experts");
    refused_edit("num_experts", "[64,64,32]", W4MOE_UNSUPPORTED,
            "num_experts\" has 64 and 32");
    refused_edit("num_experts_per_tok", "129", W4MOE_FORMAT,
            "129 experts per token of 128");
    json_t *root = config_parse(qwen3);
    config_edit(root, "intermediate_size", NULL);
    config_edit(root, "moe_intermediate_size", NULL);
    config_refused(config_write(root), W4MOE_FORMAT, "moe_intermediate_size");
    json_decref(root);
}
END_TEST

START_TEST(bad_fields)
{
    static const struct {
        const char *name, *value;
    } cases[] = {{"model_type", "7"}, {"scoring_func", "1"},
            {"norm_topk_prob", "1"}, {"norm_topk_prob", "'true'"},
            {"n_group", "-1"}, {"n_group", "1.0"}, {"n_group", "2147483648"},
            {"topk_group", "'1'"}, {"routed_scaling_factor", "-1"},
            {"routed_scaling_factor", "1e39"}, {"routed_scaling_factor", "'1'"},
            {"swiglu_limit", "-7"}, {"swiglu_limit", "'7'"},
            {"topk_method", "[]"}, {"multi_gate", "2"},
            {"num_hash_layers", "-1"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        refused_edit(
                cases[i].name, cases[i].value, W4MOE_FORMAT, cases[i].name);
    }
    refused_edit("model_type",
            "'0123456789012345678901234567890123456789012345678901234567890123'"
            "",
            W4MOE_FORMAT, "64 bytes");
    json_t *root = config_parse(
            "{'model_type':'glm4_moe','hidden_act':'silu'," SIZES SCALED
            ",'n_group':3,'topk_group':1}");
    config_refused(config_write(root), W4MOE_FORMAT, "n_group is 3");
    config_edit(root, "n_group", "8");
    config_edit(root, "topk_group", "9");
    config_refused(config_write(root), W4MOE_FORMAT, "topk_group 9");
    config_edit(root, "topk_group", "0");
    config_refused(config_write(root), W4MOE_FORMAT, "topk_group 0");
    json_decref(root);
}
END_TEST

/* Multimodal models: the language model's fields stand apart. */
START_TEST(nesting)
{
    static const char *const places[] = {
            "text_config", "llm_config", "language_config", "thinker"};
    for (size_t i = 0; i < COUNT(places); i++) {
        json_t *text = config_parse(qwen3);
        json_t *root = config_parse("{'model_type':'whole','hidden_size':1}");
        if (i == 3) {
            json_object_set_new(root, "thinker_config",
                    json_pack("{s:O}", "text_config", text));
        } else {
            json_object_set(root, places[i], text);
        }
        struct w4_model_config c = accepted(root);
        ck_assert_uint_eq(c.hidden_size, 2048);
        ck_assert_str_eq(c.model_type, "qwen3_moe");
        ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_SOFTMAX_TOPK);
        config_edit(text, "model_type", NULL);
        ck_assert_str_eq(accepted(root).model_type, "whole");
        /* A field that is only outside does not count. */
        config_edit(text, "hidden_size", NULL);
        config_refused(config_write(root), W4MOE_FORMAT, "hidden_size");
        json_decref(text);
        json_decref(root);
    }
    /* One that is no object is no text_config. */
    json_t *root = config_parse(qwen3);
    config_edit(root, "text_config", "null");
    ck_assert_uint_eq(accepted(root).hidden_size, 2048);
    json_decref(root);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("model_config");
    TCase *tc = tcase_create("model_config");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_loop_test(tc, routers, 0, (int)COUNT(families));
    tcase_add_test(tc, activations);
    tcase_add_test(tc, bad_activations);
    tcase_add_test(tc, hash_layers);
    tcase_add_test(tc, names_of_sizes);
    tcase_add_test(tc, bad_sizes);
    tcase_add_test(tc, bad_fields);
    tcase_add_test(tc, nesting);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
