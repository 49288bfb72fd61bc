/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels split for fp16 activations, where there are such instructions. */
/* Registers are for so many. */
#define GPU_WAVES 20

#include "split.h"

#ifdef GPU_HAS_PARTS
SPLIT_KERNELS(f16_int4, gpu_int4<gpu_f16>)
SPLIT_KERNELS(f16_e2m1, gpu_e2m1<gpu_f16>)
#endif
