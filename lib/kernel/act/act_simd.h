/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Activations over the vectors of simd.h: the body of w4_act_avx2(),
 * w4_act_avx512() and w4_act_neon(). Their formulas and errors: act_formulas.h.
 */
#ifndef W4_KERNEL_ACT_ACT_SIMD_H
#define W4_KERNEL_ACT_ACT_SIMD_H

#include "kernel/kernel.h"
#include "kernel/simd/simd.h"

#include "kernel/act/act_formulas.h"

W4_INLINE w4_vf
w4_act_load(const float *from, size_t n)
{
    return n < W4_LANES ? w4_vf_load_n(from, n) : w4_vf_load(from);
}

/* Stores the first n lanes as elements `first` on. */
W4_INLINE void
w4_act_store(void *out, w4moe_dtype dtype, size_t first, w4_vf v, size_t n)
{
    float *floats = (float *)out + first;
    uint16_t *halves = (uint16_t *)out + first;
    if (dtype == W4MOE_F32 && n < W4_LANES) {
        w4_vf_store_n(floats, v, n);
    } else if (dtype == W4MOE_F32) {
        w4_vf_store(floats, v);
    } else if (n < W4_LANES) {
        w4_vf_store_half_n(halves, dtype, v, n);
    } else {
        w4_vf_store_half(halves, dtype, v);
    }
}

/* What w4_act_fn gets, by one name. */
struct w4_act_row {
    void *out;
    w4moe_dtype dtype;
    const float *gate;
    const float *up;
    size_t n;
    w4moe_activation activation;
};

/* A loop for each kind. */
W4_INLINE void
w4_act_run(w4moe_activation_kind kind, const struct w4_act_row *row)
{
    for (size_t i = 0; i < row->n; i += W4_LANES) {
        size_t n = row->n - i < W4_LANES ? row->n - i : W4_LANES;
        w4_vf g = w4_act_load(row->gate + i, n);
        w4_vf u = row->up != NULL ? w4_act_load(row->up + i, n) : g;
        u = w4_act_apply(kind, g, u, &row->activation);
        w4_act_store(row->out, row->dtype, i, u, n);
    }
}

/** See w4_act_fn. */
W4_INLINE void
w4_act_simd(void *out, w4moe_dtype dtype, const float *gate, const float *up,
        size_t n, const w4moe_activation *activation)
{
    /* A copy, which no store can change. */
    const struct w4_act_row row = {out, dtype, gate, up, n, *activation};
    switch (activation->kind) {
    case W4MOE_ACT_SILU:
        w4_act_run(W4MOE_ACT_SILU, &row);
        break;
    case W4MOE_ACT_GELU:
        w4_act_run(W4MOE_ACT_GELU, &row);
        break;
    case W4MOE_ACT_GELU_TANH:
        w4_act_run(W4MOE_ACT_GELU_TANH, &row);
        break;
    case W4MOE_ACT_SWIGLUOAI:
        w4_act_run(W4MOE_ACT_SWIGLUOAI, &row);
        break;
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        w4_act_run(W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE, &row);
        break;
    case W4MOE_ACT_SWIGLUSTEP:
        w4_act_run(W4MOE_ACT_SWIGLUSTEP, &row);
        break;
    case W4MOE_ACT_SITU:
        w4_act_run(W4MOE_ACT_SITU, &row);
        break;
    case W4MOE_ACT_SILU_NO_MUL:
        w4_act_run(W4MOE_ACT_SILU_NO_MUL, &row);
        break;
    case W4MOE_ACT_GELU_NO_MUL:
        w4_act_run(W4MOE_ACT_GELU_NO_MUL, &row);
        break;
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        w4_act_run(W4MOE_ACT_GELU_TANH_NO_MUL, &row);
        break;
    case W4MOE_ACT_RELU2_NO_MUL:
        w4_act_run(W4MOE_ACT_RELU2_NO_MUL, &row);
        break;
    }
}

#endif
