/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels dot for fp16 activations. */
#include "dot.h"

DOT_KERNELS(f16_int4, gpu_int4<gpu_f16>)
DOT_KERNELS(f16_e2m1, gpu_e2m1<gpu_f16>)
