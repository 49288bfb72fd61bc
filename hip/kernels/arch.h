/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Everything of the kernels that depends on the processor. One of the headers
 * at the end offers these names; waves have 32 lanes everywhere.
 *
 *   GPU_KERNEL(threads, name, type, p)
 *       head of a kernel for workgroups of `threads`; its one argument is p, a
 *       struct of that type
 *   GPU_INLINE               of functions that kernels call
 *   GPU_SHARED(type, name, n)
 *       an array of n elements that a workgroup shares, aligned to 16 bytes;
 *       in the body of a kernel
 *   GPU_UNROLL               before a loop to be unrolled
 *
 *   gpu_thread() gpu_block_x() gpu_block_y()      unsigned
 *   gpu_barrier()            of all threads of the workgroup; what they wrote
 *                            to shared memory before is seen after it
 *   gpu_uniform(x)           an int that is the same in all lanes of the wave
 *   gpu_keep_order()         what stands before is not to be moved after, nor
 *                            the other way round, by the compiler
 *
 *   gpu_bits(x) gpu_from_bits(u)   a float's bits
 *   gpu_shuffle_xor<mask>(x) the float of the lane whose number differs in the
 *                            bits of mask, 1 .. 31
 *   gpu_broadcast(x, lane)   the u32 of a lane, the same number in all lanes
 *   gpu_ballot(condition)    u32, a bit for each lane
 *       in these all lanes of the wave take part
 *   gpu_count(p, n)          adds n to a shared u32; returns what was there
 *
 *   struct gpu_u4 {uint32_t v[4]}, struct gpu_u2
 *   gpu_load4(p, i) gpu_load2(p, i) gpu_load1(p, i)
 *   gpu_load_u16(p, i) gpu_load_u8(p, i)
 *                            16, 8, 4, 2 or 1 bytes of device memory, i bytes
 *                            from p, aligned to as many; the first three are
 *                            for what is read once
 *   gpu_read4(p, i)          the same of what other waves read, too
 *   gpu_uniform_load4(p, i)  the same of an address that is the same in all
 *                            lanes and that the kernel does not write
 *
 *   gpu_dot_bf16(a, b, c)    c + a.lo b.lo + a.hi b.hi, pairs of bf16 in u32
 *   gpu_dot_f16(a, b, c)     the same of fp16
 *   gpu_and_or(a, m, o)      (a & m) | o
 *   gpu_perm(hi, lo, s)      byte j is byte (s >> 8 j & 7) of hi:lo
 *   gpu_fma_f16(a, b, c)     a b + c, pairs of fp16 in u32; a b is exact
 *   gpu_f16_to_float(bits)   of the low 16 bits
 *   gpu_float_to_f16(x)      u32, rounded to nearest even
 *   GPU_HAS_FMA_BF16, gpu_fma_bf16(a, b, c)   if defined: of pairs of bf16
 *   gpu_quotient(a, b)       a / b of a normal b, within 2 units in the last
 *                            place
 *   gpu_fma(a, b, c) gpu_round(x) gpu_scale(x, n)
 *                            float: a b + c rounded once, the nearest whole
 *                            number (ties to even), x 2^n
 *
 * If they are defined:
 *   GPU_HAS_ARGUMENTS, gpu_arguments(p)
 *       p, the kernel's argument, to be read now: the compiler does not keep
 *       what it read before
 *   GPU_HAS_HOLD, gpu_hold(&x)
 *       what is made of x is not made before other x were held
 *   GPU_DOTS_PAIR            two gpu_dot_f16 can be an instruction
 *   gpu_side_by_side(&a, &b) brings both to neighbouring registers; then
 *   gpu_shift_halves(x, n)   16-bit halves of a u32, each shifted left by n
 *
 *   gpu_put4(p, v)           16 bytes to shared memory, aligned to as many
 *
 * Matrices: acc += A B for 16 rows, 32 columns and 32 k.
 *
 *   struct gpu_acc {float v[16]}
 *   gpu_acc_row(lane, i) gpu_acc_column(lane, i)
 *       of element i: the elements 8 .. 15 are 16 columns beyond 0 .. 7
 *   GPU_ACC_ROWS, gpu_acc_row_index(i)
 *       different rows that a lane has, and which of them, in ascending order,
 *       element i is in
 *   GPU_ACC_COLUMNS, gpu_acc_column_index(i)
 *       the same of the columns of each half, which are neighbours
 *   GPU_K_STEPS GPU_N_STEPS  a product is so many steps
 *   struct gpu_a, gpu_load_a(rows, stride, lane, s)
 *       what a lane brings of A to the steps s = 0 .. GPU_K_STEPS - 1; A is in
 *       shared memory, 16 rows that begin at multiples of 16 bytes, `stride`
 *       u32 apart, 16 u32 (32 elements) each
 *   GPU_STEP_WORDS           words of 8 codes that a lane brings to a step
 *   gpu_word_row(lane, s, i) gpu_word_column(lane, n, i)
 *       word i of step (s, n) is row 0 .. 3 (8 k each) and column 0 .. 31 of B
 *   gpu_mma_bf16(acc, a, b, n) gpu_mma_f16(acc, a, b, n)
 *       step n = 0 .. GPU_N_STEPS - 1; b[4 * GPU_STEP_WORDS]: pairs of numbers
 *       in the order of k, of one word after the other
 *   GPU_WORD_PAIRS           1 if the words 0 and 1 of a step are of a row, and
 *                            of neighbouring columns of which the first is even
 *   GPU_ROW_PAD              u32 between the rows of A in shared memory, so
 *                            that what lanes read together is in different
 *                            banks
 *   GPU_STAGE GPU_WORDS_AHEAD   how many chunks of 32 k to bring to shared
 *                            memory at a time, and on how many the words are
 *                            to be on their way; the second divides the first
 */
#ifndef W4_HIP_ARCH_H
#define W4_HIP_ARCH_H

#include <stdint.h>

struct gpu_u2 {
    uint32_t v[2];
};

struct gpu_u4 {
    uint32_t v[4];
};

struct gpu_acc {
    float v[16];
};

#if defined(__AMDGCN__)
#include "arch_amd.h"
#elif defined(__CUDACC__)
#include "arch_nvidia.h"
#else
#include <arch_host.h>
#endif

#endif
