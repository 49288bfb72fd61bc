/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* tile_gemm with the bf16 dot products of AVX-512. fp16 activations would take
 * two of them, one for the high and one for the low bits, which gains nothing
 * over fp32. */
enum { ONE_VECTORS = 8, FEW_VECTORS = 4, PANEL_VECTORS = 2 };
#define FEW_ROWS 6
#define PANEL_ROWS 12

#include "kernel/tile_gemm/tile_gemm_simd.h"

void
w4_tile_gemm_avx512bf16(const struct w4_tile_gemm *args)
{
    if (args->dtype == W4MOE_F16) {
        w4_tile_gemm_avx512(args);
        return;
    }
    w4_tile_gemm_simd(args);
}
