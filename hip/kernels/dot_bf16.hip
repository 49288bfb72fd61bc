/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels dot for bf16 activations. */
#include "dot.h"

DOT_KERNELS(bf16_int4, gpu_int4<gpu_bf16>)
DOT_KERNELS(bf16_e2m1, gpu_e2m1<gpu_bf16>)
