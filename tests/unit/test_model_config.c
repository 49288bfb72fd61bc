/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* config.json: what each family's says, every field missing, of a wrong type
 * and out of range in turn, and quantisations that are not read. What is no
 * JSON or no file is in test_config_file.c. In the texts of JSON here, '
 * stands for ". */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "format/model_config.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct w4_err err;

static void
setup(void)
{
    w4_err_init(&err, NULL, NULL);
}

static void
teardown(void)
{
    w4_err_fini(&err);
}

/* A Qwen3 config; %s-free, so that it can be parsed and edited. */
static const char qwen3[] =
        "{'model_type':'qwen3_moe','hidden_act':'silu','hidden_size':2048,"
        "'num_experts':128,'num_experts_per_tok':8,'moe_intermediate_size':768,"
        "'intermediate_size':6144,'norm_topk_prob':true,"
        "'quantization_config':{'quant_method':'compressed-tensors',"
        "'format':'pack-quantized','config_groups':{'group_0':{"
        "'targets':['Linear'],'input_activations':null,'weights':{"
        "'num_bits':4,'type':'int','symmetric':true,'strategy':'group',"
        "'group_size':128}}}}}";

/* ' becomes ". Free it. */
static char *
quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return copy;
}

static json_t *
parse(const char *text)
{
    char *copy = quoted(text);
    json_t *json = json_loads(copy, JSON_DECODE_ANY, NULL);
    ck_assert_msg(json != NULL, "%s", text);
    free(copy);
    return json;
}

/* Sets the value at a path such as "a/b"; value NULL removes it. */
static void
edit(json_t *root, const char *path, const char *value)
{
    char word[64];
    for (const char *slash = strchr(path, '/'); slash != NULL;
            slash = strchr(path, '/')) {
        memcpy(word, path, (size_t)(slash - path));
        word[slash - path] = '\0';
        root = json_object_get(root, word);
        ck_assert_msg(root != NULL, "no %s", word);
        path = slash + 1;
    }
    if (value == NULL) {
        ck_assert_int_eq(json_object_del(root, path), 0);
    } else {
        json_object_set_new(root, path, parse(value));
    }
}

static w4moe_status
read_json(struct w4_model_config *config, const json_t *root)
{
    const char *path = test_path("config.json");
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    return w4_model_config_read(&err, config, path);
}

/* Must be refused with this status, a text that begins with the path and
 * contains `text`, and nothing written. */
static void
refused_path(const char *path, w4moe_status status, const char *text)
{
    struct w4_model_config config;
    struct w4_model_config before;
    memset(&config, 0xEE, sizeof(config));
    memset(&before, 0xEE, sizeof(before));
    w4moe_status got = w4_model_config_read(&err, &config, path);
    const char *said = w4_err_text(&err);
    ck_assert_msg(got == status && strstr(said, text) != NULL,
            "status %d, expected %d (\"%s\"): %s", (int)got, (int)status, text,
            said);
    ck_assert_msg(strncmp(said, path, strlen(path)) == 0, "%s", said);
    ck_assert_mem_eq(&config, &before, sizeof(config));
}

/* The good config with one edit. */
static void
refused_edit(const char *path, const char *value, w4moe_status status,
        const char *text)
{
    json_t *root = parse(qwen3);
    edit(root, path, value);
    const char *file = test_path("config.json");
    ck_assert_int_eq(json_dump_file(root, file, 0), 0);
    refused_path(file, status, text);
    json_decref(root);
}

static struct w4_model_config
accepted(const json_t *root)
{
    struct w4_model_config config;
    memset(&config, 0xEE, sizeof(config));
    ck_assert_msg(
            read_json(&config, root) == W4MOE_OK, "%s", w4_err_text(&err));
    return config;
}

/* --------------------------------------------------------------------- good */

START_TEST(families)
{
    json_t *root = parse(qwen3);
    struct w4_model_config c = accepted(root);
    ck_assert_str_eq(c.model_type, "qwen3_moe");
    ck_assert_str_eq(c.scheme, "compressed-tensors");
    ck_assert(c.n_experts == 128 && c.top_k == 8 && c.hidden_size == 2048);
    ck_assert_uint_eq(c.intermediate_size, 768);
    ck_assert_uint_eq(c.group_sizes[0], 128);
    ck_assert_int_eq(c.symmetric, 1);
    ck_assert_int_eq(c.activation.kind, W4MOE_ACT_SILU);
    ck_assert(c.activation.limit == 0.0f);
    ck_assert_uint_eq(c.activation.struct_size, sizeof(c.activation));
    ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_SOFTMAX_TOPK);
    ck_assert_int_eq(c.router.renormalize, 1);
    edit(root, "norm_topk_prob", NULL);
    ck_assert_int_eq(accepted(root).router.renormalize, 0);
    /* Mixtral: other names, no width of its own, always renormalised. */
    edit(root, "model_type", "'mixtral'");
    edit(root, "num_local_experts", "8");
    edit(root, "num_experts", NULL);
    edit(root, "moe_intermediate_size", NULL);
    c = accepted(root);
    ck_assert(c.n_experts == 8 && c.intermediate_size == 6144);
    ck_assert_int_eq(c.router.renormalize, 1);
    /* DeepSeek-V3 */
    edit(root, "model_type", "'deepseek_v3'");
    edit(root, "num_local_experts", NULL);
    edit(root, "n_routed_experts", "256");
    edit(root, "scoring_func", "'sigmoid'");
    edit(root, "n_group", "8");
    edit(root, "topk_group", "4");
    edit(root, "routed_scaling_factor", "2.5");
    c = accepted(root);
    ck_assert_uint_eq(c.n_experts, 256);
    ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_SIGMOID);
    ck_assert(c.router.n_group == 8 && c.router.topk_group == 4);
    ck_assert(c.router.scale == 2.5f && c.router.renormalize == 1);
    /* A family whose routing is not known. */
    edit(root, "scoring_func", NULL);
    edit(root, "model_type", NULL);
    c = accepted(root);
    ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_NONE);
    ck_assert_str_eq(c.model_type, "");
    json_decref(root);
}
END_TEST

START_TEST(other_values)
{
    static const struct {
        const char *name;
        w4moe_activation_kind kind;
    } acts[] = {{"'silu'", W4MOE_ACT_SILU}, {"'swish'", W4MOE_ACT_SILU},
            {"'gelu'", W4MOE_ACT_GELU},
            {"'gelu_pytorch_tanh'", W4MOE_ACT_GELU_TANH}};
    json_t *root = parse(qwen3);
    for (size_t i = 0; i < COUNT(acts); i++) {
        edit(root, "hidden_act", acts[i].name);
        ck_assert_int_eq(accepted(root).activation.kind, acts[i].kind);
    }
    edit(root, "swiglu_limit", "7.5");
    ck_assert(accepted(root).activation.limit == 7.5f);
    static const char *const names[][2] = {{"num_experts", "moe_num_experts"},
            {"num_experts_per_tok", "moe_topk"}, {"moe_topk", "moe_top_k"},
            {"moe_top_k", "moe_k"}, {"moe_k", "num_experts_per_token"},
            {"num_experts_per_token", "experts_per_token"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        edit(root, names[i][0], NULL);
        edit(root, names[i][1], "5");
        ck_assert(i == 0 || accepted(root).top_k == 5);
    }
    ck_assert_uint_eq(accepted(root).n_experts, 5);
    /* The largest sizes. */
    edit(root, "hidden_size", "2147483647");
    ck_assert_uint_eq(accepted(root).hidden_size, 2147483647);
    json_decref(root);
}
END_TEST

#define WEIGHTS "quantization_config/config_groups/group_0/weights/"

START_TEST(groups)
{
    json_t *root = parse(qwen3);
    edit(root, WEIGHTS "group_size", "-1");
    ck_assert_uint_eq(accepted(root).group_sizes[0], 0);
    edit(root, WEIGHTS "group_size", "null");
    edit(root, WEIGHTS "strategy", "'channel'");
    ck_assert_uint_eq(accepted(root).group_sizes[0], 0);
    edit(root, WEIGHTS "symmetric", "false");
    ck_assert_int_eq(accepted(root).symmetric, 0);
    /* Several groups that say the same; then one that does not. */
    json_t *all = json_object_get(
            json_object_get(root, "quantization_config"), "config_groups");
    json_t *second = json_deep_copy(json_object_get(all, "group_0"));
    json_object_set_new(all, "group_1", second);
    ck_assert_uint_eq(accepted(root).group_sizes[0], 0);
    const char *same_path = test_path("same.json");
    edit(second, "input_activations", "{'num_bits':8}");
    ck_assert_int_eq(json_dump_file(root, same_path, 0), 0);
    refused_path(same_path, W4MOE_UNSUPPORTED, "activations");
    edit(second, "input_activations", "null");
    edit(second, "weights/num_bits", "8");
    const char *path = test_path("config.json");
    ck_assert_int_eq(json_dump_file(root, path, 0), 0);
    refused_path(path, W4MOE_UNSUPPORTED, "group_1");
    json_decref(root);
}
END_TEST

/* Multimodal models: the language model's fields stand apart; the quantisation
 * stands there or outside. */
START_TEST(text_config)
{
    for (int inside = 0; inside < 2; inside++) {
        json_t *text = parse(qwen3);
        json_t *root = json_pack("{s:s, s:i, s:O}", "model_type", "qwen3_vl",
                "hidden_size", 1, "text_config", text);
        if (!inside) {
            json_object_set(root, "quantization_config",
                    json_object_get(text, "quantization_config"));
            edit(text, "quantization_config", NULL);
        }
        struct w4_model_config c = accepted(root);
        ck_assert_uint_eq(c.hidden_size, 2048);
        ck_assert_uint_eq(c.group_sizes[0], 128);
        ck_assert_int_eq(c.router.kind, W4MOE_ROUTER_SOFTMAX_TOPK);
        /* A field that is only outside does not count. */
        edit(text, "hidden_size", NULL);
        ck_assert_int_eq(read_json(&c, root), W4MOE_FORMAT);
        json_decref(text);
        json_decref(root);
    }
    /* One that is no object is no text_config. */
    json_t *root = parse(qwen3);
    edit(root, "text_config", "null");
    ck_assert_uint_eq(accepted(root).hidden_size, 2048);
    json_decref(root);
}
END_TEST

/* ------------------------------------------------------------------ fields */

START_TEST(sizes)
{
    static const char *const names[] = {"hidden_size", "num_experts",
            "num_experts_per_tok", "moe_intermediate_size"};
    static const char *const wrong[] = {"0", "-1", "2147483648",
            "9223372036854775807", "-9223372036854775808", "8.0", "'8'", "true",
            "[8]", "{'a':8}", "''"};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t j = 0; j < COUNT(wrong); j++) {
            refused_edit(names[i], wrong[j], W4MOE_FORMAT, names[i]);
        }
        if (i < 3) { /* the last one has a second name */
            refused_edit(names[i], NULL, W4MOE_FORMAT, names[i]);
            refused_edit(names[i], "null", W4MOE_FORMAT, names[i]);
        }
    }
    json_t *root = parse(qwen3);
    edit(root, "intermediate_size", NULL);
    edit(root, "moe_intermediate_size", NULL);
    struct w4_model_config c;
    ck_assert_int_eq(read_json(&c, root), W4MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(w4_err_text(&err), "moe_intermediate_size"));
    json_decref(root);
    refused_edit("num_experts_per_tok", "129", W4MOE_FORMAT,
            "129 experts per token of 128");
}
END_TEST

START_TEST(activations)
{
    static const char *const wrong[] = {
            NULL, "null", "''", "'relu'", "'SILU'", "7", "['silu']", "'silu '"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        refused_edit("hidden_act", wrong[i], W4MOE_UNSUPPORTED, "hidden_act");
    }
}
END_TEST

START_TEST(quantisations)
{
    static const char *const methods[] = {"gptq", "awq", "mxfp4", "fp8",
            "bitsandbytes", "compressed_tensors", "Compressed-Tensors", ""};
    for (size_t i = 0; i < COUNT(methods); i++) {
        char value[64];
        snprintf(value, sizeof(value), "'%s'", methods[i]);
        refused_edit("quantization_config/quant_method", value,
                W4MOE_UNSUPPORTED, methods[i]);
    }
    refused_edit("quantization_config", NULL, W4MOE_UNSUPPORTED,
            "no quantization_config");
    refused_edit("quantization_config", "null", W4MOE_UNSUPPORTED, "quant");
    refused_edit("quantization_config", "[]", W4MOE_UNSUPPORTED, "quant");
    refused_edit("quantization_config/quant_method", NULL, W4MOE_UNSUPPORTED,
            "quant_method");
    refused_edit("quantization_config/quant_method", "4", W4MOE_UNSUPPORTED,
            "quant_method");
    static const char *const formats[] = {"marlin-24", "float-quantized",
            "int-quantized", "naive-quantized", "dense", "mixed-precision"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        char value[64];
        snprintf(value, sizeof(value), "'%s'", formats[i]);
        refused_edit("quantization_config/format", value, W4MOE_UNSUPPORTED,
                formats[i]);
    }
    refused_edit(
            "quantization_config/format", NULL, W4MOE_UNSUPPORTED, "format");
    static const char *const lists[] = {NULL, "null", "{}", "[]", "'x'", "1"};
    for (size_t i = 0; i < COUNT(lists); i++) {
        refused_edit("quantization_config/config_groups", lists[i],
                W4MOE_FORMAT, "config_groups");
    }
}
END_TEST

START_TEST(weight_arguments)
{
    static const struct {
        const char *path, *value, *text;
    } cases[] = {{WEIGHTS "num_bits", "8", "8 bits"},
            {WEIGHTS "num_bits", "3", "3 bits"},
            {WEIGHTS "num_bits", "'4'", "bits"},
            {WEIGHTS "num_bits", "4.0", "bits"},
            {WEIGHTS "num_bits", NULL, "bits"},
            {WEIGHTS "type", "'float'", "float"},
            {WEIGHTS "type", NULL, "type"}, {WEIGHTS "type", "1", "type"},
            {WEIGHTS "strategy", "'tensor'", "tensor"},
            {WEIGHTS "strategy", "'block'", "block"},
            {WEIGHTS "strategy", "'tensor_group'", "tensor_group"},
            {WEIGHTS "strategy", NULL, "strategy"},
            {WEIGHTS "strategy", "null", "strategy"},
            {WEIGHTS "group_size", NULL, "group size 0"},
            {WEIGHTS "group_size", "0", "group size 0"},
            {WEIGHTS "group_size", "12", "group size 12"},
            {WEIGHTS "group_size", "-8", "group size -8"},
            {WEIGHTS "group_size", "-128", "group size -128"},
            {WEIGHTS "group_size", "2147483648", "group size 2147483648"},
            {WEIGHTS "group_size", "'128'", "group size"},
            {WEIGHTS "group_size", "128.0", "group size"},
            {"quantization_config/config_groups/group_0/weights", NULL, "bits"},
            {"quantization_config/config_groups/group_0/weights", "[]", "bits"},
            {"quantization_config/config_groups/group_0", "null", "bits"},
            {"quantization_config/config_groups/group_0/input_activations",
                    "{'num_bits':8}", "activations"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        refused_edit(cases[i].path, cases[i].value, W4MOE_UNSUPPORTED,
                cases[i].text);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("model_config");
    TCase *tc = tcase_create("model_config");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, families);
    tcase_add_test(tc, other_values);
    tcase_add_test(tc, groups);
    tcase_add_test(tc, text_config);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, activations);
    tcase_add_test(tc, quantisations);
    tcase_add_test(tc, weight_arguments);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
