/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the kernels of routing have in common.
 */
#ifndef W4_HIP_ROUTING_H
#define W4_HIP_ROUTING_H

#include "blocks.h"

#define W4_ROUTE_INLINE GPU_INLINE
#define W4_ROUTE_SQRT gpu_sqrt
#include "route/scores.h"

enum { LANES = 32 };

#endif
