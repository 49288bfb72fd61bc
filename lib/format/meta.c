/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The metadata of a container, from and to its text form. */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/container.h"

/* Numbers have a decimal point whatever the program's locale. Returns the
 * thread's locale, for leave_c_locale(); 0 if there is no memory. */
static locale_t
enter_c_locale(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *c != (locale_t)0 ? uselocale(*c) : (locale_t)0;
}

static void
leave_c_locale(locale_t before, locale_t c)
{
    uselocale(before);
    freelocale(c);
}

/* ------------------------------------------------------------------ writing */

/* The first failure stays. */
struct meta_writer {
    struct w4_st_writer *writer;
    w4moe_status status;
};

static void
put(struct meta_writer *w, const char *key, const char *value)
{
    if (w->status == W4MOE_OK) {
        w->status = w4_st_writer_set(w->writer, key, value);
    }
}

static void
put_size(struct meta_writer *w, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    put(w, key, text);
}

static void
put_bool(struct meta_writer *w, const char *key, int value)
{
    put(w, key, value ? "true" : "false");
}

/* Numbers of 0 are left out: 0 is what a reader takes for them. */
static void
put_number(struct meta_writer *w, const char *key, float value)
{
    char text[32];
    if (value != 0.0f) {
        snprintf(text, sizeof(text), "%.9g", (double)value);
        put(w, key, text);
    }
}

static void
put_count(struct meta_writer *w, const char *key, uint32_t value)
{
    if (value != 0) {
        put_size(w, key, value);
    }
}

w4moe_status
w4_meta_write(struct w4_err *err, struct w4_st_writer *writer,
        const struct w4_meta *meta)
{
    locale_t c;
    locale_t before = enter_c_locale(&c);
    if (before == (locale_t)0) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a locale");
    }
    struct meta_writer w = {writer, W4MOE_OK};
    const w4moe_activation *act = &meta->activation;
    const w4moe_router *router = &meta->router;
    put(&w, "format", "w4moe");
    put_size(&w, "format_version", W4_FORMAT_VERSION);
    put(&w, "producer", meta->producer);
    put(&w, "source_scheme", meta->source_scheme);
    put(&w, "model_type", meta->model_type);
    put(&w, "order", meta->order == W4MOE_ORDER_TILE ? "tile" : "rdna3");
    put(&w, "code", meta->code == W4MOE_CODE_INT4 ? "int4" : "e2m1");
    put_bool(&w, "zero_points", meta->zero_points);
    if (meta->offsets) {
        put_bool(&w, "offsets", 1);
    }
    put_size(&w, "n_experts", meta->n_experts);
    if (meta->n_experts_total != meta->n_experts) {
        put_size(&w, "experts.first", meta->first_expert);
        put_size(&w, "experts.total", meta->n_experts_total);
    }
    put_size(&w, "top_k", meta->top_k);
    put_size(&w, "hidden_size", meta->hidden_size);
    put_size(&w, "intermediate_size", meta->intermediate_size);
    put_size(&w, "w13.group_size", meta->w13_group_size);
    put_size(&w, "w2.group_size", meta->w2_group_size);
    put(&w, "activation", w4moe_activation_name(act->kind));
    put_number(&w, "activation.limit", act->limit);
    put_number(&w, "activation.alpha", act->alpha);
    put_number(&w, "activation.beta", act->beta);
    put_number(&w, "activation.linear_beta", act->linear_beta);
    put(&w, "router", w4moe_router_name(router->kind));
    put_bool(&w, "router.renormalize", router->renormalize);
    if (router->weight_on_input) {
        put_bool(&w, "router.weight_on_input", 1);
    }
    put_number(&w, "router.scale", router->scale);
    put_count(&w, "router.n_group", router->n_group);
    put_count(&w, "router.topk_group", router->topk_group);
    put_count(&w, "router.first_layer", meta->router_first_layer);
    leave_c_locale(before, c);
    return w.status;
}

/* ------------------------------------------------------------------ reading */

/* The first failure stays. */
struct meta_reader {
    struct w4_err *err;
    const struct w4_st_set *set;
    w4moe_status status;
};

/* Records that a value is wrong. */
static void
refuse(struct meta_reader *r, const char *key, const char *value)
{
    if (r->status == W4MOE_OK) {
        r->status = w4_fail(r->err, W4MOE_FORMAT,
                "%s: metadata %s is %s%.64s%s", w4_st_file_path(r->set, 0), key,
                value != NULL ? "\"" : "", value != NULL ? value : "missing",
                value != NULL ? "\"" : "");
    }
}

/* A value that must be there; "" after a failure. */
static const char *
get(struct meta_reader *r, const char *key)
{
    const char *value = w4_st_metadata(r->set, key);
    if (value == NULL) {
        refuse(r, key, NULL);
    }
    return value != NULL ? value : "";
}

/* Place of a value in a list of words that ends with NULL; 0 after a failure,
 * which is the first. */
static int
get_word(struct meta_reader *r, const char *key, const char *const *words)
{
    const char *value = get(r, key);
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            return i;
        }
    }
    refuse(r, key, value);
    return 0;
}

static int
get_bool(struct meta_reader *r, const char *key)
{
    static const char *const words[] = {"false", "true", NULL};
    return get_word(r, key, words);
}

/* The same, that may be missing: false. */
static int
get_option(struct meta_reader *r, const char *key)
{
    return w4_st_metadata(r->set, key) != NULL && get_bool(r, key);
}

/* A whole decimal number of at most 10 digits. */
static int
parse_size(const char *text, uint64_t *value)
{
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 10 || text[n] != '\0') {
        return 0;
    }
    *value = strtoull(text, NULL, 10);
    return *value <= INT32_MAX;
}

static size_t
get_size(struct meta_reader *r, const char *key)
{
    const char *text = get(r, key);
    uint64_t value = 0;
    if (!parse_size(text, &value) || value == 0) {
        refuse(r, key, text);
    }
    return (size_t)value;
}

/* A count that may be missing: 0. */
static uint32_t
get_count(struct meta_reader *r, const char *key)
{
    const char *text = w4_st_metadata(r->set, key);
    uint64_t value = 0;
    if (text != NULL && !parse_size(text, &value)) {
        refuse(r, key, text);
    }
    return (uint32_t)value;
}

/* A number that may be missing: 0. */
static float
get_number(struct meta_reader *r, const char *key)
{
    const char *text = w4_st_metadata(r->set, key);
    if (text == NULL) {
        return 0.0f;
    }
    char *end;
    float value = strtof(text, &end);
    if (end == text || *end != '\0' || !isfinite(value)) {
        refuse(r, key, text);
        return 0.0f;
    }
    return value;
}

/* The same, for a bound: not negative. */
static float
get_bound(struct meta_reader *r, const char *key)
{
    float value = get_number(r, key);
    if (value < 0.0f) {
        refuse(r, key, w4_st_metadata(r->set, key));
    }
    return value;
}

static w4moe_activation_kind
get_activation_kind(struct meta_reader *r)
{
    const char *name = get(r, "activation");
    for (int kind = 0; kind <= W4MOE_ACT_RELU2_NO_MUL; kind++) {
        const char *known = w4moe_activation_name((w4moe_activation_kind)kind);
        if (known != NULL && strcmp(name, known) == 0) {
            return (w4moe_activation_kind)kind;
        }
    }
    refuse(r, "activation", name);
    return W4MOE_ACT_SILU;
}

static w4moe_router_kind
get_router_kind(struct meta_reader *r)
{
    const char *name = get(r, "router");
    for (int kind = 0; kind <= W4MOE_ROUTER_SQRT_SOFTPLUS; kind++) {
        if (strcmp(name, w4moe_router_name((w4moe_router_kind)kind)) == 0) {
            return (w4moe_router_kind)kind;
        }
    }
    refuse(r, "router", name);
    return W4MOE_ROUTER_NONE;
}

int
w4_meta_is_container(const struct w4_st_set *set)
{
    const char *format = w4_st_metadata(set, "format");
    return format != NULL && strcmp(format, "w4moe") == 0;
}

/* Whether it is a container, and of a version that is known. */
static w4moe_status
check_version(struct w4_err *err, const struct w4_st_set *set)
{
    const char *path = w4_st_file_path(set, 0);
    const char *format = w4_st_metadata(set, "format");
    const char *version = w4_st_metadata(set, "format_version");
    uint64_t number = 0;
    if (!w4_meta_is_container(set)) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: not a w4moe container (metadata format is %.32s)", path,
                format != NULL ? format : "missing");
    }
    if (version == NULL || !parse_size(version, &number) || number == 0) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: metadata format_version is %.32s", path,
                version != NULL ? version : "missing");
    }
    if (number > W4_FORMAT_VERSION) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "%s: format version %" PRIu64 ", this library reads up to %d",
                path, number, W4_FORMAT_VERSION);
    }
    return W4MOE_OK;
}

/* What must fit together; a container of all experts does not say so. */
static void
check_kinds(struct meta_reader *r, struct w4_meta *m)
{
    if (m->offsets && (m->code != W4MOE_CODE_INT4 || m->zero_points)) {
        refuse(r, "offsets", "true");
    }
    if (m->n_experts_total == 0 && m->first_expert == 0) {
        m->n_experts_total = m->n_experts;
    }
    if (m->first_expert > m->n_experts_total ||
            m->n_experts > m->n_experts_total - m->first_expert) {
        refuse(r, "experts.total", w4_st_metadata(r->set, "experts.total"));
    }
}

/* What values have to do with each other. */
static void
check_values(struct meta_reader *r, const struct w4_meta *meta)
{
    const w4moe_activation *act = &meta->activation;
    const w4moe_router *router = &meta->router;
    if (router->n_group > 1 &&
            (router->topk_group == 0 || router->topk_group > router->n_group ||
                    meta->n_experts_total % router->n_group != 0)) {
        refuse(r, "router.n_group", w4_st_metadata(r->set, "router.n_group"));
    }
    if (meta->top_k > meta->n_experts_total) {
        refuse(r, "top_k", w4_st_metadata(r->set, "top_k"));
    }
    if (act->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE && act->limit == 0.0f) {
        refuse(r, "activation.limit", NULL);
    }
    if (act->kind == W4MOE_ACT_SITU && act->beta == 0.0f) {
        refuse(r, "activation.beta", NULL);
    }
}

/* Everything but the version. */
static w4moe_status
read_fields(
        struct w4_err *err, struct w4_meta *meta, const struct w4_st_set *set)
{
    static const char *const orders[] = {"tile", "rdna3", NULL};
    static const char *const codes[] = {"int4", "e2m1", NULL};
    struct meta_reader r = {err, set, W4MOE_OK};
    struct w4_meta m = {
            .order = get_word(&r, "order", orders) == 0 ? W4MOE_ORDER_TILE
                                                        : W4MOE_ORDER_RDNA3,
            .code = get_word(&r, "code", codes) == 0 ? W4MOE_CODE_INT4
                                                     : W4MOE_CODE_E2M1,
            .zero_points = get_bool(&r, "zero_points"),
            .offsets = get_option(&r, "offsets"),
            .n_experts = get_size(&r, "n_experts"),
            .first_expert = get_count(&r, "experts.first"),
            .n_experts_total = get_count(&r, "experts.total"),
            .top_k = get_size(&r, "top_k"),
            .hidden_size = get_size(&r, "hidden_size"),
            .intermediate_size = get_size(&r, "intermediate_size"),
            .w13_group_size = get_size(&r, "w13.group_size"),
            .w2_group_size = get_size(&r, "w2.group_size"),
            .activation =
                    {
                            .struct_size = sizeof(m.activation),
                            .kind = get_activation_kind(&r),
                            .limit = get_bound(&r, "activation.limit"),
                            .alpha = get_number(&r, "activation.alpha"),
                            .beta = get_number(&r, "activation.beta"),
                            .linear_beta =
                                    get_bound(&r, "activation.linear_beta"),
                    },
            .router =
                    {
                            .struct_size = sizeof(m.router),
                            .kind = get_router_kind(&r),
                            .renormalize = get_bool(&r, "router.renormalize"),
                            .weight_on_input =
                                    get_option(&r, "router.weight_on_input"),
                            .scale = get_number(&r, "router.scale"),
                            .n_group = get_count(&r, "router.n_group"),
                            .topk_group = get_count(&r, "router.topk_group"),
                    },
            .router_first_layer = get_count(&r, "router.first_layer"),
            .producer = get(&r, "producer"),
            .source_scheme = get(&r, "source_scheme"),
            .model_type = get(&r, "model_type"),
    };
    check_kinds(&r, &m);
    check_values(&r, &m);
    if (r.status == W4MOE_OK) {
        *meta = m;
    }
    return r.status;
}

w4moe_status
w4_meta_read(
        struct w4_err *err, struct w4_meta *meta, const struct w4_st_set *set)
{
    w4moe_status status = check_version(err, set);
    if (status != W4MOE_OK) {
        return status;
    }
    locale_t c;
    locale_t before = enter_c_locale(&c);
    if (before == (locale_t)0) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a locale");
    }
    status = read_fields(err, meta, set);
    leave_c_locale(before, c);
    return status;
}

w4moe_matrix
w4_meta_matrix(const struct w4_meta *meta, w4moe_which which)
{
    int gated = w4moe_activation_gated(meta->activation.kind);
    w4moe_matrix m = {
            .struct_size = sizeof(m),
            .order = meta->order,
            .code = meta->code,
            .n_experts = meta->n_experts,
            .n_out = meta->hidden_size,
            .n_in = meta->intermediate_size,
            .group_size = meta->w2_group_size,
    };
    if (which == W4MOE_W13) {
        m.n_out = meta->intermediate_size * (gated ? 2u : 1u);
        m.n_in = meta->hidden_size;
        m.group_size = meta->w13_group_size;
        m.gated = gated;
    }
    return m;
}
