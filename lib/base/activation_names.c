/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Names of the activation kinds. They stand in base because both the container
 * and the kernels need them. */
#include <w4moe/format.h>

static const char *const names[] = {
        [W4MOE_ACT_SILU] = "silu",
        [W4MOE_ACT_GELU] = "gelu",
        [W4MOE_ACT_GELU_TANH] = "gelu_tanh",
        [W4MOE_ACT_SWIGLUOAI] = "swigluoai",
        [W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE] = "swigluoai_uninterleave",
        [W4MOE_ACT_SWIGLUSTEP] = "swiglustep",
        [W4MOE_ACT_SITU] = "situ",
        [W4MOE_ACT_SILU_NO_MUL] = "silu_no_mul",
        [W4MOE_ACT_GELU_NO_MUL] = "gelu_no_mul",
        [W4MOE_ACT_GELU_TANH_NO_MUL] = "gelu_tanh_no_mul",
        [W4MOE_ACT_RELU2_NO_MUL] = "relu2_no_mul",
};

const char *
w4moe_activation_name(w4moe_activation_kind kind)
{
    size_t i = (size_t)kind;
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

int
w4moe_activation_gated(w4moe_activation_kind kind)
{
    return w4moe_activation_name(kind) != NULL && kind < W4MOE_ACT_SILU_NO_MUL;
}
