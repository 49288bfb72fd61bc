/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels split for bf16 activations, where there are such instructions. */
/* Registers are for so many. */
#define GPU_WAVES 20

#include "split.h"

#ifdef GPU_HAS_PARTS
SPLIT_KERNELS(bf16_int4, gpu_int4<gpu_bf16>)
SPLIT_KERNELS(bf16_e2m1, gpu_e2m1<gpu_bf16>)
#endif
