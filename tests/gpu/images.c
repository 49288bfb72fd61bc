/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The backend's code objects. */
#include "images.h"

#include "../../hip/gpu.h"

const struct w4_gpu_image w4_gpu_images[] = {
        {"gfx1100", "all", gpu_image_gfx11},
        {"gfx1200", "all", gpu_image_gfx12},
        {"sm_90", "all", gpu_image_nvidia},
};

const size_t w4_gpu_n_images = sizeof(w4_gpu_images) / sizeof(w4_gpu_images[0]);
