/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The order of the columns of an act-order weight. */
#include <inttypes.h>
#include <stdlib.h>

#include <w4moe/format.h>

#include "base/bytes.h"
#include "base/ctx.h"
#include "base/size.h"

/* The group of column i. */
static int64_t
group_of(const void *g_idx, size_t i)
{
    return (int32_t)w4_load_le32((const unsigned char *)g_idx + 4 * i);
}

/* Counts the columns of each group and checks that they are as many as the
 * group length says. Returns OK, also for "no order", which leaves *any 0. */
static w4moe_status
count_groups(struct w4_err *err, size_t *counts, int *any, const void *g_idx,
        size_t n_in, size_t group_size)
{
    size_t n_groups = w4_ceil_div(n_in, group_size);
    *any = 0;
    for (size_t i = 0; i < n_in; i++) {
        if (group_of(g_idx, i) == -1) {
            return W4MOE_OK;
        }
    }
    for (size_t i = 0; i < n_in; i++) {
        int64_t group = group_of(g_idx, i);
        if (group < 0 || (size_t)group >= n_groups) {
            return w4_fail(err, W4MOE_FORMAT,
                    "g_idx: column %zu is in group %" PRId64 " of %zu", i,
                    group, n_groups);
        }
        counts[group]++;
    }
    for (size_t group = 0; group < n_groups; group++) {
        size_t left = n_in - group * group_size;
        size_t expected = left < group_size ? left : group_size;
        if (counts[group] != expected) {
            return w4_fail(err, W4MOE_FORMAT,
                    "g_idx: group %zu has %zu columns, %zu are expected "
                    "(%zu columns in groups of %zu)",
                    group, counts[group], expected, n_in, group_size);
        }
    }
    *any = 1;
    return W4MOE_OK;
}

w4moe_status
w4moe_ct_order(const w4moe_ctx *ctx, int32_t *order, const void *g_idx,
        size_t n_in, size_t group_size)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (order == NULL || g_idx == NULL || n_in == 0 || n_in > INT32_MAX ||
            group_size == 0) {
        return w4_fail(err, W4MOE_INVALID,
                "order %s, g_idx %s, %zu columns, group size %zu",
                order == NULL ? "NULL" : "given",
                g_idx == NULL ? "NULL" : "given", n_in, group_size);
    }
    size_t *counts = calloc(w4_ceil_div(n_in, group_size), sizeof(*counts));
    if (counts == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "g_idx: no memory for %zu groups",
                w4_ceil_div(n_in, group_size));
    }
    int any;
    w4moe_status status =
            count_groups(err, counts, &any, g_idx, n_in, group_size);
    if (status == W4MOE_OK && !any) {
        for (size_t i = 0; i < n_in; i++) {
            order[i] = (int32_t)i;
        }
    } else if (status == W4MOE_OK) {
        /* Every group begins at a multiple of the group length; from here on
         * a count is the next free position. */
        for (size_t i = 0; i * group_size < n_in; i++) {
            counts[i] = i * group_size;
        }
        for (size_t i = 0; i < n_in; i++) {
            order[counts[group_of(g_idx, i)]++] = (int32_t)i;
        }
    }
    free(counts);
    return status;
}
