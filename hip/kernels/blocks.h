/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the workgroups of the kernels dot, mma and split have in common: which
 * slots and which expert are theirs, where activations come from and where
 * results go.
 */
#ifndef W4_HIP_BLOCKS_H
#define W4_HIP_BLOCKS_H

#include "scales.h"

/** The same arguments; their registers were free until here, where the compiler
 * has to read them again. */
GPU_INLINE const struct w4_gpu_gemm *
gpu_again(const struct w4_gpu_gemm *p)
{
#ifdef GPU_HAS_ARGUMENTS
    return gpu_arguments(p);
#else
    return p;
#endif
}

/** Number of the workgroup's block, or token. Those of a block stand beside
 * each other in the grid: they run at about the same time and find its rows in
 * the caches, and blocks that are none are the last. */
GPU_INLINE uint32_t
gpu_block(const struct w4_gpu_gemm *p)
{
    return p->first_block + gpu_block_y();
}

/** The layer's number of a global expert; -1: not here, or no expert. */
GPU_INLINE int32_t
gpu_local_expert(
        int32_t id, const struct w4_gpu_local *local, uint32_t n_experts)
{
    if ((uint32_t)id >= local->n_global) {
        return -1;
    }
    uint32_t expert = local->map != nullptr ? (uint32_t)local->map[id]
                                            : (uint32_t)id - local->first;
    return expert < n_experts ? (int32_t)expert : -1;
}

/** The words of an expert. */
GPU_INLINE const uint32_t *
gpu_expert_qweight(const struct w4_gpu_matrix *m, uint32_t expert)
{
    return m->qweight + (uint64_t)expert * m->expert_words;
}

/** Its other arrays: scales, offsets and qzeros of a run. */
template <class RUN>
GPU_INLINE void
gpu_set_arrays(RUN *run, const struct w4_gpu_matrix *m, uint32_t expert)
{
    run->scales =
            (const char *)m->scales + (uint64_t)expert * m->expert_scale_bytes;
    run->offsets = nullptr;
    if (m->offsets != nullptr) {
        run->offsets = (const char *)m->offsets +
                       (uint64_t)expert * m->expert_offset_bytes;
    }
    run->qzeros = nullptr;
    if (m->qzeros != nullptr) {
        run->qzeros = m->qzeros + (uint64_t)expert * m->expert_zeros;
    }
}

/** Expert of a block of slots, -1 for none. */
GPU_INLINE int32_t
gpu_block_expert(const struct w4_gpu_gemm *p, uint32_t block, uint32_t n_rows)
{
    if (p->sorted_slots == nullptr && p->ids == nullptr) {
        uint32_t n = gpu_divide(block, p->n_shared);
        return (int32_t)(block - n * p->n_shared.d);
    }
    if (p->sorted_slots == nullptr) {
        return gpu_local_expert(p->ids[block], &p->local, p->b.n_experts);
    }
    if ((uint64_t)block * n_rows >= (uint32_t)*p->n_padded) {
        return -1;
    }
    int32_t expert = p->expert_ids[gpu_divide(block * n_rows, p->block_size)];
    return (uint32_t)expert < p->b.n_experts ? expert : -1;
}

/** Slot of a row of a block; n_slots or more for none. */
GPU_INLINE uint32_t
gpu_block_slot(const struct w4_gpu_gemm *p, uint32_t block, uint32_t n_rows,
        uint32_t row)
{
    return p->sorted_slots == nullptr
                   ? block
                   : (uint32_t)p->sorted_slots[block * n_rows + row];
}

/** Number of the row of activations of a slot; of a slot that is none 0. */
GPU_INLINE uint32_t
gpu_slot_row(const struct w4_gpu_gemm *p, uint32_t slot)
{
    return slot < p->n_slots ? gpu_divide(slot, p->top_k) : 0;
}

/** A row of activations. */
GPU_INLINE const uint16_t *
gpu_row(const struct w4_gpu_gemm *p, uint64_t row)
{
    return (const uint16_t *)p->a + row * p->a_stride;
}

/** 8 activations of a row of any alignment, from `first` on; or, with a
 * permutation, those that it has there. */
GPU_INLINE struct gpu_u4
gpu_gather(const void *row, const int32_t *perm, uint32_t first)
{
    struct gpu_u4 v;
    GPU_UNROLL
    for (int j = 0; j < 4; j++) {
        uint32_t low = first + 2 * j;
        uint32_t high = low + 1;
        if (perm != nullptr) {
            high = gpu_load1(perm, 4 * high);
            low = gpu_load1(perm, 4 * low);
        }
        v.v[j] = gpu_load_u16(row, 2 * low) | gpu_load_u16(row, 2 * high) << 16;
    }
    return v;
}

GPU_INLINE float
gpu_activate(const struct w4_gpu_activation *activation, float gate, float up)
{
    w4moe_activation act;
    act.limit = activation->limit;
    act.alpha = activation->alpha;
    act.beta = activation->beta;
    act.linear_beta = activation->linear_beta;
    return w4_act_apply(
            (w4moe_activation_kind)activation->kind, gate, up, &act);
}

/** The finished value of a column: with bias and the slot's factor. */
GPU_INLINE float
gpu_finish(const struct w4_gpu_gemm *p, float sum, uint32_t expert,
        uint64_t column, uint32_t slot)
{
    if (p->b.bias != nullptr) {
        sum += gpu_load_float(p->b.bias, p->b.bias_type,
                (uint64_t)expert * p->b.n_out + column);
    }
    return p->slot_weights != nullptr ? sum * p->slot_weights[slot] : sum;
}

/** Writes a value of a slot; not for W4_GPU_TOKENS. */
template <class TYPE>
GPU_INLINE void
gpu_store(const struct w4_gpu_gemm *p, uint32_t slot, uint64_t column, float x)
{
    uint64_t i = (uint64_t)slot * p->out_stride + column;
    if (p->result == W4_GPU_SUMS) {
        ((float *)p->out)[i] = x;
    } else {
        ((uint16_t *)p->out)[i] = (uint16_t)TYPE::round(x);
    }
}

/** What becomes of the sums of column c of a tile's first half and of the one
 * opposite, for a slot; not for W4_GPU_TOKENS. */
template <class TYPE>
GPU_INLINE void
gpu_finish_pair(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        uint32_t expert, uint32_t c, float x, float up, uint32_t slot)
{
    uint32_t pairs = W4_TILE_PAIRS;
    uint32_t second = c + (p->b.gated ? tile->half : pairs);
    if (c >= tile->half) {
        return;
    }
    uint32_t natural = gpu_tile_column(tile, c);
    x = gpu_finish(p, x, expert, natural, slot);
    if (second < tile->width) {
        up = gpu_finish(p, up, expert, gpu_tile_column(tile, second), slot);
    }
    if (p->result == W4_GPU_ACTIVATED) {
        x = gpu_activate(&p->activation, x, up);
    }
    gpu_store<TYPE>(p, slot, natural, x);
    bool paired = p->result == W4_GPU_ACTIVATED && p->b.gated;
    if (second < tile->width && !paired) {
        if (p->result == W4_GPU_ACTIVATED) {
            up = gpu_activate(&p->activation, up, up);
        }
        gpu_store<TYPE>(p, slot, gpu_tile_column(tile, second), up);
    }
}

/** Whether gpu_finish4() can: nothing but the factor of a slot, and silu. */
GPU_INLINE bool
gpu_is_plain(const struct w4_gpu_gemm *p)
{
    bool activated = p->result == W4_GPU_ACTIVATED;
    return p->b.bias == nullptr && p->out_stride % 4 == 0 &&
           (uint64_t)p->out % 16 == 0 &&
           (!activated || (p->activation.kind == W4MOE_ACT_SILU &&
                                  !(p->activation.limit > 0.0f) && p->b.gated));
}

template <class TYPE>
GPU_INLINE void
gpu_store4(const struct w4_gpu_gemm *p, uint32_t slot, uint64_t column,
        const float x[4])
{
    uint64_t i = (uint64_t)slot * p->out_stride + column;
    if (p->result == W4_GPU_SUMS) {
        struct gpu_u4 v = {{gpu_bits(x[0]), gpu_bits(x[1]), gpu_bits(x[2]),
                gpu_bits(x[3])}};
        *(struct gpu_u4 *)((float *)p->out + i) = v;
    } else {
        struct gpu_u2 v = {{TYPE::round(x[0]) | TYPE::round(x[1]) << 16,
                TYPE::round(x[2]) | TYPE::round(x[3]) << 16}};
        *(struct gpu_u2 *)((uint16_t *)p->out + i) = v;
    }
}

/** gpu_finish_pair() for 4 columns c .. c + 3 and those opposite. */
template <class TYPE>
GPU_INLINE void
gpu_finish4(const struct w4_gpu_gemm *p, const struct w4_gpu_place *tile,
        uint32_t c, float x[4], float up[4], uint32_t slot)
{
    if (c >= tile->half) {
        return;
    }
    uint32_t pairs = W4_TILE_PAIRS;
    uint32_t second = c + (p->b.gated ? tile->half : pairs);
    float factor = p->slot_weights != nullptr ? p->slot_weights[slot] : 1.0f;
    GPU_UNROLL
    for (int i = 0; i < 4; i++) {
        x[i] *= factor;
        up[i] *= factor;
    }
    if (p->result == W4_GPU_ACTIVATED) {
        GPU_UNROLL
        for (int i = 0; i < 4; i++) {
            x[i] = w4_act_silu(x[i]) * up[i];
        }
    } else if (second < tile->width) {
        gpu_store4<TYPE>(p, slot, gpu_tile_column(tile, second), up);
    }
    gpu_store4<TYPE>(p, slot, gpu_tile_column(tile, c), x);
}

/** A column of a token, from the sum over its slots without biases. */
template <class TYPE>
GPU_INLINE void
gpu_finish_token(const struct w4_gpu_gemm *p, uint32_t token, uint32_t natural,
        float sum)
{
    for (uint32_t j = 0; j < p->choices && p->b.bias != nullptr; j++) {
        uint32_t slot = token * p->choices + j;
        int32_t expert = gpu_block_expert(p, slot, 1);
        if (expert >= 0) {
            sum += gpu_finish(p, 0.0f, (uint32_t)expert, natural, slot);
        }
    }
    uint64_t i = (uint64_t)token * p->out_stride + natural;
    if (p->out_type == W4MOE_F32) {
        float *out = (float *)p->out + i;
        *out = p->accumulate ? sum + *out : sum;
        return;
    }
    uint16_t *out = (uint16_t *)p->out + i;
    if (p->accumulate) {
        sum += TYPE::to_float(*out);
    }
    *out = (uint16_t)TYPE::round(sum);
}

#endif
