/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* killed [RANK]: calls without end, during which rank RANK (1) is killed; for
 * the script that looks how the job ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "ep_case.h"

int
main(int argc, char **argv)
{
    static const struct ep_case what = {
            .seed = 0x7A00,
            .n_experts = 6,
            .hidden = 64,
            .inter = 40,
            .dtype = W4MOE_BF16,
            .most_tokens = 33,
            .top_k = 3,
            .chunk_tokens = 4,
    };
    struct ep_problem p;
    w4moe_ctx *ctx = NULL;
    w4moe_mpi *mpi = NULL;
    int level;
    int victim = argc > 1 ? atoi(argv[1]) : 1;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    EP_NEED(w4moe_ctx_create(&ctx, NULL) == W4MOE_OK, "no context");
    ep_open(&p, ctx, MPI_COMM_WORLD, &what);
    ep_ok(ctx, w4moe_mpi_create(ctx, &mpi, MPI_COMM_WORLD, NULL));
    for (int i = 0;; i++) {
        if (i == 3 && p.rank == victim) {
            raise(SIGKILL);
        }
        free(ep_run(&p, mpi, NULL));
    }
}
