/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "packed_weight.h"

#include <stdlib.h>

#include "st_helpers.h"

static void *
room(uint64_t n)
{
    void *p = calloc(1, (size_t)n);
    ck_assert_ptr_nonnull(p);
    return p;
}

void
packed_weight_make(struct packed_weight *p, const struct w4_weight *weight,
        w4moe_order order, w4moe_dtype offset_dtype)
{
    int has_offsets = offset_dtype != W4MOE_DTYPE_NONE;
    memset(p, 0, sizeof(*p));
    p->weights[W4_DOWN] = *weight;
    p->m = (w4moe_matrix){.struct_size = sizeof(p->m),
            .order = order,
            .code = W4MOE_CODE_INT4,
            .n_experts = 1,
            .n_out = weight->n_out,
            .n_in = weight->n_in,
            .group_size = weight->group_size,
            .scale_dtype = weight->scale_dtype,
            .offset_dtype = offset_dtype};
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, &p->m);
    p->m.qweight = room(sizes.qweight);
    p->m.scales = room(sizes.scales);
    p->m.offsets = has_offsets ? room(sizes.offsets) : NULL;
    if (weight->has_zeros && !has_offsets) {
        p->m.qzeros = room(sizes.qzeros);
    }
    struct w4_rows rows;
    struct w4_pack_target target = {.matrix = &p->m};
    ST_CHECK_OK(w4_rows_make(
            &st_err, &rows, weight->n_in, w4_weight_groups(weight)));
    ST_CHECK_OK(w4_pack_weight(&st_err, &target, weight, &rows));
    w4_rows_free(&rows);
    ST_CHECK_OK(w4_compare_make(&st_err, &p->compare, weight->n_in));
}

w4moe_status
packed_weight_compare(struct packed_weight *p)
{
    p->compare.error = p->compare.total = 0.0;
    return w4_compare_matrix(
            &p->compare, &p->m, p->weights, &p->orders, W4MOE_W2);
}

void
packed_weight_free(struct packed_weight *p)
{
    w4_compare_free(&p->compare);
    free(p->m.qweight);
    free(p->m.scales);
    free(p->m.offsets);
    free(p->m.qzeros);
}
