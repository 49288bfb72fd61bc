/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the ranks' communicator does by itself.
 */
#ifndef W4_TOOLS_BENCH_EP_LINK_H
#define W4_TOOLS_BENCH_EP_LINK_H

#include "ep_ranks.h"
#include "plan/ep_model.h"

/** Measures latency by a message that goes to and fro between the first and the
 * last rank, gap and bandwidth by exchanges of all ranks with all. One rank
 * alone has a link without cost. The same on all ranks. Returns an exit code,
 * after printing why. Collective. */
extern int bench_ep_link_measure(
        struct ep_link *link, const struct ep_ranks *ranks);

#endif
