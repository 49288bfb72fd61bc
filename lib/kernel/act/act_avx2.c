/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Activations with AVX2 (with FMA and F16C); see act_simd.h. */
#include "kernel/act/act_simd.h"

void
w4_act_avx2(void *out, w4moe_dtype dtype, const float *gate, const float *up,
        size_t n, const w4moe_activation *activation)
{
    w4_act_simd(out, dtype, gate, up, n, activation);
}
