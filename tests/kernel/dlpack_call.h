/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * DLPack tensors of the arguments of a forward call, for tests.
 */
#ifndef W4_TESTS_DLPACK_CALL_H
#define W4_TESTS_DLPACK_CALL_H

#include <w4moe/dlpack.h>

/** A tensor with its shape and strides. */
struct dlpack_tensor {
    DLTensor tensor;
    int64_t shape[3];
    int64_t strides[3];
};

/** The arguments, which point to the tensors: out, x, ids and so on. */
struct dlpack_call {
    w4moe_dlpack_args args;
    struct dlpack_tensor out, x, ids, weights, logits, map, counts;
};

/** A tensor of packed rows in host memory: of one dimension if n_rows is 0. Its
 * data stand `offset` bytes before `at`, its strides are not NULL. */
extern void dlpack_tensor_make(struct dlpack_tensor *t, const void *at,
        size_t offset, w4moe_dtype dtype, size_t n_rows, size_t n_columns);

/** The same call. n_global is the length of map and counts and the number of
 * logits. */
extern void dlpack_call_make(struct dlpack_call *call,
        const w4moe_forward_args *args, size_t hidden, size_t n_global,
        size_t offset);

#endif
