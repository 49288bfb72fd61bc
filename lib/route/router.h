/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a router may be, and what can be asked of it.
 */
#ifndef W4_ROUTE_ROUTER_H
#define W4_ROUTE_ROUTER_H

#include <w4moe/route.h>

#include "base/err.h"
#include "base/router_kinds.h"

/** What is left of a router without its arrays. */
static inline void
w4_router_drop_arrays(w4moe_router *router)
{
    router->weight = router->bias = router->correction_bias = NULL;
    router->weight_dtype = router->bias_dtype = W4MOE_DTYPE_NONE;
    router->correction_bias_dtype = W4MOE_DTYPE_NONE;
}

/** Checks a caller's router: all but what its arrays hold, and whether groups
 * divide the experts. own gets defaults: a scale of 1, no groups if there is
 * but one, type NONE for arrays that are not there. Returns OK, INVALID or
 * UNSUPPORTED. */
extern w4moe_status w4_router_check(
        struct w4_err *err, w4moe_router *own, const w4moe_router *callers);

/** Checks what is asked of a router that passed w4_router_check(). */
extern w4moe_status w4_router_check_call(struct w4_err *err,
        const w4moe_router *router, size_t n_experts, size_t top_k,
        w4moe_dtype logits_dtype);

#endif
