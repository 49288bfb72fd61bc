/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* tile_gemm with AVX2, FMA and F16C. */
enum { ONE_VECTORS = 4, FEW_VECTORS = 2, PANEL_VECTORS = 2 };
#define FEW_ROWS 3
#define PANEL_ROWS 6

#include "kernel/tile_gemm/tile_gemm_simd.h"

void
w4_tile_gemm_avx2(const struct w4_tile_gemm *args)
{
    w4_tile_gemm_simd(args);
}
