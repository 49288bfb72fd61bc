/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Every kind of activation, with default and with other parameters, for the
 * programs that test them. */
#ifndef W4_TESTS_ACT_KINDS_H
#define W4_TESTS_ACT_KINDS_H

#include <w4moe.h>

static const w4moe_activation kinds[] = {
        {.kind = W4MOE_ACT_SILU},
        {.kind = W4MOE_ACT_SILU, .limit = 2.5f},
        {.kind = W4MOE_ACT_GELU},
        {.kind = W4MOE_ACT_GELU_TANH},
        {.kind = W4MOE_ACT_SWIGLUOAI},
        {.kind = W4MOE_ACT_SWIGLUOAI, .limit = 3, .alpha = 1.25f},
        {.kind = W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE, .limit = 7},
        {.kind = W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE,
                .limit = 10,
                .alpha = 0.75f,
                .beta = 1.5f},
        {.kind = W4MOE_ACT_SWIGLUSTEP},
        {.kind = W4MOE_ACT_SWIGLUSTEP, .limit = 1.75f},
        {.kind = W4MOE_ACT_SITU, .beta = 3},
        {.kind = W4MOE_ACT_SITU, .beta = 8, .linear_beta = 2.5f},
        {.kind = W4MOE_ACT_SILU_NO_MUL},
        {.kind = W4MOE_ACT_GELU_NO_MUL},
        {.kind = W4MOE_ACT_GELU_TANH_NO_MUL},
        {.kind = W4MOE_ACT_RELU2_NO_MUL},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

#endif
