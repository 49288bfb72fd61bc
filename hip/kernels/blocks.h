/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the workgroups of the kernels dot and mma have in common: which slots
 * and which expert are theirs, and where results go.
 */
#ifndef W4_HIP_BLOCKS_H
#define W4_HIP_BLOCKS_H

#include "scales.h"

/** The layer's number of a global expert; -1: not here, or no expert. */
GPU_INLINE int32_t
gpu_local_expert(int32_t id, const int32_t *expert_map, uint32_t n_global,
        uint32_t n_experts)
{
    if ((uint32_t)id >= n_global) {
        return -1;
    }
    int32_t local = expert_map != nullptr ? expert_map[id] : id;
    return (uint32_t)local < n_experts ? local : -1;
}

/** Expert of a block of slots, -1 for none. */
GPU_INLINE int32_t
gpu_block_expert(const struct w4_gpu_gemm *p, uint32_t block, uint32_t n_rows)
{
    if (p->sorted_slots == nullptr) {
        return gpu_local_expert(p->ids[block], p->expert_map,
                p->n_experts_global, p->b.n_experts);
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

#endif
