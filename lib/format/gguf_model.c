/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What a GGUF file's keys tell about experts. They do not tell the activation,
 * and of some models not how they route: that is known by the architecture. A
 * routing that is none of the kinds of w4moe_route(3) is NONE, and never
 * approximated; an activation is never guessed. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "format/gguf_source.h"
#include "io/text.h"

/* expert_gating_func. */
enum {
    GATING_NONE = 0,
    GATING_SOFTMAX = 1,
    GATING_SIGMOID = 2,
    GATING_SOFTMAX_WEIGHT = 3,
    GATING_SQRT_SOFTPLUS = 4
};

enum {
    /* Whether the chosen weights are divided by their sum: always, never, or
     * as expert_weights_norm says, which is false if absent. */
    NORM_ALWAYS = 1,
    NORM_NEVER = 2,
    /* The function that expert_gating_func names counts, if there is one. */
    GATING = 4,
    /* Files without groups may be of models that have some. */
    GROUPS = 8,
    /* One expert per token; several. */
    ONE = 16,
    SEVERAL = 32,
    /* Without expert_feed_forward_length, feed_forward_length is that of the
     * chosen experts together. */
    TOGETHER = 64,
    /* swiglu_clamp_exp clamps before silu. */
    CLAMP = 128
};

#define SILU W4MOE_ACT_SILU
#define SOFTMAX W4MOE_ROUTER_SOFTMAX_TOPK
#define SIGMOID W4MOE_ROUTER_SIGMOID
#define UNKNOWN W4MOE_ROUTER_NONE

static const struct architecture {
    const char *name;
    w4moe_activation_kind activation;
    /* With GATING: if the file does not say. */
    w4moe_router_kind router;
    unsigned flags;
} architectures[] = {
        {"afmoe", SILU, SIGMOID, GATING},
        {"bailingmoe", SILU, SOFTMAX, 0},
        {"bailingmoe2", SILU, UNKNOWN, GATING},
        {"dbrx", SILU, SOFTMAX, NORM_ALWAYS},
        {"deepseek", SILU, SOFTMAX, NORM_NEVER},
        {"deepseek2", SILU, SOFTMAX, GATING | GROUPS},
        {"deepseek4", SILU, UNKNOWN, GATING | CLAMP},
        {"dots1", SILU, UNKNOWN, GATING},
        /* Softmax, but chosen by a biased score. */
        {"ernie4_5-moe", SILU, UNKNOWN, 0},
        {"exaone-moe", SILU, UNKNOWN, GATING},
        /* Its router normalises its input, and scales by expert. */
        {"gemma4", W4MOE_ACT_GELU_TANH, UNKNOWN, 0},
        {"glm4moe", SILU, SIGMOID, GATING},
        {"gpt-oss", W4MOE_ACT_SWIGLUOAI, W4MOE_ROUTER_TOPK_SOFTMAX, 0},
        {"granitehybrid", SILU, W4MOE_ROUTER_TOPK_SOFTMAX, 0},
        {"granitemoe", SILU, W4MOE_ROUTER_TOPK_SOFTMAX, 0},
        /* Its router caps logits. */
        {"grok", W4MOE_ACT_GELU_TANH, UNKNOWN, 0},
        {"hunyuan-moe", SILU, SOFTMAX, NORM_ALWAYS | SEVERAL},
        {"jamba", SILU, SOFTMAX, NORM_NEVER},
        {"kimi-linear", SILU, UNKNOWN, GATING},
        {"lfm2moe", SILU, UNKNOWN, NORM_ALWAYS | GATING},
        {"llada-moe", SILU, SOFTMAX, NORM_NEVER},
        {"llama", SILU, SOFTMAX, NORM_ALWAYS},
        {"llama4", SILU, W4MOE_ROUTER_SIGMOID_TOP1, ONE},
        {"minimax-m2", SILU, SIGMOID, NORM_ALWAYS | GATING},
        {"olmoe", SILU, SOFTMAX, NORM_NEVER},
        /* Chosen one after the other, each with a mask of its own. */
        {"phimoe", SILU, UNKNOWN, 0},
        {"qwen2moe", SILU, SOFTMAX, NORM_NEVER | TOGETHER},
        {"qwen35moe", SILU, SOFTMAX, NORM_ALWAYS},
        {"qwen3moe", SILU, SOFTMAX, NORM_ALWAYS | TOGETHER},
        {"qwen3next", SILU, SOFTMAX, NORM_ALWAYS},
        {"qwen3vlmoe", SILU, SOFTMAX, NORM_ALWAYS | TOGETHER},
        {"rnd1", SILU, SOFTMAX, NORM_ALWAYS},
};

struct reader {
    struct w4_err *err;
    const struct w4_gguf_set *set;
    const struct architecture *architecture;
};

/* --------------------------------------------------------------------- keys */

/* A key of the architecture. */
struct key {
    char text[96];
};

static struct key
key_of(const struct reader *r, const char *name)
{
    struct key key;
    snprintf(key.text, sizeof(key.text), "%s.%s", r->architecture->name, name);
    return key;
}

static w4moe_status
refuse_key(const struct reader *r, const char *name, const char *what)
{
    return w4_fail(r->err, W4MOE_FORMAT, "%s: key \"%s\" %s",
            w4_show_path(w4_gguf_file_path(r->set, 0)).text,
            key_of(r, name).text, what);
}

/* A size of every layer: a number, or a list of one for each layer, in which 0
 * is a layer without experts. *found says whether the key is there. */
static w4moe_status
read_size(const struct reader *r, uint64_t *size, int *found, const char *name)
{
    struct key key = key_of(r, name);
    struct w4_gguf_array list = {0};
    uint64_t value = 0;
    uint64_t item;
    *found = 1;
    if (!w4_gguf_get_uint(r->set, key.text, &value)) {
        *found = w4_gguf_get_array(r->set, key.text, &list);
        for (uint64_t i = 0; i < list.n; i++) {
            if (!w4_gguf_array_uint(&list, i, &item)) {
                return refuse_key(r, name, "is no list of numbers");
            }
            if (item != 0 && value != 0 && item != value) {
                return w4_fail(r->err, W4MOE_UNSUPPORTED,
                        "%s: key \"%s\" has %" PRIu64 " and %" PRIu64
                        ": layers that differ are not converted",
                        w4_show_path(w4_gguf_file_path(r->set, 0)).text,
                        key.text, value, item);
            }
            value = item != 0 ? item : value;
        }
    }
    if (*found && (value == 0 || value > INT32_MAX)) {
        return refuse_key(r, name, "is outside [1, 2^31 - 1]");
    }
    *size = *found ? value : *size;
    return W4MOE_OK;
}

static w4moe_status
need_size(const struct reader *r, size_t *size, const char *name)
{
    int found;
    uint64_t value = 0;
    w4moe_status status = read_size(r, &value, &found, name);
    if (status == W4MOE_OK && !found) {
        return refuse_key(r, name, "is missing: no mixture of experts?");
    }
    *size = (size_t)value;
    return status;
}

/* The width of an expert. */
static w4moe_status
read_width(const struct reader *r, struct w4_model_config *config)
{
    static const char own[] = "expert_feed_forward_length";
    static const char common[] = "feed_forward_length";
    int found;
    uint64_t value = 0;
    w4moe_status status = read_size(r, &value, &found, own);
    if (status == W4MOE_OK && !found) {
        status = need_size(r, &config->intermediate_size, common);
        if (status == W4MOE_OK && (r->architecture->flags & TOGETHER) != 0) {
            config->intermediate_size /= config->top_k;
        }
        return status;
    }
    config->intermediate_size = (size_t)value;
    return status;
}

static w4moe_status
read_sizes(const struct reader *r, struct w4_model_config *config)
{
    w4moe_status status = need_size(r, &config->n_experts, "expert_count");
    if (status == W4MOE_OK) {
        status = need_size(r, &config->top_k, "expert_used_count");
    }
    if (status == W4MOE_OK && config->top_k > config->n_experts) {
        status = w4_fail(r->err, W4MOE_FORMAT,
                "%s: %zu experts per token of %zu experts",
                w4_show_path(w4_gguf_file_path(r->set, 0)).text, config->top_k,
                config->n_experts);
    }
    if (status == W4MOE_OK) {
        status = need_size(r, &config->hidden_size, "embedding_length");
    }
    if (status == W4MOE_OK) {
        status = read_width(r, config);
    }
    if (status == W4MOE_OK && (config->hidden_size % 8 != 0 ||
                                      config->intermediate_size % 8 != 0)) {
        status = w4_fail(r->err, W4MOE_FORMAT,
                "%s: %zu input features of gate and up, %zu of down (multiples "
                "of 8 are needed)",
                w4_show_path(w4_gguf_file_path(r->set, 0)).text,
                config->hidden_size, config->intermediate_size);
    }
    return status;
}

static w4moe_status
read_layers(const struct reader *r, struct w4_gguf_model *model)
{
    size_t n_blocks = 0;
    uint64_t n_next = 0;
    w4moe_status status = need_size(r, &n_blocks, "block_count");
    if (status != W4MOE_OK) {
        return status;
    }
    w4_gguf_get_uint(r->set, key_of(r, "nextn_predict_layers").text, &n_next);
    if (n_next >= n_blocks) {
        return refuse_key(
                r, "nextn_predict_layers", "is not below block_count");
    }
    model->n_blocks = n_blocks;
    model->n_layers = n_blocks - n_next;
    return W4MOE_OK;
}

/* --------------------------------------------------------------- activation */

/* A number, or a list of FLOAT32 if all are equal; 0 if there is none. */
static w4moe_status
read_limit(const struct reader *r, double *limit, const char *name)
{
    struct key key = key_of(r, name);
    struct w4_gguf_array list;
    *limit = 0.0;
    if (w4_gguf_get_float(r->set, key.text, limit) ||
            !w4_gguf_get_array(r->set, key.text, &list)) {
        return W4MOE_OK;
    }
    if (list.type != W4_GGUF_VALUE_FLOAT32) {
        return refuse_key(r, name, "is no list of FLOAT32");
    }
    for (uint64_t i = 0; i < list.n; i++) {
        const char *place = (const char *)list.data + 4 * i;
        double value = (double)w4_float_of_bits(w4_load_le32(place));
        if (i != 0 && !(value == *limit)) {
            return w4_fail(r->err, W4MOE_UNSUPPORTED,
                    "%s: key \"%s\" has %g and %g: layers that differ are not "
                    "converted",
                    w4_show_path(w4_gguf_file_path(r->set, 0)).text, key.text,
                    *limit, value);
        }
        *limit = value;
    }
    return W4MOE_OK;
}

static w4moe_status
read_activation(const struct reader *r, w4moe_activation *activation)
{
    static const char clamp[] = "swiglu_clamp_exp";
    double limit;
    activation->struct_size = sizeof(*activation);
    activation->kind = r->architecture->activation;
    if (activation->kind == W4MOE_ACT_SWIGLUOAI) {
        activation->limit = 7.0f;
        activation->alpha = 1.702f;
    }
    w4moe_status status = read_limit(r, &limit, clamp);
    if (status != W4MOE_OK || limit == 0.0) {
        return status;
    }
    if (!(limit > 0.0 && limit <= (double)FLT_MAX)) {
        return refuse_key(r, clamp, "is no positive number");
    }
    if ((r->architecture->flags & CLAMP) == 0) {
        return w4_fail(r->err, W4MOE_UNSUPPORTED,
                "%s: key \"%s\" is %g: where this architecture clamps is not "
                "known",
                w4_show_path(w4_gguf_file_path(r->set, 0)).text,
                key_of(r, clamp).text, limit);
    }
    activation->limit = (float)limit;
    return W4MOE_OK;
}

/* ------------------------------------------------------------------- router */

/* The kind that the function's number and the architecture tell. */
static w4moe_router_kind
router_kind(const struct reader *r)
{
    static const w4moe_router_kind kinds[] = {
            [GATING_SOFTMAX] = SOFTMAX,
            [GATING_SIGMOID] = SIGMOID,
            [GATING_SOFTMAX_WEIGHT] = W4MOE_ROUTER_TOPK_SOFTMAX,
            [GATING_SQRT_SOFTPLUS] = W4MOE_ROUTER_SQRT_SOFTPLUS,
    };
    w4moe_router_kind own = r->architecture->router;
    uint64_t function = GATING_NONE;
    w4_gguf_get_uint(r->set, key_of(r, "expert_gating_func").text, &function);
    if (function == GATING_NONE) {
        return own;
    }
    if (function >= sizeof(kinds) / sizeof(kinds[0])) {
        return UNKNOWN;
    }
    w4moe_router_kind kind = kinds[function];
    if ((r->architecture->flags & GATING) != 0) {
        return kind;
    }
    /* Llama-4's is a sigmoid. */
    int same = own == W4MOE_ROUTER_SIGMOID_TOP1 ? kind == SIGMOID : kind == own;
    return same ? own : UNKNOWN;
}

/* Groups. Returns whether the kind has them as the file says. */
static int
read_groups(const struct reader *r, w4moe_router *router,
        const struct w4_model_config *config)
{
    uint64_t n_group = 0;
    uint64_t kept = 0;
    int found = w4_gguf_get_uint(
            r->set, key_of(r, "expert_group_count").text, &n_group);
    w4_gguf_get_uint(r->set, key_of(r, "expert_group_used_count").text, &kept);
    if (n_group <= 1) {
        return found || (r->architecture->flags & GROUPS) == 0 ||
               router->kind != SIGMOID;
    }
    if (router->kind != SIGMOID || kept == 0 || kept > n_group ||
            n_group > config->n_experts || config->n_experts % n_group != 0) {
        return 0;
    }
    router->n_group = (uint32_t)n_group;
    router->topk_group = (uint32_t)kept;
    return 1;
}

static void
read_router(const struct reader *r, struct w4_model_config *config)
{
    const unsigned flags = r->architecture->flags;
    w4moe_router router = {
            .struct_size = sizeof(router),
            .kind = router_kind(r),
    };
    router.weight_on_input = router.kind == W4MOE_ROUTER_SIGMOID_TOP1;
    int renormalize = 0;
    double scale = 0.0;
    w4_gguf_get_bool(
            r->set, key_of(r, "expert_weights_norm").text, &renormalize);
    w4_gguf_get_float(r->set, key_of(r, "expert_weights_scale").text, &scale);
    renormalize = (flags & NORM_ALWAYS) != 0  ? 1
                  : (flags & NORM_NEVER) != 0 ? 0
                                              : renormalize;
    int scales = scale != 0.0 && scale != 1.0;
    /* Softmax is scaled or renormalised, not both. */
    int is_known = isfinite(scale) && fabs(scale) <= (double)FLT_MAX &&
                   !(router.kind == SOFTMAX && scales && renormalize) &&
                   !((flags & ONE) != 0 && config->top_k != 1) &&
                   !((flags & SEVERAL) != 0 && config->top_k == 1) &&
                   read_groups(r, &router, config);
    if (router.kind == SOFTMAX || router.kind == SIGMOID ||
            router.kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        router.renormalize = renormalize;
        router.scale = (float)scale;
    } else if (scales) {
        is_known = 0;
    }
    config->router = (w4moe_router){.struct_size = sizeof(router)};
    if (is_known && router.kind != UNKNOWN) {
        config->router = router;
    }
}

/* -------------------------------------------------------------------- model */

static w4moe_status
find_architecture(struct reader *r)
{
    static const char key[] = "general.architecture";
    const char *path = w4_gguf_file_path(r->set, 0);
    const char *name = w4_gguf_get_string(r->set, key);
    if (name == NULL) {
        return w4_fail(r->err, W4MOE_FORMAT, "%s: no key \"%s\"",
                w4_show_path(path).text, key);
    }
    for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]);
            i++) {
        if (strcmp(name, architectures[i].name) == 0) {
            r->architecture = &architectures[i];
            return W4MOE_OK;
        }
    }
    return w4_fail(r->err, W4MOE_UNSUPPORTED,
            "%s: architecture \"%s\": which activation its experts have is not "
            "known",
            w4_show_path(path).text, w4_show_string(name).text);
}

w4moe_status
w4_gguf_model_read(struct w4_err *err, struct w4_gguf_model *model,
        const struct w4_gguf_set *set)
{
    struct reader r = {.err = err, .set = set};
    struct w4_gguf_model result;
    struct w4_model_config *config = &result.config;
    uint64_t n_hash = 0;
    memset(&result, 0, sizeof(result));
    w4moe_status status = find_architecture(&r);
    if (status == W4MOE_OK) {
        status = read_sizes(&r, config);
    }
    if (status == W4MOE_OK) {
        status = read_layers(&r, &result);
    }
    if (status == W4MOE_OK) {
        status = read_activation(&r, &config->activation);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    read_router(&r, config);
    w4_gguf_get_uint(set, key_of(&r, "hash_layer_count").text, &n_hash);
    config->n_hash_layers = n_hash < INT32_MAX ? (size_t)n_hash : INT32_MAX;
    snprintf(config->model_type, sizeof(config->model_type), "%s",
            r.architecture->name);
    *model = result;
    return W4MOE_OK;
}
