/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* From the type of a GGUF tensor to a scheme. */
#include "format/gguf_source.h"
#include "io/text.h"

/* The types that are converted. */
static const struct type_row {
    uint32_t type;
    const struct w4_scheme *scheme;
    w4moe_dtype scale_dtype;
    w4moe_dtype offset_dtype;
} type_rows[] = {
        {W4_GGUF_Q4_0, &w4_scheme_q4_0, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q4_1, &w4_scheme_q4_1, W4MOE_F16, W4MOE_F16},
        {W4_GGUF_Q4_K, &w4_scheme_q4_k, W4MOE_F32, W4MOE_F32},
        {W4_GGUF_MXFP4, &w4_scheme_gguf_mxfp4, W4MOE_F8_E8M0, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q5_0, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q5_1, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q8_0, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q5_K, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_Q6_K, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_IQ4_NL, &w4_scheme_gguf_wide, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_F32, &w4_scheme_float, W4MOE_F32, W4MOE_DTYPE_NONE},
        {W4_GGUF_F16, &w4_scheme_float, W4MOE_F16, W4MOE_DTYPE_NONE},
        {W4_GGUF_BF16, &w4_scheme_float, W4MOE_BF16, W4MOE_DTYPE_NONE},
};

static const struct type_row *
find_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof(type_rows) / sizeof(type_rows[0]); i++) {
        if (type_rows[i].type == type) {
            return &type_rows[i];
        }
    }
    return NULL;
}

w4moe_status
w4_gguf_weight_set(struct w4_err *err, struct w4_weight *weight,
        const struct w4_gguf_tensor *tensor, const void *data, int requantize)
{
    const struct type_row *row = find_type(tensor->type);
    if (row == NULL) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\": weights of type %s are not converted",
                w4_show_string(tensor->name).text, tensor->type_name);
    }
    if (row->scheme->rounded && !requantize) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "tensor \"%s\" is of type %s, not of one that 4 bits hold "
                "exactly (Q4_0, Q4_1, Q4_K, MXFP4); --requantize rounds it to "
                "4 bits, which costs quality",
                w4_show_string(tensor->name).text, tensor->type_name);
    }
    weight->name = tensor->name;
    if (row->scheme == &w4_scheme_float) {
        w4_float_set(weight, data, row->scale_dtype, weight->n_in, 1);
        return W4MOE_OK;
    }
    weight->scheme = row->scheme;
    weight->group_size = 32;
    weight->codes = data;
    weight->scale_dtype = row->scale_dtype;
    weight->offset_dtype = row->offset_dtype;
    weight->variant = tensor->type;
    return W4MOE_OK;
}

w4moe_dtype
w4_gguf_float_type(const struct w4_gguf_tensor *tensor)
{
    const struct type_row *row = find_type(tensor->type);
    return row != NULL && row->scheme == &w4_scheme_float ? row->scale_dtype
                                                          : W4MOE_DTYPE_NONE;
}
