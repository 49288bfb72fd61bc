/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels mma for bf16 activations, where there are matrices. */
#include "mma.h"

#ifdef GPU_HAS_MATRICES
MMA_KERNELS(bf16_int4, gpu_int4<gpu_bf16>)
MMA_KERNELS(bf16_e2m1, gpu_e2m1<gpu_bf16>)
#endif
