/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "route/router.h"

#include <math.h>
#include <stddef.h>

#include "base/abi.h"
#include "route/token.h"

static w4moe_status
check_kind(struct w4_err *err, const w4moe_router *router)
{
    const char *name = w4moe_router_name(router->kind);
    if (name == NULL) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "router kind %d is not known",
                (int)router->kind);
    }
    int extras = router->n_group > 1 || router->correction_bias != NULL;
    if (router->kind != W4MOE_ROUTER_NONE &&
            !w4_router_has_scores(router->kind) && extras) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "router kind \"%s\" with %s: only \"sigmoid\" and "
                "\"sqrt_softplus\" have it",
                name, router->n_group > 1 ? "groups" : "a correction bias");
    }
    if (router->reserved != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "router: the reserved field is %u", (unsigned)router->reserved);
    }
    if (!isfinite(router->scale)) {
        return w4_fail(err, W4MOE_INVALID, "router: scale is %g",
                (double)router->scale);
    }
    return W4MOE_OK;
}

/* An array that is not there has no type. */
static w4moe_status
check_array(struct w4_err *err, const void *array, w4moe_dtype *dtype,
        const char *name)
{
    if (array == NULL) {
        *dtype = W4MOE_DTYPE_NONE;
        return W4MOE_OK;
    }
    if (!w4_router_takes(*dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "router: %s of type %s (%d) is not supported, only F32, F16 "
                "and BF16",
                name, w4moe_dtype_name(*dtype), (int)*dtype);
    }
    return W4MOE_OK;
}

static w4moe_status
check_arrays(struct w4_err *err, w4moe_router *router)
{
    if (router->kind == W4MOE_ROUTER_NONE &&
            (router->weight != NULL || router->correction_bias != NULL)) {
        return w4_fail(err, W4MOE_INVALID, "router: a %s, but its kind is none",
                router->weight != NULL ? "weight" : "correction bias");
    }
    if (router->bias != NULL && router->weight == NULL) {
        return w4_fail(
                err, W4MOE_INVALID, "router: a bias, but no weight for it");
    }
    w4moe_status status =
            check_array(err, router->weight, &router->weight_dtype, "weight");
    if (status == W4MOE_OK) {
        status = check_array(err, router->bias, &router->bias_dtype, "bias");
    }
    if (status == W4MOE_OK) {
        status = check_array(err, router->correction_bias,
                &router->correction_bias_dtype, "correction_bias");
    }
    return status;
}

static w4moe_status
check_groups(struct w4_err *err, w4moe_router *router)
{
    if (router->n_group <= 1) {
        router->n_group = router->topk_group = 0;
        return W4MOE_OK;
    }
    if (router->n_group > W4_ROUTE_GROUPS_MAX) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "router: %u groups, at most %d",
                (unsigned)router->n_group, W4_ROUTE_GROUPS_MAX);
    }
    if (router->topk_group == 0 || router->topk_group > router->n_group) {
        return w4_fail(err, W4MOE_INVALID, "router: %u of %u groups",
                (unsigned)router->topk_group, (unsigned)router->n_group);
    }
    return W4MOE_OK;
}

w4moe_status
w4_router_check(
        struct w4_err *err, w4moe_router *own, const w4moe_router *callers)
{
    w4moe_status status = w4_struct_in(
            err, own, sizeof(*own), sizeof(*own), callers, "router");
    if (status == W4MOE_OK) {
        status = check_kind(err, own);
    }
    if (status == W4MOE_OK) {
        status = check_arrays(err, own);
    }
    if (status == W4MOE_OK) {
        status = check_groups(err, own);
    }
    if (status == W4MOE_OK && own->scale == 0.0f) {
        own->scale = 1.0f;
    }
    return status;
}

w4moe_status
w4_router_check_call(struct w4_err *err, const w4moe_router *router,
        size_t n_experts, size_t top_k, w4moe_dtype logits_dtype)
{
    if (router->kind == W4MOE_ROUTER_NONE) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "router kind \"%s\": ids and weights must be given",
                w4moe_router_name(router->kind));
    }
    if (n_experts == 0) {
        return w4_fail(err, W4MOE_INVALID, "n_experts is 0");
    }
    if (n_experts > W4MOE_ROUTE_EXPERTS_MAX) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "%zu experts to choose from, at most %d", n_experts,
                W4MOE_ROUTE_EXPERTS_MAX);
    }
    size_t n = n_experts;
    if (router->n_group != 0) {
        if (n_experts % router->n_group != 0) {
            return w4_fail(err, W4MOE_INVALID,
                    "router: %u groups of %zu experts",
                    (unsigned)router->n_group, n_experts);
        }
        n = n_experts / router->n_group * router->topk_group;
    }
    if (top_k == 0 || top_k > n) {
        return w4_fail(
                err, W4MOE_INVALID, "top_k is %zu, outside [1, %zu]", top_k, n);
    }
    if (!w4_router_takes(logits_dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "logits of type %s (%d) are not supported, only F32, F16 and "
                "BF16",
                w4moe_dtype_name(logits_dtype), (int)logits_dtype);
    }
    return W4MOE_OK;
}
