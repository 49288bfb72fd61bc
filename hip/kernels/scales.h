/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Scales, zero points and offsets of a group, for neighbouring columns.
 */
#ifndef W4_HIP_SCALES_H
#define W4_HIP_SCALES_H

#include "codes.h"
#include "params.h"

#include "format/layout.h"

GPU_INLINE uint32_t
gpu_divide(uint32_t n, struct w4_gpu_divisor by)
{
    return by.d == 1 ? n : (uint32_t)((uint64_t)n * by.reciprocal >> 32);
}

/** A tile of every expert: see struct w4_tile. */
GPU_INLINE struct w4_gpu_place
gpu_tile_at(const struct w4_gpu_matrix *m, uint32_t index)
{
    const struct w4_gpu_place *from =
            index + 1 == m->n_tiles ? &m->last_tile : &m->tile;
    struct w4_gpu_place tile = *from;
    uint32_t times = from == &m->tile ? index : 0;
    tile.column += m->step.column * times;
    tile.column_up += m->step.column_up * times;
    tile.word += m->step.word * times;
    tile.scale += m->step.scale * times;
    tile.zero += m->step.zero * times;
    return tile;
}

/** Where column c of a tile stands from its first; its natural number. */
GPU_INLINE uint32_t
gpu_tile_offset(const struct w4_gpu_place *tile, uint32_t c)
{
    return c < tile->half ? c : tile->up + (c - tile->half);
}

GPU_INLINE uint32_t
gpu_tile_column(const struct w4_gpu_place *tile, uint32_t c)
{
    return c < tile->half ? tile->column + c
                          : tile->column_up + (c - tile->half);
}

/** 2^(byte - 127); 255 is NaN. The smallest is below the normal numbers. */
GPU_INLINE float
gpu_e8m0_to_float(uint32_t byte)
{
    return gpu_from_bits(byte == 0     ? 0x00400000u
                         : byte == 255 ? 0x7FC00000u
                                       : byte << 23);
}

/** Bytes of an element of an array of scales. */
GPU_INLINE uint32_t
gpu_scale_size(uint32_t type)
{
    return type == W4MOE_F8_E8M0 ? 1 : type == W4MOE_F32 ? 4 : 2;
}

/** Elements i .. i + N - 1 of an array of scales, N = 1, 2 or 4 and i a
 * multiple of it: the u32 that they stand in, to be on their way early. The
 * same loads for every type, but for 4 of 4 bytes: after a branch compilers
 * copy what was loaded, and wait for it. */
template <int N>
GPU_INLINE void
gpu_scale_words(uint32_t words[N], const void *p, uint32_t type, uint32_t i)
{
    uint32_t size = gpu_scale_size(type);
    uint32_t byte = i * size & ~3u;
    words[0] = gpu_load1(p, byte);
    if (N > 1) {
        words[1] = gpu_load1(p, byte + (N * size > 4 ? 4 : 0));
    }
    if (N > 2 && type == W4MOE_F32) {
        words[2] = gpu_load1(p, byte + 8);
        words[3] = gpu_load1(p, byte + 12);
    }
}

/** What they are. */
template <int N>
GPU_INLINE void
gpu_scales_of_words(
        float s[N], const uint32_t words[N], uint32_t type, uint32_t i)
{
    if (type == W4MOE_F32) {
        GPU_UNROLL
        for (int c = 0; c < N; c++) {
            s[c] = gpu_from_bits(words[c]);
        }
        return;
    }
    uint32_t size = gpu_scale_size(type);
    uint32_t bits = words[0] >> (N == 4 ? 0 : 8 * (i * size & 3u));
    if (type == W4MOE_F8_E8M0) {
        GPU_UNROLL
        for (int c = 0; c < N; c++) {
            s[c] = gpu_e8m0_to_float(bits >> 8 * c & 255u);
        }
        return;
    }
    GPU_UNROLL
    for (int c = 0; c < N; c++) {
        uint32_t half = (c < 2 ? bits : words[1]) >> 16 * (c % 2) & 0xFFFFu;
        s[c] = type == W4MOE_F16 ? gpu_f16_to_float(half)
                                 : gpu_bf16_to_float(half);
    }
}

/** Elements i .. i + 3, i a multiple of 4. */
GPU_INLINE void
gpu_load_scales4(float s[4], const void *p, uint32_t type, uint32_t i)
{
    if (type == W4MOE_F8_E8M0) {
        uint32_t bytes = gpu_load1(p, i);
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            s[c] = gpu_e8m0_to_float(bytes >> 8 * c & 255u);
        }
    } else if (type == W4MOE_F32) {
        struct gpu_u4 v = gpu_load4(p, i * 4);
        GPU_UNROLL
        for (int c = 0; c < 4; c++) {
            s[c] = gpu_from_bits(v.v[c]);
        }
    } else {
        struct gpu_u2 v = gpu_load2(p, i * 2);
        if (type == W4MOE_F16) {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                s[c] = gpu_f16_to_float(v.v[c / 2] >> 16 * (c % 2) & 0xFFFFu);
            }
        } else {
            GPU_UNROLL
            for (int c = 0; c < 4; c++) {
                s[c] = gpu_bf16_to_float(v.v[c / 2] >> 16 * (c % 2));
            }
        }
    }
}

/** Zero points of 4 columns, the first at a multiple of 4, of a group whose
 * words are given: 4 bits each, from the lowest on. Stored is zero - 1 modulo
 * 16. */
GPU_INLINE uint32_t
gpu_load_zeros4(const uint32_t *words, uint32_t column)
{
    uint32_t word = gpu_load1(words, column / W4_WORD_ZEROS * 4);
    return word >> 4 * (column % W4_WORD_ZEROS) & 0xFFFFu;
}

GPU_INLINE float
gpu_zero(uint32_t nibbles, int c)
{
    return (float)(((nibbles >> 4 * c) + 1) & 15u);
}

#endif
