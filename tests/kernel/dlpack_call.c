/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "dlpack_call.h"

#include <stdlib.h>
#include <string.h>

static DLDataType
type_of(w4moe_dtype dtype)
{
    DLDataType type = {.lanes = 1};
    switch (dtype) {
    case W4MOE_BF16:
        type.code = kDLBfloat;
        break;
    case W4MOE_F16:
    case W4MOE_F32:
        type.code = kDLFloat;
        break;
    case W4MOE_I32:
        type.code = kDLInt;
        break;
    default:
        abort();
    }
    type.bits = (uint8_t)(8 * w4moe_dtype_size(dtype));
    return type;
}

void
dlpack_tensor_make(struct dlpack_tensor *t, const void *at, size_t offset,
        w4moe_dtype dtype, size_t n_rows, size_t n_columns)
{
    int ndim = n_rows != 0 ? 2 : 1;
    memset(t, 0, sizeof(*t));
    t->shape[0] = (int64_t)n_rows;
    t->shape[ndim - 1] = (int64_t)n_columns;
    t->strides[0] = (int64_t)n_columns;
    t->strides[ndim - 1] = 1;
    t->tensor.data = (void *)((uintptr_t)at - offset);
    t->tensor.device.device_type = kDLCPU;
    t->tensor.ndim = ndim;
    t->tensor.dtype = type_of(dtype);
    t->tensor.shape = t->shape;
    t->tensor.strides = t->strides;
    t->tensor.byte_offset = offset;
}

/* Makes a tensor if there is an array. */
static const DLTensor *
made(struct dlpack_tensor *t, const void *at, size_t offset, w4moe_dtype dtype,
        size_t n_rows, size_t n_columns)
{
    if (at == NULL) {
        return NULL;
    }
    dlpack_tensor_make(t, at, offset, dtype, n_rows, n_columns);
    return &t->tensor;
}

void
dlpack_call_make(struct dlpack_call *call, const w4moe_forward_args *args,
        size_t hidden, size_t n_global, size_t offset)
{
    size_t n_tokens = args->n_tokens;
    size_t top_k = args->top_k;
    memset(call, 0, sizeof(*call));
    call->args = (w4moe_dlpack_args){
            .struct_size = sizeof(call->args),
            .out = made(&call->out, args->out, offset, args->dtype, n_tokens,
                    hidden),
            .x = made(&call->x, args->x, offset, args->dtype, n_tokens, hidden),
            .ids = made(
                    &call->ids, args->ids, offset, W4MOE_I32, n_tokens, top_k),
            .weights = made(&call->weights, args->weights, offset, W4MOE_F32,
                    n_tokens, top_k),
            .router_logits = made(&call->logits, args->router_logits, offset,
                    args->logits_dtype, n_tokens, n_global),
            .expert_map = made(&call->map, args->expert_map, offset, W4MOE_I32,
                    0, n_global),
            .expert_counts = made(&call->counts, args->expert_counts, offset,
                    W4MOE_I32, 0, n_global),
            .top_k = args->ids == NULL ? top_k : 0,
            .flags = args->flags,
            .stream = args->stream,
    };
    if (args->out_stride != 0) {
        call->out.strides[0] = (int64_t)args->out_stride;
    }
    if (args->x_stride != 0) {
        call->x.strides[0] = (int64_t)args->x_stride;
    }
}
