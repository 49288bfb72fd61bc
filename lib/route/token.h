/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Routing of one token. The same code (token_code.h) is compiled for several
 * instruction sets; all give the same bits.
 */
#ifndef W4_ROUTE_TOKEN_H
#define W4_ROUTE_TOKEN_H

#include <w4moe/route.h>

#include "base/err.h"

/** Groups of experts at most. */
enum { W4_ROUTE_GROUPS_MAX = 256 };

/** A call of w4moe_route() with everything checked but the logits, and the
 * stride set. */
struct w4_route_job {
    int32_t *ids;
    float *weights;
    const void *logits;
    w4moe_dtype dtype;
    size_t stride;
    size_t n_tokens;
    size_t n_experts;
    size_t top_k;
    w4moe_router router;
};

/** Routes a token. Returns OK, or INVALID with the token, the expert and the
 * logit in the text; err may be NULL. */
typedef w4moe_status w4_route_token_fn(
        struct w4_err *err, const struct w4_route_job *job, size_t token);

extern w4_route_token_fn w4_route_token_plain;
extern w4_route_token_fn w4_route_token_avx2;

#endif
