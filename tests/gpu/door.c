/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A module that is only a door: the backend stands in the program that loads
 * it, together with the kernels and the HIP runtime of the tests. */
#include <w4moe.h>

struct w4_backend_module;

/** The program's. */
extern const struct w4_backend_module *hip_test_module(void);

extern W4MOE_API const struct w4_backend_module *w4moe_backend_module(void);

const struct w4_backend_module *
w4moe_backend_module(void)
{
    return hip_test_module();
}
