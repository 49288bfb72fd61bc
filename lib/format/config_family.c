/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What is known of a model by its type: how it routes, which activation its
 * experts have, and how tensors with all experts are laid out. A routing that
 * is none of the kinds of w4moe_route(3) is NONE, and never approximated. */
#include <math.h>
#include <string.h>

#include "format/config_reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a row says beside the kinds. */
enum {
    /* Whether the chosen weights are divided by their sum: always, or by
     * norm_topk_prob, which is false or (NORM_ABSENT) true if absent. */
    NORM_ALWAYS = 1,
    NORM_ABSENT = 2,
    /* The family reads these fields, and the router is known only if they are
     * there. Where it does not read them they must change nothing. */
    GROUPS = 4,
    SCALE = 8,
    /* The scoring function must be named, not only must not be another. */
    SCORING = 16,
    /* Several experts per token; one: other rules. */
    SEVERAL = 32,
    ONE = 64,
    /* hidden_act is absent, and the activation silu. */
    NO_ACT = 128,
    /* hidden_act says silu, which is not true. */
    OAI = 256,
    /* A swiglu_limit clamps after silu, not before. */
    STEP = 512
};

/* A type may have several rows: that of its scoring function counts. */
struct family {
    /** model_type, without "_text". */
    const char *type;
    enum w4_fused fused;
    w4moe_router_kind router;
    /** Name of the scoring function; NULL: the family has one only. */
    const char *scoring;
    unsigned flags;
};

#define ROWS W4_FUSED_ROWS
#define COLUMNS W4_FUSED_COLUMNS
#define SOFTMAX W4MOE_ROUTER_SOFTMAX_TOPK
#define SIGMOID W4MOE_ROUTER_SIGMOID
#define UNKNOWN W4MOE_ROUTER_NONE

/* As DeepSeek-V3. */
#define V3 SIGMOID, "sigmoid", NORM_ABSENT | GROUPS | SCALE

static const struct family families[] = {
        {"qwen2_moe", ROWS, SOFTMAX, NULL, 0},
        {"qwen3_moe", ROWS, SOFTMAX, NULL, 0},
        {"qwen3_next", ROWS, SOFTMAX, NULL, NORM_ABSENT},
        {"qwen3_5_moe", ROWS, SOFTMAX, NULL, NORM_ALWAYS},
        {"qwen3_vl_moe", COLUMNS, SOFTMAX, NULL, NORM_ALWAYS},
        {"qwen3_omni_moe", COLUMNS, SOFTMAX, NULL, 0},
        {"qwen3_omni_moe_thinker", COLUMNS, SOFTMAX, NULL, 0},
        {"mixtral", ROWS, SOFTMAX, NULL, NORM_ALWAYS},
        /* With groups the group's score is its best expert's, not two. */
        {"deepseek_v2", ROWS, SOFTMAX, "softmax", SCALE},
        {"deepseek_v3", ROWS, V3},
        {"deepseek_v32", ROWS, V3},
        {"deepseek_v4", ROWS, W4MOE_ROUTER_SQRT_SOFTPLUS, "sqrtsoftplus",
                NORM_ABSENT | SCALE},
        {"kimi_k2", ROWS, V3},
        {"kimi_k25", ROWS, V3},
        {"kimi_linear", ROWS, V3 | SCORING},
        {"glm4_moe", ROWS, V3},
        {"glm4v_moe", ROWS, V3},
        {"glm4_moe_lite", ROWS, V3},
        {"glm_moe_dsa", ROWS, V3},
        {"dots1", ROWS, SIGMOID, NULL, GROUPS | SCALE},
        {"exaone_moe", ROWS, V3},
        {"minimax", ROWS, SOFTMAX, NULL, NORM_ALWAYS},
        {"minimax_text_01", ROWS, SOFTMAX, NULL, NORM_ALWAYS},
        {"minimax_m2", ROWS, SIGMOID, "sigmoid", NORM_ALWAYS},
        {"minimax_m3", ROWS, SIGMOID, "sigmoid", NORM_ALWAYS | SCALE},
        {"minimax_m3_vl", ROWS, SIGMOID, "sigmoid", NORM_ALWAYS | SCALE},
        {"llama4", COLUMNS, W4MOE_ROUTER_SIGMOID_TOP1, NULL, ONE},
        {"gpt_oss", W4_FUSED_COLUMNS_INTERLEAVED, W4MOE_ROUTER_TOPK_SOFTMAX,
                NULL, OAI},
        {"granitemoe", ROWS, W4MOE_ROUTER_TOPK_SOFTMAX, NULL, 0},
        {"granitemoehybrid", ROWS, W4MOE_ROUTER_TOPK_SOFTMAX, NULL, 0},
        {"granitemoeshared", ROWS, W4MOE_ROUTER_TOPK_SOFTMAX, NULL, 0},
        /* Its router normalises its input, and scales by expert. */
        {"gemma4", ROWS, UNKNOWN, NULL, 0},
        {"lfm2_moe", ROWS, SIGMOID, NULL, NORM_ABSENT | SCALE | NO_ACT},
        /* Softmax, but chosen by a biased score. */
        {"ernie4_5_moe", ROWS, UNKNOWN, NULL, 0},
        {"hunyuan_v1_moe", ROWS, SOFTMAX, NULL, NORM_ALWAYS | SEVERAL},
        {"olmoe", ROWS, SOFTMAX, NULL, 0},
        {"flex_olmo", ROWS, SOFTMAX, NULL, 0},
        /* Chosen one after the other, each with a mask of its own. */
        {"phimoe", ROWS, UNKNOWN, NULL, 0},
        {"bailing_moe", W4_FUSED_NONE, SOFTMAX, "softmax", NORM_ABSENT},
        {"bailing_moe", W4_FUSED_NONE, V3 | SCORING},
        {"bailing_moe_v2", W4_FUSED_NONE, V3 | SCORING},
        {"step3", W4_FUSED_NONE, SOFTMAX, "softmax", NO_ACT},
        {"step3p5", W4_FUSED_NONE, SIGMOID, "sigmoid",
                NORM_ABSENT | SCALE | SCORING | NO_ACT | STEP},
};

/* The row of a type and scoring function; of another function, a row without
 * a router. */
static struct family
find_family(const char *type, const char *scoring)
{
    struct family found = {.router = W4MOE_ROUTER_NONE};
    static const char text[] = "_text";
    size_t n = strlen(type);
    size_t n_text = sizeof(text) - 1;
    if (n > n_text && strcmp(type + n - n_text, text) == 0) {
        n -= n_text;
    }
    for (size_t i = 0; i < COUNT(families); i++) {
        const struct family *row = &families[i];
        if (strlen(row->type) != n || strncmp(row->type, type, n) != 0) {
            continue;
        }
        int named = row->scoring != NULL && strcmp(row->scoring, scoring) == 0;
        if (named || row->scoring == NULL ||
                (scoring[0] == '\0' && (row->flags & SCORING) == 0)) {
            return *row;
        }
        found = *row;
        found.router = W4MOE_ROUTER_NONE;
    }
    return found;
}

/* --------------------------------------------------------------- activation */

/* A limit for all layers; or a list, an element for each, if all are equal. */
static w4moe_status
read_limit(const struct w4_config_reader *reader, float *limit)
{
    static w4_config_names one_names = {"swiglu_limit", NULL};
    static w4_config_names list_names = {"swiglu_limits", NULL};
    const char *name;
    const json_t *list = w4_config_find(reader->model, list_names, &name);
    w4moe_status status =
            w4_config_number(reader, limit, reader->model, one_names);
    if (status != W4MOE_OK || list == NULL) {
        return status;
    }
    if (!json_is_array(list)) {
        return w4_fail(reader->err, W4MOE_FORMAT, "%s: field \"%s\" is no list",
                reader->path, name);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        float value = 0.0f;
        status = w4_config_float(reader, &value, json_array_get(list, i), name);
        if (status != W4MOE_OK) {
            return status;
        }
        *limit = i == 0 ? value : *limit;
        if (value != *limit) {
            return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                    "%s: field \"%s\" has %g and %g: layers that differ are "
                    "not converted",
                    reader->path, name, (double)*limit, (double)value);
        }
    }
    return W4MOE_OK;
}

static w4moe_status
read_situ(const struct w4_config_reader *reader, w4moe_activation *activation)
{
    static w4_config_names beta_names = {"activation_situ_beta", NULL};
    static w4_config_names linear_names = {"activation_situ_linear_beta", NULL};
    w4moe_status status = w4_config_number(
            reader, &activation->beta, reader->model, beta_names);
    if (status == W4MOE_OK && activation->beta == 0.0f) {
        status = w4_fail(reader->err, W4MOE_FORMAT,
                "%s: activation \"situ\" without \"%s\"", reader->path,
                beta_names[0]);
    }
    return status == W4MOE_OK
                   ? w4_config_number(reader, &activation->linear_beta,
                             reader->model, linear_names)
                   : status;
}

/* Parameters of a kind that is known. */
static w4moe_status
read_parameters(const struct w4_config_reader *reader,
        w4moe_activation *activation, unsigned flags)
{
    static w4_config_names alpha_names = {"swiglu_alpha", NULL};
    w4moe_status status = read_limit(reader, &activation->limit);
    if (status != W4MOE_OK) {
        return status;
    }
    switch (activation->kind) {
    case W4MOE_ACT_SILU:
        if ((flags & STEP) != 0 && activation->limit != 0.0f) {
            activation->kind = W4MOE_ACT_SWIGLUSTEP;
        }
        return W4MOE_OK;
    case W4MOE_ACT_SWIGLUOAI:
        activation->limit =
                activation->limit != 0.0f ? activation->limit : 7.0f;
        activation->alpha = 1.702f;
        return w4_config_number(
                reader, &activation->alpha, reader->model, alpha_names);
    default:
        break;
    }
    if (activation->limit != 0.0f) {
        return w4_fail(reader->err, W4MOE_UNSUPPORTED,
                "%s: swiglu_limit %g with activation %s", reader->path,
                (double)activation->limit,
                w4moe_activation_name(activation->kind));
    }
    return activation->kind == W4MOE_ACT_SITU ? read_situ(reader, activation)
                                              : W4MOE_OK;
}

static w4moe_status
read_activation(const struct w4_config_reader *reader,
        w4moe_activation *activation, unsigned flags)
{
    static const struct {
        const char *name;
        w4moe_activation_kind kind;
    } kinds[] = {
            {"silu", W4MOE_ACT_SILU},
            {"swish", W4MOE_ACT_SILU},
            {"gelu", W4MOE_ACT_GELU},
            {"gelu_pytorch_tanh", W4MOE_ACT_GELU_TANH},
            {"swigluoai", W4MOE_ACT_SWIGLUOAI},
            {"situ", W4MOE_ACT_SITU},
    };
    static w4_config_names names = {"hidden_act", "hidden_activation", NULL};
    const char *name;
    activation->struct_size = sizeof(*activation);
    w4moe_status status = w4_config_string(reader, &name, reader->model, names);
    if (status != W4MOE_OK) {
        return status;
    }
    if ((flags & OAI) != 0) {
        name = "swigluoai";
    } else if ((flags & NO_ACT) != 0 && name[0] == '\0') {
        name = "silu";
    }
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            activation->kind = kinds[i].kind;
            return read_parameters(reader, activation, flags);
        }
    }
    return w4_fail(reader->err, W4MOE_UNSUPPORTED,
            "%s: hidden_act \"%.64s\" is not known", reader->path, name);
}

/* ------------------------------------------------------------------- router */

/* Fields of routers; absent ones are -1 or NaN. */
struct routing {
    int64_t n_group;
    int64_t topk_group;
    float scale;
    int renormalize;
    const char *method;
    /** Gates of its own for images and sound. */
    int multi_gate;
};

static w4moe_status
read_routing(const struct w4_config_reader *reader, struct routing *routing)
{
    static w4_config_names group_names = {"n_group", "num_expert_group", NULL};
    static w4_config_names kept_names = {"topk_group", NULL};
    static w4_config_names scale_names = {"routed_scaling_factor",
            "moe_routed_scaling_factor", "moe_router_scaling_factor", NULL};
    static const char *const norm_names[] = {
            "norm_topk_prob", "moe_renormalize", "norm_expert_weight"};
    static w4_config_names method_names = {"topk_method", NULL};
    const json_t *model = reader->model;
    *routing = (struct routing){-1, -1, NAN, -1, "", 0};
    w4moe_status status =
            w4_config_integer(reader, &routing->n_group, model, group_names, 0);
    if (status == W4MOE_OK) {
        status = w4_config_integer(
                reader, &routing->topk_group, model, kept_names, 0);
    }
    if (status == W4MOE_OK) {
        status = w4_config_number(reader, &routing->scale, model, scale_names);
    }
    for (size_t i = 0; status == W4MOE_OK && i < COUNT(norm_names); i++) {
        status = w4_config_bool(
                reader, &routing->renormalize, model, norm_names[i]);
    }
    if (status == W4MOE_OK) {
        status = w4_config_bool(
                reader, &routing->multi_gate, model, "multi_gate");
    }
    return status == W4MOE_OK ? w4_config_string(reader, &routing->method,
                                        model, method_names)
                              : status;
}

/* Whether the fields leave nothing open and say nothing that the kind does not
 * do. */
static int
is_known(const struct family *family, const struct routing *routing,
        size_t top_k, int renormalize)
{
    const unsigned flags = family->flags;
    const char *method = family->router == SOFTMAX ? "greedy" : "noaux_tc";
    int has_scale = !isnan(routing->scale);
    int scales = has_scale && routing->scale != 1.0f;
    if ((flags & GROUPS) != 0 ? routing->n_group < 0 || routing->topk_group < 0
                              : routing->n_group > 1) {
        return 0;
    }
    if ((flags & SCALE) != 0 ? !has_scale || routing->scale == 0.0f : scales) {
        return 0;
    }
    if (routing->multi_gate) {
        return 0;
    }
    if (((flags & SEVERAL) != 0 && top_k == 1) ||
            ((flags & ONE) != 0 && top_k != 1)) {
        return 0;
    }
    /* DeepSeek-V2 scales or renormalises, its successors do both. */
    if (family->router == SOFTMAX && scales && renormalize) {
        return 0;
    }
    return routing->method[0] == '\0' || strcmp(routing->method, method) == 0;
}

static w4moe_status
read_router(const struct w4_config_reader *reader,
        struct w4_model_config *config, const struct family *family)
{
    struct routing routing;
    w4moe_router *router = &config->router;
    router->struct_size = sizeof(*router);
    w4moe_status status = read_routing(reader, &routing);
    if (status != W4MOE_OK || family->router == W4MOE_ROUTER_NONE) {
        return status;
    }
    int renormalize = (family->flags & NORM_ALWAYS) != 0 ? 1
                      : routing.renormalize >= 0
                              ? routing.renormalize
                              : (family->flags & NORM_ABSENT) != 0;
    if (!is_known(family, &routing, config->top_k, renormalize)) {
        return W4MOE_OK;
    }
    if (routing.n_group > 0 && (family->flags & GROUPS) != 0) {
        if (routing.topk_group == 0 || routing.topk_group > routing.n_group ||
                config->n_experts % (size_t)routing.n_group != 0) {
            return w4_fail(reader->err, W4MOE_FORMAT,
                    "%s: n_group is %d, topk_group %d, with %zu experts",
                    reader->path, (int)routing.n_group, (int)routing.topk_group,
                    config->n_experts);
        }
        router->n_group = (uint32_t)routing.n_group;
        router->topk_group = (uint32_t)routing.topk_group;
    }
    router->kind = family->router;
    router->weight_on_input = router->kind == W4MOE_ROUTER_SIGMOID_TOP1;
    if (router->kind == SOFTMAX || router->kind == SIGMOID ||
            router->kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        router->renormalize = renormalize;
    }
    router->scale = (family->flags & SCALE) != 0 ? routing.scale : 0.0f;
    return W4MOE_OK;
}

/* Layers that route by the token's id: a count, or a word for each layer. */
static w4moe_status
read_hash_layers(
        const struct w4_config_reader *reader, struct w4_model_config *config)
{
    static w4_config_names names = {"num_hash_layers", NULL};
    int64_t n = 0;
    const json_t *types = json_object_get(reader->model, "mlp_layer_types");
    w4moe_status status =
            w4_config_integer(reader, &n, reader->model, names, 0);
    while (n == 0 && config->n_hash_layers < json_array_size(types)) {
        const char *type =
                json_string_value(json_array_get(types, config->n_hash_layers));
        if (type == NULL || strcmp(type, "hash_moe") != 0) {
            return status;
        }
        config->n_hash_layers++;
    }
    config->n_hash_layers = n != 0 ? (size_t)n : config->n_hash_layers;
    return status;
}

w4moe_status
w4_config_family(
        const struct w4_config_reader *reader, struct w4_model_config *config)
{
    static w4_config_names names = {"scoring_func", "score_func",
            "score_function", "moe_router_activation_func",
            "moe_router_activation", NULL};
    const char *scoring;
    w4moe_status status =
            w4_config_string(reader, &scoring, reader->model, names);
    if (status != W4MOE_OK) {
        return status;
    }
    struct family family = find_family(config->model_type, scoring);
    config->fused = family.fused;
    status = read_activation(reader, &config->activation, family.flags);
    if (status == W4MOE_OK) {
        status = read_router(reader, config, &family);
    }
    return status == W4MOE_OK ? read_hash_layers(reader, config) : status;
}
