/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Kernels that test the shim itself: some that keep the rules of arch.h, and
 * some that break one each.
 */
#include "../../hip/kernels/arch.h"
#include "shim_args.h"

#define SHIM_KERNEL(name) GPU_KERNEL(SHIM_TEST_THREADS, name, shim_test_args, p)

/* ----------------------------------------------------------- shared memory */

/* out[block] = the sum of the block's 128 numbers. */
#define SUM_KERNEL(name, BARRIER)                                              \
    SHIM_KERNEL(name)                                                          \
    {                                                                          \
        GPU_SHARED(uint32_t, part, SHIM_TEST_THREADS);                         \
        unsigned t = gpu_thread();                                             \
        part[t] = p.in[gpu_block_x() * SHIM_TEST_THREADS + t];                 \
        gpu_barrier();                                                         \
        for (unsigned n = SHIM_TEST_THREADS / 2; n > 0; n /= 2) {              \
            if (t < n) {                                                       \
                part[t] += part[t + n];                                        \
            }                                                                  \
            BARRIER;                                                           \
        }                                                                      \
        if (t == 0) {                                                          \
            p.out[gpu_block_x()] = part[0];                                    \
        }                                                                      \
    }

SUM_KERNEL(shim_sum, gpu_barrier())
SUM_KERNEL(shim_sum_no_barrier, )

/* Each thread writes before another reads; without a barrier. */
SHIM_KERNEL(shim_turn_no_barrier)
{
    GPU_SHARED(uint32_t, part, SHIM_TEST_THREADS);
    unsigned t = gpu_thread();
    part[t] = p.in[t];
    p.out[t] = part[t ^ p.n];
}

SHIM_KERNEL(shim_count)
{
    GPU_SHARED(uint32_t, counter, 1);
    if (gpu_thread() == 0) {
        counter[0] = p.n;
    }
    gpu_barrier();
    uint32_t place = gpu_count(counter, 1);
    p.out[place] = gpu_thread();
}

/* What a block finds in its shared memory. */
SHIM_KERNEL(shim_fresh)
{
    GPU_SHARED(uint32_t, words, SHIM_TEST_THREADS);
    p.out[gpu_block_x() * SHIM_TEST_THREADS + gpu_thread()] =
            words[gpu_thread()];
    words[gpu_thread()] = 0;
}

/* Writes `n` bytes from the begin of an array of 6. */
SHIM_KERNEL(shim_beside)
{
    GPU_SHARED(uint8_t, bytes, 6);
    volatile uint8_t *begin = bytes;
    if (gpu_thread() == 7) {
        begin[(int)p.n] = 1;
    }
}

SHIM_KERNEL(shim_too_much_shared)
{
    GPU_SHARED(uint32_t, some, 8 * 1024);
    GPU_SHARED(uint32_t, more, 8 * 1024 + 1);
    some[0] = more[0] = p.n;
}

/* ------------------------------------------------------------------- waves */

/* out[8 t ..]: what the wave operations give thread t. */
SHIM_KERNEL(shim_wave)
{
    unsigned t = gpu_thread();
    uint32_t *out = p.out + 8 * t;
    float x = gpu_from_bits(p.in[t]);
    out[0] = gpu_bits(gpu_shuffle_xor<1>(x));
    out[1] = gpu_bits(gpu_shuffle_xor<16>(x));
    out[2] = gpu_bits(gpu_shuffle_xor<31>(x));
    out[3] = gpu_broadcast(p.in[t], p.n % 32);
    out[4] = gpu_ballot(p.in[t] % 3 == 0);
    out[5] = (uint32_t)gpu_uniform((int)(t / 32));
    out[6] = gpu_uniform_load4(p.in, 0).v[3];
    out[7] = gpu_load2(p.in, 8).v[0] ^ gpu_load1(p.in, 4);
}

/* Only wave 1 has a wave operation: they concern one wave. */
SHIM_KERNEL(shim_one_wave)
{
    uint32_t ballot = 0;
    if (gpu_thread() / 32 == 1) {
        ballot = gpu_ballot(gpu_thread() % 32 < p.n);
    }
    gpu_barrier();
    p.out[gpu_thread()] = ballot;
}

/* --------------------------------------------- kernels that break the rules */

SHIM_KERNEL(shim_bad_return)
{
    if (gpu_thread() == 70) {
        return;
    }
    gpu_barrier();
    p.out[gpu_thread()] = 1;
}

SHIM_KERNEL(shim_bad_branches)
{
    if (gpu_thread() < 64) {
        gpu_barrier();
    } else {
        gpu_barrier();
    }
    p.out[gpu_thread()] = 1;
}

SHIM_KERNEL(shim_bad_half_wave)
{
    if (gpu_thread() % 32 < 16) {
        p.out[gpu_thread()] = gpu_ballot(true);
    }
    gpu_barrier();
}

SHIM_KERNEL(shim_bad_lane_returns)
{
    if (gpu_thread() != 33) {
        p.out[gpu_thread()] = gpu_ballot(true);
    }
}

SHIM_KERNEL(shim_bad_operations)
{
    if (gpu_thread() % 2 == 0) {
        p.out[gpu_thread()] = gpu_ballot(true);
    } else {
        p.out[gpu_thread()] = gpu_broadcast(1, 0);
    }
}

SHIM_KERNEL(shim_bad_uniform)
{
    p.out[gpu_thread()] = (uint32_t)gpu_uniform(gpu_thread() == 95);
}

SHIM_KERNEL(shim_bad_uniform_load)
{
    p.out[gpu_thread()] = gpu_uniform_load4(p.in, 16 * (gpu_thread() % 2)).v[0];
}

SHIM_KERNEL(shim_bad_broadcast)
{
    p.out[gpu_thread()] = gpu_broadcast(1, gpu_thread() % 2);
}

SHIM_KERNEL(shim_bad_alignment)
{
    p.out[gpu_thread()] = gpu_load4(p.in, 8).v[0];
}

SHIM_KERNEL(shim_bad_write)
{
    struct gpu_u2 v = {{1, 2}};
    gpu_write2(p.out + 1, v);
}

SHIM_KERNEL(shim_bad_load_of_shared)
{
    GPU_SHARED(uint32_t, words, 4);
    words[0] = p.n;
    p.out[gpu_thread()] = gpu_read4(words, 0).v[0];
}

SHIM_KERNEL(shim_bad_count)
{
    gpu_count(p.out, 1);
}

/* -------------------------------------------------------------- arithmetic */

/* n triples of pairs of fp16. */
SHIM_KERNEL(shim_fma_f16)
{
    for (uint32_t i = gpu_thread(); i < p.n; i += SHIM_TEST_THREADS) {
        const uint32_t *in = p.in + 3 * i;
        p.out[i] = gpu_fma_f16(in[0], in[1], in[2]);
    }
}

/* out: dot products of bf16 and fp16, perm, and_or of each in[4]. */
SHIM_KERNEL(shim_words)
{
    const uint32_t *in = p.in + 4 * gpu_thread();
    uint32_t *out = p.out + 4 * gpu_thread();
    out[0] = gpu_bits(gpu_dot_bf16(in[0], in[1], gpu_from_bits(in[2])));
    out[1] = gpu_bits(gpu_dot_f16(in[0], in[1], gpu_from_bits(in[2])));
    out[2] = gpu_perm(in[0], in[1], in[3]);
    out[3] = gpu_and_or(in[0], in[1], in[2]);
}

/* ---------------------------------------------------------------- matrices */

/* The 8 numbers of a word: a column of b, 8 k. */
GPU_INLINE void
shim_load_word(
        uint32_t pairs[4], const uint16_t *b, unsigned row, unsigned column)
{
    for (unsigned i = 0; i < 4; i++) {
        const uint16_t *first = b + (8 * row + 2 * i) * 32 + column;
        pairs[i] = first[0] | (uint32_t)first[32] << 16;
    }
}

/* A stride of rows that is not 16, as kernels have it. */
enum { SHIM_STRIDE = 20 };

GPU_KERNEL(32, shim_mma, shim_mma_args, p)
{
    GPU_SHARED(uint32_t, rows, 16 * SHIM_STRIDE);
    unsigned lane = gpu_thread();
    for (unsigned i = lane; i < 16 * 16; i += 32) {
        rows[i / 16 * SHIM_STRIDE + i % 16] =
                p.a[2 * i] | (uint32_t)p.a[2 * i + 1] << 16;
    }
    gpu_barrier();
    struct gpu_acc acc;
    for (unsigned i = 0; i < 16; i++) {
        acc.v[i] = p.c[gpu_acc_row(lane, i) * 32 + gpu_acc_column(lane, i)];
    }
    for (unsigned s = 0; s < GPU_K_STEPS; s++) {
#ifdef GPU_HAS_ASYNC
        const uint32_t at =
                gpu_part_line(lane) * SHIM_STRIDE + gpu_part_word(lane) * 4;
        struct gpu_a a = gpu_get_a(gpu_place_of(rows + at), SHIM_STRIDE);
#else
        struct gpu_a a = gpu_load_a(rows, SHIM_STRIDE, lane, s);
#endif
        for (unsigned n = 0; n < GPU_N_STEPS; n++) {
            uint32_t b[4 * GPU_STEP_WORDS];
            for (unsigned i = 0; i < GPU_STEP_WORDS; i++) {
                shim_load_word(b + 4 * i, p.b, gpu_word_row(lane, s, i),
                        gpu_word_column(lane, n, i));
            }
            b[0] ^= p.wrong_lane != 0 && lane == p.wrong_lane;
            if (p.f16 != 0) {
                gpu_mma_f16(&acc, &a, b, n);
            } else {
                gpu_mma_bf16(&acc, &a, b, n);
            }
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        p.c[gpu_acc_row(lane, i) * 32 + gpu_acc_column(lane, i)] = acc.v[i];
    }
}

/* out[lane * 16 + i]: the row index of element i, as its place among the rows
 * of the lane; and whether the other promises of arch.h hold. */
SHIM_KERNEL(shim_layout)
{
    unsigned lane = gpu_thread() % 32;
    bool good = GPU_K_STEPS * GPU_N_STEPS * GPU_STEP_WORDS >= 4;
    for (unsigned i = 0; i < 16; i++) {
        unsigned smaller = 0;
        for (unsigned j = 0; j < 8; j++) {
            bool first = true;
            for (unsigned k = 0; k < j; k++) {
                first = first && gpu_acc_row(lane, k) != gpu_acc_row(lane, j);
            }
            smaller += first && gpu_acc_row(lane, j) < gpu_acc_row(lane, i);
        }
        good = good && gpu_acc_row_index(i) == smaller &&
               gpu_acc_row_index(i) < GPU_ACC_ROWS;
        /* Neighbours, the first of them a multiple of their number. */
        good = good &&
               gpu_acc_column_index(i) ==
                       gpu_acc_column(lane, i) % 16 % GPU_ACC_COLUMNS &&
               gpu_acc_column(lane, i) / GPU_ACC_COLUMNS ==
                       gpu_acc_column(lane, i / 8 * 8) / GPU_ACC_COLUMNS;
        good = good && (i < 8 || gpu_acc_column(lane, i) ==
                                         gpu_acc_column(lane, i - 8) + 16);
    }
#ifdef GPU_HAS_ASYNC
    for (unsigned n = 0; n < GPU_N_STEPS; n++) {
        unsigned column = gpu_word_column(lane, n, 0);
        good = good && column % 2 == 0 &&
               gpu_word_column(lane, n, 1) == column + 1 &&
               gpu_word_row(lane, 0, 0) == gpu_word_row(lane, 0, 1);
    }
#endif
    p.out[gpu_thread()] = good;
}

/* ------------------------------------------------------------------ copies */

#ifdef GPU_HAS_ASYNC
/* out: 16 bytes of each thread from those of another lane; of the last lane's
 * zeros. */
#define COPY_KERNEL(name, WAIT, BARRIER)                                       \
    SHIM_KERNEL(name)                                                          \
    {                                                                          \
        GPU_SHARED(uint32_t, pieces, SHIM_TEST_THREADS * 4);                   \
        unsigned t = gpu_thread();                                             \
        gpu_shared_place mine = gpu_place_of(pieces + 4 * t);                  \
        gpu_copy4_async(mine, p.in + 4 * t, t % 32 != 31);                     \
        gpu_copies_end();                                                      \
        gpu_copies_end();                                                      \
        WAIT;                                                                  \
        BARRIER;                                                               \
        struct gpu_u4 v = gpu_get4(gpu_place_of(pieces + 4 * (t ^ p.n)));      \
        for (unsigned i = 0; i < 4; i++) {                                     \
            p.out[4 * t + i] = v.v[i];                                         \
        }                                                                      \
    }

COPY_KERNEL(shim_copy, gpu_copies_wait<1>(), gpu_wave_barrier())
COPY_KERNEL(shim_copy_no_wait, gpu_copies_wait<2>(), gpu_wave_barrier())
COPY_KERNEL(shim_copy_no_barrier, gpu_copies_wait<1>(), )
#endif
