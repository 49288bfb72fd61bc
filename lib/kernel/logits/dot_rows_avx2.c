/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "kernel/logits/dot_rows_simd.h"

void
w4_dot_rows_avx2(const struct w4_dot_rows *args)
{
    w4_dot_rows_simd(args);
}
