/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Numbers and enums as text and as JSON; see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

const char *
text_bytes(char out[TEXT_MAX], uint64_t n_bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    double value = (double)n_bytes;
    while (value >= 1000.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000.0;
        unit++;
    }
    int digits = unit == 0 || value >= 100.0 ? 0 : value >= 10.0 ? 1 : 2;
    snprintf(out, TEXT_MAX, "%.*f %s", digits, value, units[unit]);
    return out;
}

const char *
text_clean(char out[TEXT_MAX], const char *text)
{
    snprintf(out, TEXT_MAX, "%s", text != NULL && text[0] != '\0' ? text : "-");
    for (char *p = out; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F) {
            *p = '?';
        }
    }
    return out;
}

static const char *
name_of_activation(w4moe_activation_kind kind)
{
    const char *name = w4moe_activation_name(kind);
    return name != NULL ? name : "unknown";
}

static const char *
name_of_router(w4moe_router_kind kind)
{
    const char *name = w4moe_router_name(kind);
    return name != NULL ? name : "unknown";
}

const char *
text_activation(char out[TEXT_MAX], const w4moe_activation *activation)
{
    const struct {
        const char *name;
        float value;
    } parts[] = {
            {"limit", activation->limit},
            {"alpha", activation->alpha},
            {"beta", activation->beta},
            {"linear_beta", activation->linear_beta},
    };
    int n = snprintf(out, TEXT_MAX, "%s", name_of_activation(activation->kind));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].value < 0.0f || parts[i].value > 0.0f) {
            n += snprintf(out + n, (size_t)(TEXT_MAX - n), ", %s %g",
                    parts[i].name, (double)parts[i].value);
        }
    }
    return out;
}

const char *
text_router(char out[TEXT_MAX], const w4moe_router *router)
{
    int n = snprintf(out, TEXT_MAX, "%s%s%s", name_of_router(router->kind),
            router->renormalize ? ", renormalized" : "",
            router->weight_on_input ? ", weights on input" : "");
    if (router->scale < 0.0f || router->scale > 0.0f) {
        n += snprintf(out + n, (size_t)(TEXT_MAX - n), ", scale %g",
                (double)router->scale);
    }
    if (router->n_group > 0) {
        snprintf(out + n, (size_t)(TEXT_MAX - n), ", %lu of %lu groups",
                (unsigned long)router->topk_group,
                (unsigned long)router->n_group);
    }
    return out;
}

const char *
text_order(w4moe_order order)
{
    return order == W4MOE_ORDER_TILE    ? "tile"
           : order == W4MOE_ORDER_RDNA3 ? "rdna3"
                                        : "unknown";
}

const char *
text_code(w4moe_code code)
{
    return code == W4MOE_CODE_INT4   ? "int4"
           : code == W4MOE_CODE_E2M1 ? "E2M1"
                                     : "unknown";
}

const char *
text_experts(
        char out[TEXT_MAX], size_t first, size_t n, size_t total, size_t top_k)
{
    if (n == total) {
        snprintf(out, TEXT_MAX, "%zu, %zu per token", n, top_k);
    } else if (n == 1) {
        snprintf(out, TEXT_MAX, "%zu of %zu, %zu per token", first, total,
                top_k);
    } else {
        snprintf(out, TEXT_MAX, "%zu to %zu of %zu, %zu per token", first,
                first + n - 1, total, top_k);
    }
    return out;
}

void
text_line(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%-14s", name);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

json_t *
json_of_text(const char *text)
{
    char clean[TEXT_MAX];
    if (text == NULL) {
        return json_null();
    }
    json_t *value = json_string(text);
    if (value == NULL) {
        /* Not UTF-8: show what is ASCII in it. */
        text_clean(clean, text);
        for (char *p = clean; *p != '\0'; p++) {
            if ((unsigned char)*p >= 0x80) {
                *p = '?';
            }
        }
        value = json_string(clean);
    }
    return value;
}

json_t *
json_of_uint(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value)
                              : json_real((double)value);
}

json_t *
json_of_dtype(w4moe_dtype dtype)
{
    return dtype != W4MOE_DTYPE_NONE ? json_string(w4moe_dtype_name(dtype))
                                     : json_null();
}

json_t *
json_of_activation(const w4moe_activation *activation)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "kind",
            name_of_activation(activation->kind), "limit",
            (double)activation->limit, "alpha", (double)activation->alpha,
            "beta", (double)activation->beta, "linear_beta",
            (double)activation->linear_beta);
}

json_t *
json_of_router(const w4moe_router *router)
{
    return json_pack("{s:s, s:b, s:b, s:f, s:I, s:I}", "kind",
            name_of_router(router->kind), "renormalize",
            router->renormalize != 0, "weight_on_input",
            router->weight_on_input != 0, "scale", (double)router->scale,
            "n_group", (json_int_t)router->n_group, "topk_group",
            (json_int_t)router->topk_group);
}

json_t *
json_join(json_t *root, json_t *part)
{
    if (root != NULL && (part == NULL || json_object_update(root, part) != 0)) {
        json_decref(root);
        root = NULL;
    }
    json_decref(part);
    return root;
}

int
json_print(json_t *root)
{
    if (root == NULL) {
        return tool_error("no memory for the JSON text");
    }
    int failed =
            json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    if (failed) {
        return tool_error("cannot write the JSON text to standard output");
    }
    putchar('\n');
    return TOOL_OK;
}
