/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Contexts of the HIP backend on the runtime of fake_hip.h, and device memory
 * for tests.
 */
#ifndef HIP_CONTEXT_H
#define HIP_CONTEXT_H

#include <w4moe.h>

#include "fake_hip.h"

/** An architecture of each layout that the kernels are compiled for. */
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

/** Fails the test unless a HIP function has succeeded. */
#define HIP_OK(call) hip_expect_ok((call), #call)
extern void hip_expect_ok(hipError_t error, const char *call);

#endif
