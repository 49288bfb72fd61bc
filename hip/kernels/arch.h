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
 *   GPU_ROLLED               before one that must not be
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
 *   gpu_write4(p, v) gpu_write2(p, v)
 *                            16 or 8 bytes to device memory, aligned to as many
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
 *   gpu_sqrt(x)              double, of x >= 0 that is not infinite: rounded to
 *                            nearest
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
 *   GPU_ROW_PAD              u32 between the rows of A in shared memory, so
 *                            that what lanes read together is in different
 *                            banks
 *   GPU_STAGE                how many chunks of 32 k to bring to shared memory
 *                            at a time
 *   GPU_UNROLL_STAGE         before the loop over them
 *
 * GPU_HAS_PARTS, if defined: products for 8 rows alone, of 16 columns and 32 k,
 * whose weights are the first operand.
 *
 *   struct gpu_part {float v[4]}
 *   gpu_part_line(lane)      0 .. 7: the lane brings the row of that number,
 *                            and of the columns that with twice it and the next
 *                            one
 *   gpu_part_word(lane)      of which of the 4 runs of 8 k
 *   gpu_part_row(lane, i)    row of element i of a part; its column is the
 *                            lane's first for i < 2, else its second
 *   gpu_part_bf16(part, b, x) gpu_part_f16(part, b, x)
 *                            part += product; b[8]: pairs of numbers of both
 *                            columns, x[4] of the row, in the order of k
 *
 * GPU_HAS_ASYNC, if defined: copies from device memory to shared memory that
 * take no register.
 *
 *   gpu_shared_place         type of a place in shared memory
 *   gpu_place_of(p)          that of a pointer
 *   gpu_place_at(place, i)   i u32 from there; modulo 2^32
 *   gpu_copy4_async(to, from, is_there)
 *                            16 bytes, both addresses aligned to as many; if
 *                            not is_there zeros, and nothing is read
 *   gpu_copies_end()         ends a batch of the thread's copies
 *   gpu_copies_wait<n>()     until no more than n of its batches are on their
 *                            way; others see what has come after a barrier
 *   gpu_wave_barrier()       gpu_barrier() for the lanes of a wave
 *   gpu_get4(place) gpu_get2(place)     16 and 8 bytes
 *   gpu_get_a(place, stride) instead of gpu_load_a(): from the lane's first 16
 *                            bytes, which are piece gpu_part_word(lane) of the
 *                            row gpu_part_line(lane)
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
