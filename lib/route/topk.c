/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Router logits to expert ids and weights. Grouping by expert is in align.c.
 *
 * Experts are chosen on the logits: softmax keeps their order, and ties that
 * only its rounding would make do not come about. The caller's ids and weights
 * serve as the list of the best so far, so nothing is allocated. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include <w4moe/route.h>

#include "base/ctx.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/size.h"
#include "route/router.h"

/* Logits converted to fp32 at a time. */
enum { BLOCK = 256 };

/* Logits, T * E, from which on threads cost less than they gain. */
enum { PARALLEL_WORK = 16384 };

struct job {
    int32_t *ids;
    float *weights;
    const void *logits;
    w4moe_dtype dtype;
    size_t stride;
    size_t n_tokens;
    size_t n_experts;
    size_t top_k;
    int renormalize;
    float scale;
    /* The first token that failed; n_tokens if none did. */
    _Atomic size_t *failed;
};

/* Logits [first, first + BLOCK) of a token as fp32. Returns: how many there
 * are, fewer than BLOCK at the end of the row. */
static size_t
load_block(float *block, const struct job *job, size_t token, size_t first)
{
    size_t left = job->n_experts - first;
    size_t n = left < BLOCK ? left : BLOCK;
    size_t at = token * job->stride + first;
    if (job->dtype == W4MOE_F32) {
        memcpy(block, (const float *)job->logits + at, n * sizeof(*block));
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        block[i] = w4_load_float(job->logits, job->dtype, at + i);
    }
    return n;
}

/* Puts an expert into a list of the k best with n entries, in descending
 * order. Experts come in ascending order, so among equals the new one goes
 * last. Returns: entries now. */
static size_t
insert(int32_t *ids, float *values, size_t n, size_t k, size_t expert,
        float value)
{
    size_t i = n;
    if (n == k) {
        if (value <= values[k - 1]) {
            return n;
        }
        i--;
    } else {
        n++;
    }
    for (; i > 0 && value > values[i - 1]; i--) {
        values[i] = values[i - 1];
        ids[i] = ids[i - 1];
    }
    values[i] = value;
    ids[i] = (int32_t)expert;
    return n;
}

/* The k largest logits of a token and their experts. */
static w4moe_status
choose(struct w4_err *err, int32_t *ids, float *values, const struct job *job,
        size_t token)
{
    float block[BLOCK];
    size_t n_chosen = 0;
    for (size_t first = 0; first < job->n_experts; first += BLOCK) {
        size_t n = load_block(block, job, token, first);
        for (size_t i = 0; i < n; i++) {
            if (isnan(block[i]) || block[i] == INFINITY) {
                return w4_fail(err, W4MOE_INVALID,
                        "token %zu, expert %zu: the logit is %s", token,
                        first + i, isnan(block[i]) ? "NaN" : "+Inf");
            }
            n_chosen = insert(
                    ids, values, n_chosen, job->top_k, first + i, block[i]);
        }
    }
    if (values[0] == -INFINITY) {
        return w4_fail(err, W4MOE_INVALID, "token %zu: all %zu logits are -Inf",
                token, job->n_experts);
    }
    return W4MOE_OK;
}

/* A sum whose error does not grow with the number of terms (Kahan). */
struct sum {
    float total;
    float excess;
};

static void
add(struct sum *sum, float term)
{
    float corrected = term - sum->excess;
    float total = sum->total + corrected;
    sum->excess = (total - sum->total) - corrected;
    sum->total = total;
}

/* The softmax's denominator, over all experts in ascending order. */
static float
denominator(const struct job *job, size_t token, float max)
{
    float block[BLOCK];
    struct sum sum = {0};
    for (size_t first = 0; first < job->n_experts; first += BLOCK) {
        size_t n = load_block(block, job, token, first);
        for (size_t i = 0; i < n; i++) {
            add(&sum, expf(block[i] - max));
        }
    }
    return sum.total;
}

/* One token. err may be NULL. */
static w4moe_status
route_token(struct w4_err *err, const struct job *job, size_t token)
{
    int32_t *ids = job->ids + token * job->top_k;
    float *weights = job->weights + token * job->top_k;
    w4moe_status status = choose(err, ids, weights, job, token);
    if (status != W4MOE_OK) {
        return status;
    }
    float max = weights[0];
    struct sum chosen = {0};
    for (size_t j = 0; j < job->top_k; j++) {
        weights[j] = expf(weights[j] - max);
        add(&chosen, weights[j]);
    }
    /* With renormalisation the sum over all experts cancels out. */
    float divisor =
            job->renormalize ? chosen.total : denominator(job, token, max);
    for (size_t j = 0; j < job->top_k; j++) {
        weights[j] = weights[j] / divisor * job->scale;
    }
    return W4MOE_OK;
}

/* One token, without a text; the first that fails is noted. */
static void
route_item(const void *item_job, size_t token)
{
    const struct job *job = item_job;
    size_t failed = atomic_load(job->failed);
    if (token >= failed || route_token(NULL, job, token) == W4MOE_OK) {
        return;
    }
    while (token < failed &&
            !atomic_compare_exchange_weak(job->failed, &failed, token)) {
    }
}

/* All tokens. If several fail, the first of them is reported, whatever the
 * number of threads, by this thread and without a lock: the others only tell
 * which token it was, and it is done again here. */
static w4moe_status
route_all(const w4moe_ctx *ctx, struct job *job)
{
    const size_t n_tokens = job->n_tokens;
    int is_work = n_tokens > PARALLEL_WORK / job->n_experts;
    _Atomic size_t failed = n_tokens;
    job->failed = &failed;
    w4_parallel(is_work ? ctx->state->team : NULL, n_tokens, route_item, job);
    return failed < n_tokens ? route_token(w4_ctx_err(ctx), job, failed)
                             : W4MOE_OK;
}

static w4moe_status
check_sizes(struct w4_err *err, struct job *job)
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
check_arrays(struct w4_err *err, const struct job *job)
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

w4moe_status
w4moe_route(const w4moe_ctx *ctx, int32_t *ids, float *weights,
        const void *logits, w4moe_dtype dtype, size_t stride, size_t n_tokens,
        size_t n_experts, size_t top_k, const w4moe_router *router)
{
    if (ctx == NULL) {
        return W4MOE_INVALID;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    struct job job = {
            .ids = ids,
            .weights = weights,
            .logits = logits,
            .dtype = dtype,
            .stride = stride,
            .n_tokens = n_tokens,
            .n_experts = n_experts,
            .top_k = top_k,
    };
    w4moe_router own;
    w4moe_status status = w4_router_check(err, &own, router);
    if (status == W4MOE_OK) {
        status = w4_router_check_call(err, &own, n_experts, top_k, dtype);
    }
    if (status == W4MOE_OK && own.kind != W4MOE_ROUTER_SOFTMAX_TOPK) {
        status = w4_fail(err, W4MOE_UNSUPPORTED,
                "router kind \"%s\" is not implemented",
                w4moe_router_name(own.kind));
    }
    job.renormalize = own.renormalize;
    job.scale = own.scale;
    if (status == W4MOE_OK) {
        status = check_sizes(err, &job);
    }
    if (status == W4MOE_OK) {
        status = check_arrays(err, &job);
    }
    return status == W4MOE_OK ? route_all(ctx, &job) : status;
}
