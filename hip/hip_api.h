/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * HIP's functions: the runtime's own, or those over the CUDA driver.
 */
#ifndef W4_HIP_HIP_API_H
#define W4_HIP_HIP_API_H

#ifdef W4_HIP_PLATFORM_NVIDIA
#include "cuda_as_hip.h"
#else
#include <hip/hip_runtime_api.h>
#endif

#endif
