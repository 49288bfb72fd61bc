/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What is true of routers wherever they are looked at: in files, in the router
 * itself and on a GPU.
 */
#ifndef W4_BASE_ROUTER_KINDS_H
#define W4_BASE_ROUTER_KINDS_H

#include <w4moe/format.h>

/** Whether logits, and a router's arrays, may be of this type. */
static inline int
w4_router_takes(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 || dtype == W4MOE_F16 || dtype == W4MOE_BF16;
}

/** Whether a kind chooses by scores, to which a bias may be added and of which
 * groups may be made; the others choose by logits. */
static inline int
w4_router_has_scores(w4moe_router_kind kind)
{
    return kind == W4MOE_ROUTER_SIGMOID || kind == W4MOE_ROUTER_SQRT_SOFTPLUS;
}

#endif
