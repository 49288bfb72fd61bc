/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <w4moe.h>

#include "fake_hip.h"
#include "hip_device.h"
#include "shim.h"

/* The backend, which is a part of the program; the door calls the second. */
extern const struct w4_backend_module *w4moe_backend_module(void);
extern W4MOE_API const struct w4_backend_module *hip_test_module(void);

const struct w4_backend_module *
hip_test_module(void)
{
    return w4moe_backend_module();
}

int
hip_device_begin(void)
{
    return 1;
}

/* Tests run in the top of the build folder. */
void
hip_device_modules(void)
{
    char here[3000];
    char folder[4000];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(folder, sizeof(folder), "%s/tests/gpu/door", here);
    setenv("W4MOE_BACKEND_DIR", folder, 1);
}

void
hip_device_use(const char *arch)
{
    fake_hip_devices(1, arch);
}

void
hip_device_order(uint64_t seed)
{
    gpu_shim_seed(seed);
}

void
hip_device_end(void)
{
    ck_assert_uint_eq(fake_hip_live(), 0);
    ck_assert_str_eq(fake_hip_message(), "");
}

const char *
hip_device_message(void)
{
    return fake_hip_message();
}
