/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "hip_context.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const hip_archs[N_HIP_ARCHS] = {"gfx1100", "gfx1200", "sm_90"};

/* The backend, which is a part of the program; the door calls the second. */
extern const struct w4_backend_module *w4moe_backend_module(void);
extern W4MOE_API const struct w4_backend_module *hip_test_module(void);

const struct w4_backend_module *
hip_test_module(void)
{
    return w4moe_backend_module();
}

static char failure[2000];

static void
keep_error(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    if (level == W4MOE_LOG_ERROR) {
        snprintf(failure, sizeof(failure), "%s", text);
    }
}

/* Tests run in the top of the build folder. */
static void
use_door(void)
{
    char here[3000];
    char folder[4000];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(folder, sizeof(folder), "%s/tests/gpu/door", here);
    setenv("W4MOE_BACKEND_DIR", folder, 1);
}

w4moe_status
hip_context_try(w4moe_ctx **ctx_p, const char *backend, unsigned device,
        uint64_t memory_limit)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = backend,
            .device = device,
            .n_threads = 1,
            .memory_limit = memory_limit,
            .log = keep_error,
    };
    use_door();
    failure[0] = '\0';
    return w4moe_ctx_create(ctx_p, &options);
}

const char *
hip_context_failure(void)
{
    return failure;
}

w4moe_ctx *
hip_context(const char *arch, uint64_t memory_limit)
{
    w4moe_ctx *ctx = NULL;
    fake_hip_devices(1, arch);
    w4moe_status status = hip_context_try(&ctx, "hip", 0, memory_limit);
    ck_assert_msg(status == W4MOE_OK, "%s: %s (%s)", arch, failure,
            fake_hip_message());
    return ctx;
}

void
hip_context_end(w4moe_ctx *ctx)
{
    w4moe_ctx_destroy(ctx);
    ck_assert_uint_eq(fake_hip_live(), 0);
    ck_assert_str_eq(fake_hip_message(), "");
}

void
hip_expect_ok(hipError_t error, const char *call)
{
    ck_assert_msg(error == hipSuccess, "%s: %s (%s)", call,
            hipGetErrorName(error), fake_hip_message());
}

void *
hip_copy_of(const void *host, size_t n_bytes)
{
    void *p = NULL;
    if (host != NULL) {
        HIP_OK(hipMalloc(&p, n_bytes != 0 ? n_bytes : 1));
        HIP_OK(hipMemcpy(p, host, n_bytes, hipMemcpyHostToDevice));
    }
    return p;
}
