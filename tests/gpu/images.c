/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The backend's code objects, of the kind that fake_hip.h takes. */
#include "../../hip/gpu.h"
#include "fake_hip.h"

const struct w4_gpu_image w4_gpu_images[] = {
        {"gfx1100", "all", FAKE_HIP_IMAGE "gfx1100\n"},
        {"gfx1200", "all", FAKE_HIP_IMAGE "gfx1200\n"},
        {"sm_90", "all", FAKE_HIP_IMAGE "sm_90\n"},
};

const size_t w4_gpu_n_images = sizeof(w4_gpu_images) / sizeof(w4_gpu_images[0]);
