/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * arch.h for NVIDIA GPUs of compute capability 8.0 and above, where the kernels
 * are tested and timed when there is no other GPU.
 */
#ifndef W4_HIP_ARCH_NVIDIA_H
#define W4_HIP_ARCH_NVIDIA_H

#include <cuda_fp16.h>

#define GPU_INLINE __device__ __forceinline__
#define GPU_KERNEL(threads, name, type, p)                                     \
    extern "C" __global__ void __launch_bounds__(threads)                      \
            name(const __grid_constant__ struct type p)
#define GPU_SHARED(type, name, n) __shared__ __align__(16) type name[n]
#define GPU_UNROLL _Pragma("unroll")
#define GPU_HAS_MATRICES 1

GPU_INLINE unsigned
gpu_thread(void)
{
    return threadIdx.x;
}

GPU_INLINE unsigned
gpu_block_x(void)
{
    return blockIdx.x;
}

GPU_INLINE unsigned
gpu_block_y(void)
{
    return blockIdx.y;
}

GPU_INLINE void
gpu_barrier(void)
{
    __syncthreads();
}

GPU_INLINE int
gpu_uniform(int x)
{
    return __shfl_sync(0xFFFFFFFFu, x, 0);
}

GPU_INLINE void
gpu_keep_order(void)
{
}

/* ------------------------------------------------------------------- waves */

GPU_INLINE uint32_t
gpu_bits(float x)
{
    return __float_as_uint(x);
}

GPU_INLINE float
gpu_from_bits(uint32_t x)
{
    return __uint_as_float(x);
}

template <int MASK>
GPU_INLINE float
gpu_shuffle_xor(float x)
{
    return __shfl_xor_sync(0xFFFFFFFFu, x, MASK);
}

GPU_INLINE uint32_t
gpu_broadcast(uint32_t x, unsigned lane)
{
    return __shfl_sync(0xFFFFFFFFu, x, (int)lane);
}

GPU_INLINE uint32_t
gpu_ballot(bool condition)
{
    return __ballot_sync(0xFFFFFFFFu, condition);
}

GPU_INLINE uint32_t
gpu_count(uint32_t *p, uint32_t n)
{
    return atomicAdd(p, n);
}

/* ------------------------------------------------------------------- loads */

/* Weights are read once: not to be kept in the cache of the multiprocessor. */
GPU_INLINE struct gpu_u4
gpu_load4(const void *p, uint32_t i)
{
    uint4 v = __ldcs((const uint4 *)((const char *)p + i));
    struct gpu_u4 r = {{v.x, v.y, v.z, v.w}};
    return r;
}

GPU_INLINE struct gpu_u2
gpu_load2(const void *p, uint32_t i)
{
    uint2 v = __ldcs((const uint2 *)((const char *)p + i));
    struct gpu_u2 r = {{v.x, v.y}};
    return r;
}

GPU_INLINE uint32_t
gpu_load1(const void *p, uint32_t i)
{
    return __ldcs((const uint32_t *)((const char *)p + i));
}

GPU_INLINE uint32_t
gpu_load_u16(const void *p, uint32_t i)
{
    return *(const uint16_t *)((const char *)p + i);
}

GPU_INLINE uint32_t
gpu_load_u8(const void *p, uint32_t i)
{
    return *((const uint8_t *)p + i);
}

GPU_INLINE struct gpu_u4
gpu_read4(const void *p, uint32_t i)
{
    uint4 v = *(const uint4 *)((const char *)p + i);
    struct gpu_u4 r = {{v.x, v.y, v.z, v.w}};
    return r;
}

GPU_INLINE struct gpu_u4
gpu_uniform_load4(const void *p, uint32_t i)
{
    return gpu_read4(p, i);
}

/* -------------------------------------------------------------- arithmetic */

GPU_INLINE float
gpu_fma(float a, float b, float c)
{
    return __fmaf_rn(a, b, c);
}

GPU_INLINE float
gpu_quotient(float a, float b)
{
    return __fdividef(a, b);
}

GPU_INLINE float
gpu_round(float x)
{
    return rintf(x);
}

/** x 2^n */
GPU_INLINE float
gpu_scale(float x, int n)
{
    return ldexpf(x, n);
}

GPU_INLINE float
gpu_f16_to_float(uint32_t bits)
{
    return __half2float(__ushort_as_half((unsigned short)bits));
}

GPU_INLINE uint32_t
gpu_float_to_f16(float x)
{
    return __half_as_ushort(__float2half_rn(x));
}

GPU_INLINE float
gpu_dot_bf16(uint32_t a, uint32_t b, float c)
{
    c = gpu_fma(gpu_from_bits(a << 16), gpu_from_bits(b << 16), c);
    return gpu_fma(
            gpu_from_bits(a & 0xFFFF0000u), gpu_from_bits(b & 0xFFFF0000u), c);
}

GPU_INLINE __half2
gpu_as_half2(uint32_t a)
{
    return __halves2half2(__ushort_as_half((unsigned short)a),
            __ushort_as_half((unsigned short)(a >> 16)));
}

GPU_INLINE float
gpu_dot_f16(uint32_t a, uint32_t b, float c)
{
    float2 x = __half22float2(gpu_as_half2(a));
    float2 y = __half22float2(gpu_as_half2(b));
    return gpu_fma(x.y, y.y, gpu_fma(x.x, y.x, c));
}

GPU_INLINE uint32_t
gpu_and_or(uint32_t a, uint32_t m, uint32_t o)
{
    return (a & m) | o;
}

GPU_INLINE uint32_t
gpu_perm(uint32_t hi, uint32_t lo, uint32_t s)
{
    /* There a selector has 4 bits. */
    s = (s & 7) | (s >> 4 & 0x70) | (s >> 8 & 0x700) | (s >> 12 & 0x7000);
    return __byte_perm(lo, hi, s);
}

GPU_INLINE uint32_t
gpu_fma_f16(uint32_t a, uint32_t b, uint32_t c)
{
    __half2 r = __hfma2(gpu_as_half2(a), gpu_as_half2(b), gpu_as_half2(c));
    return (uint32_t)__half_as_ushort(__low2half(r)) |
           (uint32_t)__half_as_ushort(__high2half(r)) << 16;
}

#define GPU_HAS_FMA_BF16 1

GPU_INLINE uint32_t
gpu_fma_bf16(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}

GPU_INLINE void
gpu_put4(uint32_t *p, struct gpu_u4 v)
{
    *(uint4 *)p = make_uint4(v.v[0], v.v[1], v.v[2], v.v[3]);
}

/* ---------------------------------------------------------------- matrices */

/* mma.m16n8k16 twice: the 32 k of a step in an order in which a lane has the 8
 * of a word. Its first operand, of 16 rows, are the weights, so that what lanes
 * load of either operand stands in neighbouring registers as it is. Row m of
 * it is column 2 (m % 8) + m / 8 of the half. */
enum {
    GPU_ROW_PAD = 16,
    GPU_STAGE = 2,
    GPU_WORDS_AHEAD = 2,
    GPU_ACC_ROWS = 4,
    GPU_ACC_COLUMNS = 2,
    GPU_K_STEPS = 1,
    GPU_N_STEPS = 2,
    GPU_STEP_WORDS = 2,
    GPU_WORD_PAIRS = 1
};

/** Pairs of the rows lane / 4 and lane / 4 + 8. */
struct gpu_a {
    uint32_t v[8];
};

GPU_INLINE unsigned
gpu_acc_row(unsigned lane, unsigned i)
{
    return 8 * (i >> 2 & 1) + 2 * (lane & 3) + (i & 1);
}

GPU_INLINE unsigned
gpu_acc_row_index(unsigned i)
{
    return 2 * (i >> 2 & 1) + (i & 1);
}

GPU_INLINE unsigned
gpu_acc_column_index(unsigned i)
{
    return i >> 1 & 1;
}

GPU_INLINE unsigned
gpu_acc_column(unsigned lane, unsigned i)
{
    return 16 * (i >> 3) + 2 * (lane / 4) + (i >> 1 & 1);
}

GPU_INLINE unsigned
gpu_word_row(unsigned lane, unsigned s, unsigned i)
{
    (void)s;
    (void)i;
    return lane & 3;
}

GPU_INLINE unsigned
gpu_word_column(unsigned lane, unsigned n, unsigned i)
{
    return 16 * n + 2 * (lane / 4) + i;
}

GPU_INLINE struct gpu_a
gpu_load_a(const uint32_t *rows, unsigned stride, unsigned lane, unsigned s)
{
    (void)s;
    struct gpu_a a;
    const uint32_t *row = rows + lane / 4 * stride + 4 * (lane & 3);
    uint4 low = *(const uint4 *)row;
    uint4 high = *(const uint4 *)(row + 8 * stride);
    a.v[0] = low.x;
    a.v[1] = low.y;
    a.v[2] = low.z;
    a.v[3] = low.w;
    a.v[4] = high.x;
    a.v[5] = high.y;
    a.v[6] = high.z;
    a.v[7] = high.w;
    return a;
}

#define GPU_MMA(type, c, a0, a1, a2, a3, b0, b1)                               \
    asm("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "         \
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"      \
            : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])           \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1))

/* The rows 0 .. 7 and 8 .. 15 of activations are products of their own. */
#define GPU_MMA_STEP(type, acc, a, b, n)                                       \
    for (int half = 0; half < 2; half++) {                                     \
        float *c = (acc)->v + 8 * (n) + 4 * half;                              \
        const uint32_t *rows = (a)->v + 4 * half;                              \
        GPU_MMA(type, c, (b)[0], (b)[4], (b)[1], (b)[5], rows[0], rows[1]);    \
        GPU_MMA(type, c, (b)[2], (b)[6], (b)[3], (b)[7], rows[2], rows[3]);    \
    }

GPU_INLINE void
gpu_mma_bf16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t b[8],
        unsigned n)
{
    GPU_UNROLL
    GPU_MMA_STEP("bf16", acc, a, b, n)
}

GPU_INLINE void
gpu_mma_f16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t b[8],
        unsigned n)
{
    GPU_UNROLL
    GPU_MMA_STEP("f16", acc, a, b, n)
}

#endif
