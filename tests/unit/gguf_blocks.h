/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Blocks of GGUF's types: random ones, and the weights that they are by the
 * definition of the type, one by one in float64. Shares nothing with
 * lib/format. What goes wrong here ends the test.
 */
#ifndef GGUF_BLOCKS_H
#define GGUF_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "test_random.h"

/** Types of weights, ggml's numbers. */
enum gguf_type {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    TYPE_Q4_0 = 2,
    TYPE_Q4_1 = 3,
    TYPE_Q5_0 = 6,
    TYPE_Q5_1 = 7,
    TYPE_Q8_0 = 8,
    TYPE_Q2_K = 10,
    TYPE_Q4_K = 12,
    TYPE_Q5_K = 13,
    TYPE_Q6_K = 14,
    TYPE_IQ4_NL = 20,
    TYPE_BF16 = 30,
    TYPE_MXFP4 = 39,
};

/** Bytes of n weights, which are whole blocks. */
extern size_t gguf_type_bytes(enum gguf_type type, size_t n);

/** Fills whole blocks with random bits, their scales with finite numbers of
 * either sign. */
extern void gguf_type_fill(enum gguf_type type, unsigned char *bytes,
        size_t n_bytes, struct test_random *random);

/** Weight i of a row of blocks: exact in float64. */
extern double gguf_type_weight(
        enum gguf_type type, const unsigned char *row, size_t i);

#endif
