/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#define W4_HOST_LAYOUT 80
#include "shim_kernels.h"
