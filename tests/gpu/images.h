/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Code objects of the kind that fake_hip.h takes. Each stands in the object
 * file that has the kernels of its layout, so that whoever refers to it gets
 * them from a library.
 */
#ifndef GPU_TEST_IMAGES_H
#define GPU_TEST_IMAGES_H

#ifdef __cplusplus
extern "C" {
#endif

extern const char gpu_image_gfx11[];
extern const char gpu_image_gfx12[];
extern const char gpu_image_nvidia[];

#ifdef __cplusplus
}
#endif

#endif
