/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels themselves, in the layout of NVIDIA. */
#define W4_HOST_LAYOUT 80

#include "../../hip/kernels/align.hip"
#include "../../hip/kernels/dot_bf16.hip"
#include "../../hip/kernels/dot_f16.hip"
#include "../../hip/kernels/mma_bf16.hip"
#include "../../hip/kernels/mma_f16.hip"
#include "../../hip/kernels/route.hip"
#include "../../hip/kernels/rows.hip"
#include "../../hip/kernels/split_bf16.hip"
#include "../../hip/kernels/split_f16.hip"

#include "fake_hip.h"
#include "images.h"

const char gpu_image_nvidia[] = FAKE_HIP_IMAGE "sm_90\n";
