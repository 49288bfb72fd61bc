/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "base/abi.h"
#include "format/pack_source.h"

w4moe_status
w4moe_pack_awq(const w4moe_ctx *ctx, w4moe_matrix *dst,
        const w4moe_awq_weight *src, size_t expert, size_t first_out)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_awq_weight s;
    w4moe_status status = w4_struct_in(
            err, &s, sizeof(s), sizeof(s), src, "w4moe_awq_weight");
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_pack_source source = {
            .weight =
                    {
                            .scheme = &w4_scheme_awq,
                            .n_out = s.n_out,
                            .n_in = s.n_in,
                            .group_size = s.group_size,
                            .codes = s.qweight,
                            .scales = s.scales,
                            .scale_dtype = s.scale_dtype,
                            .zeros = s.qzeros,
                            .has_zeros = s.qzeros != NULL,
                            .row_step = 1,
                            .tensor_rows = s.n_out,
                    },
            .expert = expert,
            .first_out = first_out,
            .input_order = s.input_order,
            .output_order = s.output_order,
    };
    return w4_pack_source(ctx, dst, &source);
}
