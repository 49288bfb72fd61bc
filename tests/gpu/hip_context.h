/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Contexts of the HIP backend on a device of hip_device.h, device memory, and
 * the programs that test with them.
 */
#ifndef HIP_CONTEXT_H
#define HIP_CONTEXT_H

#include <check.h>
#include <w4moe.h>

#include "../../hip/hip_api.h"

/** An architecture of each layout that the kernels are compiled for. On a GPU,
 * which has one, what tests do for each is done for it: they may share work
 * between them. */
enum { N_HIP_ARCHS = 3 };
extern const char *const hip_archs[N_HIP_ARCHS];

/** A context on one device of an architecture; memory_limit 0: none. Ends the
 * test if there is none. */
extern w4moe_ctx *hip_context(const char *arch, uint64_t memory_limit);

/** w4moe_ctx_create() with the devices that there are. */
extern w4moe_status hip_context_try(w4moe_ctx **ctx_p, const char *backend,
        unsigned device, uint64_t memory_limit);

/** What the last context that failed has logged as an error. */
extern const char *hip_context_failure(void);

/** Destroys it; fails the test unless the device is as empty as before. */
extern void hip_context_end(w4moe_ctx *ctx);

/** A copy in device memory, for hipFree(), also of no bytes; NULL of NULL. */
extern void *hip_copy_of(const void *host, size_t n_bytes);

/** Sets device memory, also for streams that wait for no other. */
extern void hip_store(void *device, const void *host, size_t n_bytes);

/** Fails the test unless a HIP function has succeeded. */
#define HIP_OK(call) hip_expect_ok((call), #call)
extern void hip_expect_ok(hipError_t error, const char *call);

/** For main(): runs tests for each of hip_archs, with `_i` its number, between
 * setup (may be NULL) and teardown. Returns: the exit status, 77 if there is no
 * device. */
extern int hip_run_tests(const char *name, const TTest *const *tests,
        size_t n_tests, SFun setup, SFun teardown);

#endif
