/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* tile_gemm with NEON. */
enum { ONE_VECTORS = 8, FEW_VECTORS = 4, PANEL_VECTORS = 4 };
#define FEW_ROWS 4
#define PANEL_ROWS 6

#include "kernel/tile_gemm/tile_gemm_simd.h"

void
w4_tile_gemm_neon(const struct w4_tile_gemm *args)
{
    w4_tile_gemm_simd(args);
}
