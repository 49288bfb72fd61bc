/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Loops of one instruction, to see how many a core does: multiply-adds on
 * registers, and loads. For measuring only: nothing here computes anything of
 * use.
 */
#ifndef W4_TOOLS_PEAK_H
#define W4_TOOLS_PEAK_H

#include <stddef.h>
#include <stdint.h>

struct peak_probe {
    /** The instruction, for example "vdpbf16ps". */
    const char *name;
    /** Floating-point operations of a round; a multiply-add is two. */
    double flops_per_round;
    /** Does n rounds. The result depends on all of them. */
    float (*run)(uint64_t n_rounds, float seed);
};

/** A way of reading memory. */
struct peak_reader {
    /** The loads, for example "64-byte loads". */
    const char *name;
    /** Sum of the 64-bit words; n_bytes is a multiple of 512, p aligned to
     * 64. */
    uint64_t (*sum)(const void *p, size_t n_bytes);
};

/** Plain C; on every machine. */
extern const struct peak_probe *peak_plain(void);
extern const struct peak_reader *peak_plain_reader(void);

/** Probe i, or reader i, of those that this processor has beyond plain C; NULL
 * after the last. */
extern const struct peak_probe *peak_x86(unsigned i);
extern const struct peak_reader *peak_x86_reader(unsigned i);

#endif
