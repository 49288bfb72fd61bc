/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels mma for fp16 activations, where there are matrices. */
#include "mma.h"

#ifdef GPU_HAS_MATRICES
MMA_KERNELS(f16_int4, gpu_int4<gpu_f16>)
MMA_KERNELS(f16_e2m1, gpu_e2m1<gpu_f16>)
#endif
