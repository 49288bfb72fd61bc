/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The one list of kernel variants. */
#include "kernel/kernel.h"

#include <string.h>

static const struct w4_kernels reference = {
        .name = "ref",
        .tile_gemm = w4_tile_gemm_ref,
        .act = w4_act_ref,
};

w4moe_status
w4_kernels_pick(struct w4_err *err, const struct w4_kernels **kernels_p,
        const char *name)
{
    if (name != NULL && name[0] != '\0' && strcmp(name, "ref") != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "CPU kernel variant \"%.32s\" is not known; known: ref", name);
    }
    *kernels_p = &reference;
    return W4MOE_OK;
}
