/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/abi.h"
#include "base/size.h"
#include "format/pack_source.h"

/* Whether the place of every code is a number of bytes. */
static int
rows_fit(const w4moe_mxfp4_weight *s)
{
    uint64_t rows;
    uint64_t bytes;
    return w4_mul(&rows, s->n_out, s->row_step) &&
           w4_add(&rows, rows, s->row_first) && w4_mul(&bytes, rows, s->n_in) &&
           bytes <= PTRDIFF_MAX;
}

w4moe_status
w4moe_pack_mxfp4(const w4moe_ctx *ctx, w4moe_matrix *dst,
        const w4moe_mxfp4_weight *src, size_t expert, size_t first_out)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_mxfp4_weight s;
    w4moe_status status = w4_struct_in(
            err, &s, sizeof(s), sizeof(s), src, "w4moe_mxfp4_weight");
    if (status != W4MOE_OK) {
        return status;
    }
    s.row_step = s.row_step != 0 ? s.row_step : 1;
    if (!rows_fit(&s)) {
        return w4_fail(err, W4MOE_INVALID,
                "%zu rows of %zu columns, from row %zu on in steps of %zu, are "
                "beyond the address space",
                s.n_out, s.n_in, s.row_first, s.row_step);
    }
    struct w4_pack_source source = {
            .weight =
                    {
                            .n_out = s.n_out,
                            .n_in = s.n_in,
                            .row_first = s.row_first,
                            .row_step = s.row_step,
                            .tensor_rows = s.row_first + s.n_out * s.row_step,
                    },
            .expert = expert,
            .first_out = first_out,
            .output_order = s.output_order,
    };
    w4_mxfp4_set(&source.weight, s.blocks, s.scales);
    return w4_pack_source(ctx, dst, &source);
}
