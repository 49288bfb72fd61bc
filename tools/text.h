/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Numbers and enums as text for people and as JSON.
 */
#ifndef W4_TOOLS_TEXT_H
#define W4_TOOLS_TEXT_H

#include <jansson.h>
#include <w4moe.h>

enum { TEXT_MAX = 160 };

/** Bytes with a decimal prefix, for example "1.25 GB". Returns out. */
extern const char *text_bytes(char out[TEXT_MAX], uint64_t n_bytes);

/** A copy in which control characters are replaced; "-" for NULL and "". */
extern const char *text_clean(char out[TEXT_MAX], const char *text);

/** For example "silu" or "swigluoai (limit 7)": the name and the parameters
 * that are set. */
extern const char *text_activation(
        char out[TEXT_MAX], const w4moe_activation *activation);

/** For example "softmax_topk, renormalized". */
extern const char *text_router(char out[TEXT_MAX], const w4moe_router *router);

/** "tile" or "rdna3". */
extern const char *text_order(w4moe_order order);

/** "int4" or "E2M1". */
extern const char *text_code(w4moe_code code);

/** For example "128, 8 per token", or for a part of a model's experts "32 to 63
 * of 128, 8 per token". */
extern const char *text_experts(
        char out[TEXT_MAX], size_t first, size_t n, size_t total, size_t top_k);

/** Prints "name          text" in the common width. */
extern void text_line(const char *name, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/** JSON values; NULL without memory. A dtype of NONE is null. */
extern json_t *json_of_text(const char *text);
extern json_t *json_of_uint(uint64_t value);
extern json_t *json_of_dtype(w4moe_dtype dtype);
extern json_t *json_of_activation(const w4moe_activation *activation);
extern json_t *json_of_router(const w4moe_router *router);

/** Takes the members of part over into root and releases part. Returns root;
 * NULL, with both released, if one of them is NULL or there is no memory. */
extern json_t *json_join(json_t *root, json_t *part);

/** Prints root on stdout and releases it. Returns TOOL_OK, or TOOL_ERROR after
 * printing why; root may be NULL (no memory). */
extern int json_print(json_t *root);

#endif
