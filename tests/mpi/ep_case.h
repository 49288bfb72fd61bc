/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A layer that every rank has whole, to compare with, and its part of it; and
 * this rank's tokens. What goes wrong ends the job, on all ranks.
 */
#ifndef EP_CASE_H
#define EP_CASE_H

#include <w4moe/mpi.h>

#include "oracle.h"
#include "weight_form.h"

/** Ends the job with a text unless the condition holds. */
#define EP_NEED(condition, ...)                                                \
    do {                                                                       \
        if (!(condition)) {                                                    \
            ep_end(__FILE__, __LINE__, __VA_ARGS__);                           \
        }                                                                      \
    } while (0)

extern void ep_end(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4), noreturn));

/** Fails unless the status is OK; the context's text is shown. */
extern void ep_ok(const w4moe_ctx *ctx, w4moe_status status);

enum ep_owners {
    EP_BLOCKS,
    /** Rank e % R. */
    EP_ROUND_ROBIN,
    EP_RANDOM,
    /** All on the last rank, the others have none. */
    EP_LAST,
    /** None on rank 0, if there is another. */
    EP_NOT_FIRST,
    EP_OWNERS
};

enum ep_tokens {
    EP_SAME_TOKENS,
    EP_ANY_TOKENS,
    /** Only the last rank has some. */
    EP_LAST_TOKENS,
    EP_NO_TOKENS,
    EP_TOKENS
};

enum ep_routing {
    EP_ANY_EXPERTS,
    EP_ONE_EXPERT,
    /** The same expert more than once. */
    EP_TWICE,
    EP_FROM_LOGITS,
    EP_FROM_HIDDEN,
    EP_ROUTINGS
};

struct ep_case {
    uint64_t seed;
    size_t n_experts;
    size_t hidden;
    size_t inter;
    size_t n_shared;
    enum weight_form form;
    w4moe_dtype dtype;
    w4moe_dtype out_dtype;
    enum ep_owners owners;
    enum ep_tokens tokens;
    enum ep_routing routing;
    size_t most_tokens;
    size_t top_k;
    unsigned flags;
    size_t chunk_tokens;
    int in_place;
};

/** What a case is on this rank. */
struct ep_problem {
    const struct ep_case *what;
    const w4moe_ctx *ctx;
    int rank;
    int n_ranks;
    struct oracle_matrix plain[4];
    w4moe_matrix packed[4];
    void *router_weight;
    int32_t *owners;
    /** Of this rank: arrays of experts that stand one after the other. */
    w4moe_matrix part[2];
    void *part_memory;
    w4moe_layer *whole;
    w4moe_layer *local;
    /** The call; out is a buffer of out_size bytes that is not set. */
    w4moe_forward_args args;
    size_t out_size;
    void *x;
    void *before;
    int32_t *ids;
    float *weights;
    float *logits;
};

extern void ep_open(struct ep_problem *p, const w4moe_ctx *ctx, MPI_Comm comm,
        const struct ep_case *what);
extern void ep_close(struct ep_problem *p);

/** What the whole layer makes of the call; for free(). */
extern void *ep_expected(const struct ep_problem *p);

/** What the ranks make of it together, called `times` times. */
extern void *ep_run(const struct ep_problem *p, const w4moe_mpi *mpi,
        w4moe_mpi_times *times);

/** Fails unless the results of a call are as those expected but for another
 * order of fp32 sums: within a step of the output's type, and a few of fp32 by
 * the size of what is in the row. */
extern void ep_expect_near(
        const struct ep_problem *p, const void *out, const void *expected);

#endif
