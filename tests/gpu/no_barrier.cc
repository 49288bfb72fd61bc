/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernel w4_align without its barriers, under another name: what tests must
 * find wrong. */
#define W4_HOST_LAYOUT 11

#include "../../hip/kernels/arch.h"

#define gpu_barrier() gpu_keep_order()
#define w4_align w4_align_no_barrier
#define w4_route w4_route_no_barrier

#include "../../hip/kernels/route.hip"
