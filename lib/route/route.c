/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Router logits to expert ids and weights: arguments, threads, and the first
 * failure. What happens to a token is in token_code.h; grouping by expert in
 * align.c. */
#include <math.h>
#include <stdatomic.h>

#include "base/ctx.h"
#include "base/half.h"
#include "base/size.h"
#include "route/router.h"
#include "route/token.h"

/* Logits, T * E, from which on threads cost less than they gain. */
enum { PARALLEL_WORK = 16384 };

/* ------------------------------------------------------------------- tokens */

struct loop {
    const struct w4_route_job *job;
    w4_route_token_fn *token;
    /* The first token that failed; n_tokens if none did. */
    _Atomic size_t *failed;
};

/* All give the same bits; that of the context's kernels need not be asked. */
static w4_route_token_fn *
pick_variant(void)
{
#if W4_HAVE_AVX2
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return w4_route_token_avx2;
    }
#endif
    return w4_route_token_plain;
}

/* One token, without a text; the first that fails is noted. */
static void
route_item(const void *route_loop, size_t token)
{
    const struct loop *loop = route_loop;
    size_t failed = atomic_load(loop->failed);
    if (token >= failed || loop->token(NULL, loop->job, token) == W4MOE_OK) {
        return;
    }
    while (token < failed &&
            !atomic_compare_exchange_weak(loop->failed, &failed, token)) {
    }
}

/* All tokens. If several fail, the first of them is reported, whatever the
 * number of threads, by this thread and without a lock: the others only tell
 * which token it was, and it is done again here. */
static w4moe_status
route_all(const w4moe_ctx *ctx, const struct w4_route_job *job)
{
    const size_t n_tokens = job->n_tokens;
    int is_work = n_tokens > PARALLEL_WORK / job->n_experts;
    _Atomic size_t failed = n_tokens;
    struct loop loop = {job, pick_variant(), &failed};
    w4_parallel(is_work ? ctx->state->team : NULL, n_tokens, route_item, &loop);
    return failed < n_tokens ? loop.token(w4_ctx_err(ctx), job, failed)
                             : W4MOE_OK;
}

/* ---------------------------------------------------------------- arguments */

static w4moe_status
check_sizes(struct w4_err *err, struct w4_route_job *job)
{
    if (job->stride == 0) {
        job->stride = job->n_experts;
    }
    if (job->stride < job->n_experts) {
        return w4_fail(err, W4MOE_INVALID,
                "stride is %zu, less than the %zu experts of a row",
                job->stride, job->n_experts);
    }
    /* With 4 bytes, the most, for each element; ids and weights are smaller. */
    uint64_t n_before = job->n_tokens != 0 ? job->n_tokens - 1 : 0;
    uint64_t n;
    if (!w4_mul(&n, n_before, job->stride) || !w4_add(&n, n, job->n_experts) ||
            n > PTRDIFF_MAX / sizeof(float)) {
        return w4_fail(err, W4MOE_INVALID,
                "%zu tokens with a stride of %zu are beyond the address space",
                job->n_tokens, job->stride);
    }
    return W4MOE_OK;
}

/* Arrays without elements may be NULL, as an empty batch often has them. */
static w4moe_status
check_arrays(struct w4_err *err, const struct w4_route_job *job)
{
    const char *missing = NULL;
    if (job->ids == NULL) {
        missing = "ids";
    } else if (job->weights == NULL) {
        missing = "weights";
    } else if (job->logits == NULL) {
        missing = "logits";
    }
    if (missing != NULL && job->n_tokens != 0) {
        return w4_fail(err, W4MOE_INVALID, "%s is NULL", missing);
    }
    return W4MOE_OK;
}

static w4moe_status
check_correction(struct w4_err *err, const struct w4_route_job *job)
{
    const w4moe_router *router = &job->router;
    for (size_t e = 0; router->correction_bias != NULL && e < job->n_experts;
            e++) {
        float bias = w4_load_float(
                router->correction_bias, router->correction_bias_dtype, e);
        if (!isfinite(bias)) {
            return w4_fail(err, W4MOE_INVALID,
                    "router: the correction bias of expert %zu is %g", e,
                    (double)bias);
        }
    }
    return W4MOE_OK;
}

w4moe_status
w4moe_route(const w4moe_ctx *ctx, int32_t *ids, float *weights,
        const void *logits, w4moe_dtype dtype, size_t stride, size_t n_tokens,
        size_t n_experts, size_t top_k, const w4moe_router *router)
{
    if (ctx == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    struct w4_route_job job = {
            .ids = ids,
            .weights = weights,
            .logits = logits,
            .dtype = dtype,
            .stride = stride,
            .n_tokens = n_tokens,
            .n_experts = n_experts,
            .top_k = top_k,
    };
    w4moe_status status = w4_router_check(err, &job.router, router);
    if (status == W4MOE_OK) {
        status =
                w4_router_check_call(err, &job.router, n_experts, top_k, dtype);
    }
    if (status == W4MOE_OK) {
        status = check_sizes(err, &job);
    }
    if (status == W4MOE_OK) {
        status = check_arrays(err, &job);
    }
    if (status == W4MOE_OK) {
        status = check_correction(err, &job);
    }
    return status == W4MOE_OK ? route_all(ctx, &job) : status;
}
