/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names of the router kinds. They stand in base because both the container
 * and the router need them; what a kind computes is lib/route's. */
#include <w4moe/format.h>

static const char *const names[] = {
        [W4MOE_ROUTER_NONE] = "none",
        [W4MOE_ROUTER_SOFTMAX_TOPK] = "softmax_topk",
        [W4MOE_ROUTER_TOPK_SOFTMAX] = "topk_softmax",
        [W4MOE_ROUTER_SIGMOID] = "sigmoid",
        [W4MOE_ROUTER_SIGMOID_TOP1] = "sigmoid_top1",
        [W4MOE_ROUTER_SQRT_SOFTPLUS] = "sqrt_softplus",
};

const char *
w4moe_router_name(w4moe_router_kind kind)
{
    size_t i = (size_t)kind;
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}
