/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "hip_context.h"

#include <stdio.h>
#include <stdlib.h>

#include "hip_device.h"

const char *const hip_archs[N_HIP_ARCHS] = {"gfx1100", "gfx1200", "sm_90"};

static char failure[2000];

static void
keep_error(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    if (level == W4MOE_LOG_ERROR) {
        snprintf(failure, sizeof(failure), "%s", text);
    }
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
    hip_device_modules();
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
    hip_device_use(arch);
    w4moe_status status = hip_context_try(&ctx, "hip", 0, memory_limit);
    ck_assert_msg(status == W4MOE_OK, "%s: %s (%s)", arch, failure,
            hip_device_message());
    return ctx;
}

void
hip_context_end(w4moe_ctx *ctx)
{
    w4moe_ctx_destroy(ctx);
    hip_device_end();
}

void
hip_expect_ok(hipError_t error, const char *call)
{
    ck_assert_msg(error == hipSuccess, "%s: %s (%s)", call,
            hipGetErrorName(error), hip_device_message());
}

void
hip_store(void *device, const void *host, size_t n_bytes)
{
    HIP_OK(hipMemcpy(device, host, n_bytes, hipMemcpyHostToDevice));
    /* From pageable memory the last part may still be on its way. */
    HIP_OK(hipDeviceSynchronize());
}

void *
hip_copy_of(const void *host, size_t n_bytes)
{
    void *p = NULL;
    if (host != NULL) {
        HIP_OK(hipMalloc(&p, n_bytes != 0 ? n_bytes : 1));
        hip_store(p, host, n_bytes);
    }
    return p;
}

int
hip_run_tests(const char *name, const TTest *const *tests, size_t n_tests,
        SFun setup, SFun teardown)
{
    enum { SKIPPED = 77 };
    if (!hip_device_begin()) {
        return SKIPPED;
    }
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < n_tests; i++) {
        tcase_add_loop_test(tc, tests[i], 0, N_HIP_ARCHS);
    }
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
