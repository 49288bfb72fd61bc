/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * moe-run with the experts spread over the ranks of an MPI job: each rank
 * computes the layer for a block of the tokens, and rank 0 gets the whole
 * result.
 *
 * Built without MPI, run_ep_begin() refuses, and the others are never called.
 */
#ifndef W4_TOOLS_RUN_EP_H
#define W4_TOOLS_RUN_EP_H

#include "run_state.h"

struct run_ep;

/** Starts MPI. Returns an exit code. */
extern int run_ep_begin(struct run_ep **ep_p);

/** Ends it; ep may be NULL. */
extern void run_ep_end(struct run_ep *ep);

/** Whether this is the rank that prints and writes. */
extern int run_ep_is_first(const struct run_ep *ep);

/** The exit code of all ranks: the largest of theirs. */
extern int run_ep_agree(const struct run_ep *ep, int code);

/** Loads this rank's part of the layer of s->file, and sets s->layer to it.
 * `code` is what became of the steps before. Returns the same exit code on
 * all ranks, as the others do. */
extern int run_ep_load(struct run_ep *ep, struct run_state *s, int code);

/** Makes what calls of the input's tokens need. */
extern int run_ep_prepare(struct run_ep *ep, const struct run_state *s);

/** The call: args are those of all tokens. What it gives is rank 0's. */
extern int run_ep_forward(struct run_ep *ep, const struct run_state *s,
        const w4moe_forward_args *args);

/** Rank 0 prints on standard error where the last call's time went. */
extern void run_ep_print(const struct run_ep *ep);

#endif
