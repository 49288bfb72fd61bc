/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Activations with NEON; see act_simd.h. */
#include "kernel/act/act_simd.h"

void
w4_act_neon(void *out, w4moe_dtype dtype, const float *gate, const float *up,
        size_t n, const w4moe_activation *activation)
{
    w4_act_simd(out, dtype, gate, up, n, activation);
}
