/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What a call of w4moe_mpi_forward() takes, by arithmetic: from how long a rank
 * computes and copies, and from the latency and bandwidth of its link.
 *
 * All ranks have the same number of tokens, each token has k different experts
 * chosen uniformly, and experts stand on ranks in blocks. Numbers are means:
 * no rank gets more than its block's share.
 *
 * For arithmetic only; what goes in is measured elsewhere (plan_measure.h).
 */
#ifndef W4_TOOLS_EP_MODEL_H
#define W4_TOOLS_EP_MODEL_H

#include <stddef.h>

/** A call. */
struct ep_case {
    size_t n_ranks;
    size_t n_experts;
    size_t top_k;
    size_t hidden_size;
    /** Of each rank, at least 1. */
    size_t n_tokens;
    /** 0: what the library takes. */
    size_t chunk_tokens;
    /** Results of slots come back, not sums. */
    int exact;
};

/** What a chunk is, for the rank that has most to do: one with the largest
 * block of experts, or, of what it sends, one with the smallest. */
struct ep_part {
    /** Of each rank. */
    size_t tokens;
    /** To be computed here: rows, and slots of theirs. */
    double rows;
    double slots;
    /** Rows that this rank's tokens are sent as, to itself too, and results
     * that come back for them. */
    double rows_out;
    double results_back;
    /** Of both kinds, what a rank has from itself. */
    double own_rows;
    double own_results;
    /** Through the link, in the direction that has more: rows, results. */
    double link_rows;
    double link_results;
    /** To as many ranks. */
    double messages;
};

struct ep_plan {
    /** Experts of the largest block. */
    size_t block;
    size_t chunk_tokens;
    size_t n_chunks;
    /** All chunks but the last, and the last. */
    struct ep_part full;
    struct ep_part last;
};

/** Cuts a call into chunks. */
extern void ep_plan_make(struct ep_plan *plan, const struct ep_case *what);

/** The chance that a token of k experts has one in a block of so many. */
extern double ep_share(size_t n_experts, size_t top_k, size_t block);

/** A rank's link to all others, both directions at once. */
struct ep_link {
    /** Seconds until a message is there; and until a second message, to another
     * rank, follows the first. */
    double latency;
    double gap;
    /** Bytes per second. INFINITY is allowed. */
    double bandwidth;
};

/** Seconds of a chunk: of its experts; of copying rows to where they are sent
 * from; of adding up. */
struct ep_costs {
    double compute;
    double pack;
    double add;
};

/** Seconds of a call. */
struct ep_times {
    double total;
    /** Before anything moves, with telling each other what will. */
    double prepare;
    double compute;
    double pack;
    double add;
    /** Waiting for rows, and for results. */
    double dispatch_wait;
    double combine_wait;
};

/** Predicts a call. In: plan, of that case; full and last, of its chunks;
 * prepare, what a rank does of that by itself. */
extern void ep_predict(struct ep_times *times, const struct ep_case *what,
        const struct ep_plan *plan, const struct ep_link *link,
        const struct ep_costs *full, const struct ep_costs *last,
        double prepare);

#endif
