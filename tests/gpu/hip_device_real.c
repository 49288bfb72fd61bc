/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hip_context.h"
#include "hip_device.h"

/* Where the kernel has a driver for a GPU. */
static int
has_driver(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/kfd", F_OK) == 0;
}

/* The runtime's state does not survive fork(). Whatever else is refused is for
 * the tests to fail of. */
int
hip_device_begin(void)
{
    w4moe_ctx *ctx = NULL;
    setenv("CK_FORK", "no", 1);
    w4moe_status status = hip_context_try(&ctx, "hip", 0, 0);
    if (status == W4MOE_OK) {
        printf("%s", w4moe_ctx_describe(ctx));
        w4moe_ctx_destroy(ctx);
        return 1;
    }
    if (strstr(hip_context_failure(), "backend hip: no device") == NULL ||
            has_driver()) {
        return 1;
    }
    printf("no test of this program can run: %s\n", hip_context_failure());
    return 0;
}

/* It is the environment's. */
void
hip_device_modules(void)
{
}

void
hip_device_use(const char *arch)
{
    int n;
    (void)arch;
    HIP_OK(hipGetDeviceCount(&n));
    HIP_OK(hipSetDevice(0));
}

void
hip_device_order(uint64_t seed)
{
    (void)seed;
}

/* Failures of what ran are reported at last here. */
void
hip_device_end(void)
{
    HIP_OK(hipDeviceSynchronize());
}

const char *
hip_device_message(void)
{
    return "";
}
