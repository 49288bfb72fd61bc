/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * moe-run with the experts spread over the ranks of an MPI job: each rank
 * computes the layer for a block of the tokens, and rank 0 gets the whole
 * result.
 */
#ifndef W4_TOOLS_RUN_EP_H
#define W4_TOOLS_RUN_EP_H

#include "run_state.h"

/** Runs the job on all ranks; begins and ends MPI. Returns an exit code.
 *
 * moe-run, which has no MPI, turns into moe-run-ep and gives it argv, its
 * command line; if that cannot be, it says so. moe-run-ep is moe-run in all
 * else, too: without --ep, which is how only people start it, it runs the job
 * alone. */
extern int run_ep(const struct run_job *job, char **argv);

struct run_ep;

/** What run_job() has done by the ranks. Exit codes are the same on all
 * ranks. */
struct run_ep_calls {
    /** Whether this is the rank that prints and writes. */
    int (*is_first)(const struct run_ep *ep);

    /** The exit code of all ranks: the largest of theirs. */
    int (*agree)(const struct run_ep *ep, int code);

    /** Loads this rank's part of the layer of s->file, and sets s->info to
     * facts about the whole of it. `code` is what became of the steps
     * before. */
    int (*load)(struct run_ep *ep, struct run_state *s, int code);

    /** Makes what calls of the input's tokens need. */
    int (*prepare)(struct run_ep *ep, const struct run_state *s);

    /** The call: args are those of all tokens. What it gives is rank 0's. */
    int (*forward)(struct run_ep *ep, const struct run_state *s,
            const w4moe_forward_args *args);

    /** Rank 0 prints on standard error where the last call's time went. */
    void (*print)(const struct run_ep *ep);

    /** Releases what load and prepare made. */
    void (*release)(struct run_ep *ep);
};

#endif
