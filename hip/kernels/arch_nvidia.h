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
/* Waves that a multiprocessor is to hold at least. */
#ifndef GPU_WAVES
#define GPU_WAVES 1
#endif
#define GPU_KERNEL(threads, name, type, p)                                     \
    extern "C" __global__ void __launch_bounds__(                              \
            threads, (GPU_WAVES * 32 + (threads)-1) / (threads))               \
            name(const __grid_constant__ struct type p)
#define GPU_SHARED(type, name, n) __shared__ __align__(16) type name[n]
#define GPU_UNROLL _Pragma("unroll")
#define GPU_ROLLED _Pragma("unroll 1")
#define GPU_UNROLL_STAGE _Pragma("unroll 1")
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

GPU_INLINE void
gpu_write4(void *p, struct gpu_u4 v)
{
    *(uint4 *)p = make_uint4(v.v[0], v.v[1], v.v[2], v.v[3]);
}

GPU_INLINE void
gpu_write2(void *p, struct gpu_u2 v)
{
    *(uint2 *)p = make_uint2(v.v[0], v.v[1]);
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
    /* By two powers, neither of which is beyond the normal numbers. */
    int half = n / 2;
    return x * __int_as_float((half + 127) << 23) *
           __int_as_float((n - half + 127) << 23);
}

GPU_INLINE double
gpu_sqrt(double x)
{
    return __dsqrt_rn(x);
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
    /* Of two constants the compiler would make two instructions. */
    uint32_t r;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(r) : "r"(a), "r"(m), "r"(o));
    return r;
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
    uint32_t r;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
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
    GPU_STAGE = 2,
    GPU_ACC_ROWS = 4,
    GPU_ACC_COLUMNS = 2,
    GPU_K_STEPS = 1,
    GPU_N_STEPS = 2,
    GPU_STEP_WORDS = 2
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

#define GPU_MMA(type, c, a0, a1, a2, a3, b0, b1)                               \
    asm("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "         \
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"      \
            : "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])           \
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1))

/* The rows 0 .. 7 and 8 .. 15 of activations are products of their own. */
#define GPU_MMA_PART(type, c, b, rows)                                         \
    do {                                                                       \
        GPU_MMA(type, c, (b)[0], (b)[4], (b)[1], (b)[5], (rows)[0],            \
                (rows)[1]);                                                    \
        GPU_MMA(type, c, (b)[2], (b)[6], (b)[3], (b)[7], (rows)[2],            \
                (rows)[3]);                                                    \
    } while (0)
#define GPU_MMA_STEP(type, acc, a, b, n)                                       \
    for (int half = 0; half < 2; half++) {                                     \
        float *c = (acc)->v + 8 * (n) + 4 * half;                              \
        const uint32_t *rows = (a)->v + 4 * half;                              \
        GPU_MMA_PART(type, c, b, rows);                                        \
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

/* ------------------------------------------------------------- 8 rows alone */

#define GPU_HAS_PARTS 1

struct gpu_part {
    float v[4];
};

GPU_INLINE unsigned
gpu_part_line(unsigned lane)
{
    return lane / 4;
}

GPU_INLINE unsigned
gpu_part_word(unsigned lane)
{
    return lane & 3;
}

GPU_INLINE unsigned
gpu_part_row(unsigned lane, unsigned i)
{
    return 2 * (lane & 3) + (i & 1);
}

GPU_INLINE void
gpu_part_bf16(struct gpu_part *part, const uint32_t b[8], const uint32_t x[4])
{
    GPU_MMA_PART("bf16", part->v, b, x);
}

GPU_INLINE void
gpu_part_f16(struct gpu_part *part, const uint32_t b[8], const uint32_t x[4])
{
    GPU_MMA_PART("f16", part->v, b, x);
}

/* ----------------------------------------------------------- asynchronous */

#define GPU_HAS_ASYNC 1

typedef uint32_t gpu_shared_place;

/* Kept in a register: the compiler would find it out anew each time. */
GPU_INLINE gpu_shared_place
gpu_place_of(uint32_t *p)
{
    gpu_shared_place place = (uint32_t)__cvta_generic_to_shared(p);
    asm volatile("" : "+r"(place));
    return place;
}

GPU_INLINE gpu_shared_place
gpu_place_at(gpu_shared_place place, uint32_t i)
{
    return place + 4 * i;
}

/* Past the cache of the multiprocessor. */
GPU_INLINE void
gpu_copy4_async(gpu_shared_place to, const void *from, bool is_there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(to), "l"(from), "r"(is_there ? 16 : 0)
                 : "memory");
}

GPU_INLINE void
gpu_copies_end(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

GPU_INLINE void
gpu_wave_barrier(void)
{
    __syncwarp();
}

template <int N>
GPU_INLINE void
gpu_copies_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* What was copied. */
GPU_INLINE struct gpu_u4
gpu_get4(gpu_shared_place p)
{
    struct gpu_u4 r;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r.v[0]), "=r"(r.v[1]), "=r"(r.v[2]), "=r"(r.v[3])
                 : "r"(p)
                 : "memory");
    return r;
}

GPU_INLINE struct gpu_u2
gpu_get2(gpu_shared_place p)
{
    struct gpu_u2 r;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];"
                 : "=r"(r.v[0]), "=r"(r.v[1])
                 : "r"(p)
                 : "memory");
    return r;
}

/* The rows lane / 4 and lane / 4 + 8, from the lane's first piece. */
GPU_INLINE struct gpu_a
gpu_get_a(gpu_shared_place p, unsigned stride)
{
    struct gpu_u4 low = gpu_get4(p);
    struct gpu_u4 high = gpu_get4(gpu_place_at(p, 8 * stride));
    struct gpu_a a;
    GPU_UNROLL
    for (int i = 0; i < 4; i++) {
        a.v[i] = low.v[i];
        a.v[4 + i] = high.v[i];
    }
    return a;
}

#endif
