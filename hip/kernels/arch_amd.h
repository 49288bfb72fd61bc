/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * arch.h for AMD GPUs, wave32: gfx10 (no matrices, no dot product of bf16),
 * gfx11 and gfx12. Compiler builtins only, nothing of the device libraries.
 */
#ifndef W4_HIP_ARCH_AMD_H
#define W4_HIP_ARCH_AMD_H

#if defined(__gfx1200__) || defined(__gfx1201__) || defined(__gfx12_generic__)
#define GPU_GFX12 1
#elif defined(__GFX11__) || defined(__gfx1100__) || defined(__gfx1101__) ||    \
        defined(__gfx1102__) || defined(__gfx1103__) ||                        \
        defined(__gfx1150__) || defined(__gfx1151__) ||                        \
        defined(__gfx1152__) || defined(__gfx1153__)
#define GPU_GFX11 1
#endif

#define GPU_INLINE __attribute__((device)) __attribute__((always_inline)) inline
#define GPU_KERNEL(threads, name, type, p)                                     \
    extern "C" __attribute__((global))                                         \
    __attribute__((amdgpu_flat_work_group_size(threads, threads))) void        \
    name(const struct type p)
#define GPU_SHARED(type, name, n)                                              \
    __attribute__((shared)) __attribute__((aligned(16))) static type name[n]
#define GPU_UNROLL _Pragma("unroll")
#define GPU_ROLLED _Pragma("unroll 1")
#define GPU_UNROLL_STAGE GPU_UNROLL

typedef short gpu_s2 __attribute__((ext_vector_type(2)));
typedef _Float16 gpu_h2 __attribute__((ext_vector_type(2)));
typedef unsigned short gpu_us2 __attribute__((ext_vector_type(2)));
typedef float gpu_v2f __attribute__((ext_vector_type(2)));
typedef uint32_t gpu_v2u __attribute__((ext_vector_type(2)));
typedef uint32_t gpu_v4u __attribute__((ext_vector_type(4)));
typedef float gpu_v8f __attribute__((ext_vector_type(8)));
typedef short gpu_v8s __attribute__((ext_vector_type(8)));
typedef _Float16 gpu_v8h __attribute__((ext_vector_type(8)));
typedef short gpu_v16s __attribute__((ext_vector_type(16)));
typedef _Float16 gpu_v16h __attribute__((ext_vector_type(16)));

#define GPU_GLOBAL_SPACE __attribute__((address_space(1)))
#define GPU_CONSTANT_SPACE __attribute__((address_space(4)))

GPU_INLINE unsigned
gpu_thread(void)
{
    return __builtin_amdgcn_workitem_id_x();
}

GPU_INLINE unsigned
gpu_block_x(void)
{
    return __builtin_amdgcn_workgroup_id_x();
}

GPU_INLINE unsigned
gpu_block_y(void)
{
    return __builtin_amdgcn_workgroup_id_y();
}

GPU_INLINE void
gpu_barrier(void)
{
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}

GPU_INLINE int
gpu_uniform(int x)
{
    return __builtin_amdgcn_readfirstlane(x);
}

GPU_INLINE void
gpu_keep_order(void)
{
    __builtin_amdgcn_sched_barrier(0);
}

#define GPU_HAS_ARGUMENTS 1

template <class T>
GPU_INLINE const T *
gpu_arguments(const T *)
{
    const void *segment = (const void *)__builtin_amdgcn_kernarg_segment_ptr();
    const T GPU_CONSTANT_SPACE *p = (const T GPU_CONSTANT_SPACE *)segment;
    /* The compiler no longer knows what it is. */
    __asm__("" : "+s"(p));
    return (const T *)p;
}

/* ------------------------------------------------------------------- waves */

GPU_INLINE uint32_t
gpu_bits(float x)
{
    return __builtin_bit_cast(uint32_t, x);
}

GPU_INLINE float
gpu_from_bits(uint32_t x)
{
    return __builtin_bit_cast(float, x);
}

/* By the crossbar of the shared memory, which itself is not touched. */
template <unsigned MASK>
GPU_INLINE float
gpu_shuffle_xor(float x)
{
    int address = (int)(((gpu_thread() & 31) ^ MASK) * 4);
    return gpu_from_bits(
            (uint32_t)__builtin_amdgcn_ds_bpermute(address, (int)gpu_bits(x)));
}

GPU_INLINE uint32_t
gpu_broadcast(uint32_t x, unsigned lane)
{
    return (uint32_t)__builtin_amdgcn_readlane((int)x, (int)lane);
}

GPU_INLINE uint32_t
gpu_ballot(bool condition)
{
#if __has_builtin(__builtin_amdgcn_ballot_w32)
    return __builtin_amdgcn_ballot_w32(condition);
#else
    /* 33: not equal */
    return (uint32_t)__builtin_amdgcn_uicmp(condition ? 1u : 0u, 0u, 33);
#endif
}

GPU_INLINE uint32_t
gpu_count(uint32_t *p, uint32_t n)
{
    return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------- loads */

GPU_INLINE struct gpu_u4
gpu_load4_at(const void *p, uint32_t i)
{
    gpu_v4u v = *(
            const gpu_v4u GPU_GLOBAL_SPACE *)((const char GPU_GLOBAL_SPACE *)p +
                                              i);
    struct gpu_u4 r = {{v.x, v.y, v.z, v.w}};
    return r;
}

/* The address is that of p in scalar registers and i in a vector register, if
 * the compiler sees there that i has 32 bits: it forgets it elsewhere. A
 * variable itself goes there and back, or there would be a copy each time. */
GPU_INLINE struct gpu_u4
gpu_load4(const void *p, uint32_t &i)
{
    __asm__("" : "+v"(i));
    return gpu_load4_at(p, i);
}

GPU_INLINE struct gpu_u4
gpu_load4(const void *p, uint32_t &&i)
{
    return gpu_load4(p, i);
}

GPU_INLINE struct gpu_u2
gpu_load2(const void *p, uint32_t i)
{
    gpu_v2u v = *(
            const gpu_v2u GPU_GLOBAL_SPACE *)((const char GPU_GLOBAL_SPACE *)p +
                                              i);
    struct gpu_u2 r = {{v.x, v.y}};
    return r;
}

GPU_INLINE uint32_t
gpu_load1(const void *p, uint32_t i)
{
    return *(const uint32_t GPU_GLOBAL_SPACE *)((const char GPU_GLOBAL_SPACE *)
                                                        p +
                                                i);
}

GPU_INLINE uint32_t
gpu_load_u16(const void *p, uint32_t i)
{
    return *(const uint16_t GPU_GLOBAL_SPACE *)((const char GPU_GLOBAL_SPACE *)
                                                        p +
                                                i);
}

GPU_INLINE uint32_t
gpu_load_u8(const void *p, uint32_t i)
{
    return *(
            const uint8_t GPU_GLOBAL_SPACE *)((const char GPU_GLOBAL_SPACE *)p +
                                              i);
}

/* By the vector unit, too, even if the address is the same in all lanes: the
 * scalar registers are few. */
GPU_INLINE struct gpu_u4
gpu_read4(const void *p, uint32_t i)
{
    return gpu_load4(p, i);
}

GPU_INLINE struct gpu_u4
gpu_uniform_load4(const void *p, uint32_t i)
{
    gpu_v4u v = *(const gpu_v4u GPU_CONSTANT_SPACE
                    *)((const char GPU_CONSTANT_SPACE *)p + i);
    struct gpu_u4 r = {{v.x, v.y, v.z, v.w}};
    return r;
}

GPU_INLINE void
gpu_write4(void *p, struct gpu_u4 v)
{
    gpu_v4u w = {v.v[0], v.v[1], v.v[2], v.v[3]};
    *(gpu_v4u GPU_GLOBAL_SPACE *)p = w;
}

GPU_INLINE void
gpu_write2(void *p, struct gpu_u2 v)
{
    gpu_v2u w = {v.v[0], v.v[1]};
    *(gpu_v2u GPU_GLOBAL_SPACE *)p = w;
}

/* -------------------------------------------------------------- arithmetic */

GPU_INLINE float
gpu_fma(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

GPU_INLINE float
gpu_quotient(float a, float b)
{
    float r = __builtin_amdgcn_rcpf(b);
    float q = a * r;
    return gpu_fma(gpu_fma(-b, q, a), r, q);
}

GPU_INLINE float
gpu_round(float x)
{
    return __builtin_rintf(x);
}

/** x 2^n */
GPU_INLINE float
gpu_scale(float x, int n)
{
    return __builtin_amdgcn_ldexpf(x, n);
}

/* The instruction's result has half of the bits. What it is off by, x - s^2, is
 * exact in a fused multiplication if x is not too small. */
GPU_INLINE double
gpu_sqrt(double x)
{
    bool is_small = x < 0x1p-512;
    double y = is_small ? x * 0x1p+512 : x;
    double s = __builtin_amdgcn_sqrt(y);
    double half = 0.5 * __builtin_amdgcn_rcp(s);
    GPU_UNROLL
    for (int i = 0; i < 3; i++) {
        s = __builtin_fma(__builtin_fma(-s, s, y), half, s);
    }
    s = is_small ? s * 0x1p-256 : s;
    return x > 0.0 ? s : x;
}

GPU_INLINE float
gpu_f16_to_float(uint32_t bits)
{
    return (float)__builtin_bit_cast(_Float16, (uint16_t)bits);
}

GPU_INLINE uint32_t
gpu_float_to_f16(float x)
{
    return __builtin_bit_cast(uint16_t, (_Float16)x);
}

GPU_INLINE float
gpu_dot_bf16(uint32_t a, uint32_t b, float c)
{
#if defined(GPU_GFX11) || defined(GPU_GFX12)
    return __builtin_amdgcn_fdot2_f32_bf16(__builtin_bit_cast(gpu_s2, a),
            __builtin_bit_cast(gpu_s2, b), c, false);
#else
    c = gpu_fma(gpu_from_bits(a << 16), gpu_from_bits(b << 16), c);
    return gpu_fma(
            gpu_from_bits(a & 0xFFFF0000u), gpu_from_bits(b & 0xFFFF0000u), c);
#endif
}

GPU_INLINE float
gpu_dot_f16(uint32_t a, uint32_t b, float c)
{
#if defined(__gfx1010__)
    /* Has no dot product. */
    c = gpu_fma(gpu_f16_to_float(a), gpu_f16_to_float(b), c);
    return gpu_fma(gpu_f16_to_float(a >> 16), gpu_f16_to_float(b >> 16), c);
#else
#if defined(GPU_GFX11) && __clang_major__ < 21
    /* A constant goes to a register: clang 17 takes a pair of equal numbers for
     * one that needs no room in the instruction, and puts another beside it. */
    if (__builtin_constant_p(a)) {
        __asm__("" : "+s"(a));
    }
#endif
    return __builtin_amdgcn_fdot2(__builtin_bit_cast(gpu_h2, a),
            __builtin_bit_cast(gpu_h2, b), c, false);
#endif
}

#ifdef GPU_GFX11
/* v_dual_dot2acc_f32_f16, which gfx12 does not have: the sums in an even and an
 * odd register, the codes in registers whose numbers differ modulo 4. */
#define GPU_DOTS_PAIR 1

GPU_INLINE void
gpu_side_by_side(float *a, float *b)
{
    gpu_v2f v = {*a, *b};
    __asm__("" : "+v"(v));
    *a = v.x;
    *b = v.y;
}

GPU_INLINE void
gpu_side_by_side(uint32_t *a, uint32_t *b)
{
    gpu_v2u v = {*a, *b};
    __asm__("" : "+v"(v));
    *a = v.x;
    *b = v.y;
}

/* A shift of all 32 bits would be the other half of an instruction with one dot
 * product, and leave its partner alone. */
GPU_INLINE uint32_t
gpu_shift_halves(uint32_t x, int n)
{
    gpu_us2 v = __builtin_bit_cast(gpu_us2, x) << (unsigned short)n;
    return __builtin_bit_cast(uint32_t, v);
}
#endif

#define GPU_HAS_HOLD 1

template <class T>
GPU_INLINE void
gpu_hold(T *x)
{
    __asm__ volatile("" : "+v"(*x));
}

GPU_INLINE uint32_t
gpu_and_or(uint32_t a, uint32_t m, uint32_t o)
{
    return (a & m) | o;
}

GPU_INLINE uint32_t
gpu_perm(uint32_t hi, uint32_t lo, uint32_t s)
{
    return __builtin_amdgcn_perm(hi, lo, s);
}

GPU_INLINE uint32_t
gpu_fma_f16(uint32_t a, uint32_t b, uint32_t c)
{
    gpu_h2 r = __builtin_bit_cast(gpu_h2, a) * __builtin_bit_cast(gpu_h2, b) +
               __builtin_bit_cast(gpu_h2, c);
    return __builtin_bit_cast(uint32_t, r);
}

GPU_INLINE void
gpu_put4(uint32_t *p, struct gpu_u4 v)
{
    gpu_v4u w = {v.v[0], v.v[1], v.v[2], v.v[3]};
    *(gpu_v4u *)p = w;
}

/* ---------------------------------------------------------------- matrices */

#if defined(GPU_GFX11) || defined(GPU_GFX12)
#define GPU_HAS_MATRICES 1
#endif

enum {
    GPU_ROW_PAD = 4,
    GPU_STAGE = 2,
    GPU_ACC_ROWS = 8,
    GPU_ACC_COLUMNS = 1,
    GPU_K_STEPS = 2,
    GPU_N_STEPS = 2,
#ifdef GPU_GFX11
    /* Lanes L and L + 16 bring the same. */
    GPU_STEP_WORDS = 2
#else
    GPU_STEP_WORDS = 1
#endif
};

/** Pairs of numbers, 4 for each word. */
struct gpu_a {
    uint32_t v[4 * GPU_STEP_WORDS];
};

GPU_INLINE unsigned
gpu_acc_row(unsigned lane, unsigned i)
{
#ifdef GPU_GFX11
    return 2 * (i & 7) + (lane >> 4);
#else
    return 8 * (lane >> 4) + (i & 7);
#endif
}

GPU_INLINE unsigned
gpu_acc_row_index(unsigned i)
{
    return i & 7;
}

GPU_INLINE unsigned
gpu_acc_column_index(unsigned i)
{
    (void)i;
    return 0;
}

GPU_INLINE unsigned
gpu_acc_column(unsigned lane, unsigned i)
{
    return (lane & 15) + 16 * (i >> 3);
}

GPU_INLINE unsigned
gpu_word_row(unsigned lane, unsigned s, unsigned i)
{
#ifdef GPU_GFX11
    (void)lane;
    return 2 * s + i;
#else
    (void)i;
    return 2 * s + (lane >> 4);
#endif
}

GPU_INLINE unsigned
gpu_word_column(unsigned lane, unsigned n, unsigned i)
{
    (void)i;
    return (lane & 15) + 16 * n;
}

GPU_INLINE struct gpu_a
gpu_load_a(const uint32_t *rows, unsigned stride, unsigned lane, unsigned s)
{
    struct gpu_a a;
    const uint32_t *row = rows + (lane & 15) * stride;
    GPU_UNROLL
    for (unsigned i = 0; i < GPU_STEP_WORDS; i++) {
        gpu_v4u v = *(const gpu_v4u *)(row + 4 * gpu_word_row(lane, s, i));
        a.v[4 * i] = v.x;
        a.v[4 * i + 1] = v.y;
        a.v[4 * i + 2] = v.z;
        a.v[4 * i + 3] = v.w;
    }
    return a;
}

#ifdef GPU_HAS_MATRICES
GPU_INLINE gpu_v8f
gpu_acc_part(const struct gpu_acc *acc, unsigned n)
{
    gpu_v8f c;
    GPU_UNROLL
    for (unsigned i = 0; i < 8; i++) {
        c[i] = acc->v[8 * n + i];
    }
    return c;
}

GPU_INLINE void
gpu_set_acc_part(struct gpu_acc *acc, unsigned n, gpu_v8f c)
{
    GPU_UNROLL
    for (unsigned i = 0; i < 8; i++) {
        acc->v[8 * n + i] = c[i];
    }
}

#ifdef GPU_GFX11
typedef gpu_v16s gpu_bf16_part;
typedef gpu_v16h gpu_f16_part;
#define GPU_WMMA_BF16 __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32
#define GPU_WMMA_F16 __builtin_amdgcn_wmma_f32_16x16x16_f16_w32
#else
typedef gpu_v8s gpu_bf16_part;
typedef gpu_v8h gpu_f16_part;
#define GPU_WMMA_BF16 __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12
#define GPU_WMMA_F16 __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12
#endif

struct gpu_b {
    uint32_t v[4 * GPU_STEP_WORDS];
};

GPU_INLINE void
gpu_mma_bf16(struct gpu_acc *acc, const struct gpu_a *a,
        const uint32_t b[4 * GPU_STEP_WORDS], unsigned n)
{
    struct gpu_b words;
    GPU_UNROLL
    for (unsigned i = 0; i < 4 * GPU_STEP_WORDS; i++) {
        words.v[i] = b[i];
    }
    gpu_set_acc_part(acc, n,
            GPU_WMMA_BF16(__builtin_bit_cast(gpu_bf16_part, *a),
                    __builtin_bit_cast(gpu_bf16_part, words),
                    gpu_acc_part(acc, n)));
}

GPU_INLINE void
gpu_mma_f16(struct gpu_acc *acc, const struct gpu_a *a,
        const uint32_t b[4 * GPU_STEP_WORDS], unsigned n)
{
    struct gpu_b words;
    GPU_UNROLL
    for (unsigned i = 0; i < 4 * GPU_STEP_WORDS; i++) {
        words.v[i] = b[i];
    }
    gpu_set_acc_part(acc, n,
            GPU_WMMA_F16(__builtin_bit_cast(gpu_f16_part, *a),
                    __builtin_bit_cast(gpu_f16_part, words),
                    gpu_acc_part(acc, n)));
}
#endif

#endif
