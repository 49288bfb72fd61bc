/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers spread over ranks against the whole layer on each: every way to spread
 * experts, tokens and choices. To be started by mpiexec; see run.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ep_case.h"

static const unsigned flag_sets[] = {W4MOE_BATCH_INVARIANT,
        W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE, 0,
        W4MOE_BATCH_INVARIANT | W4MOE_ROUTER_WEIGHT_ON_INPUT,
        W4MOE_ACCUMULATE | W4MOE_NO_SHARED,
        W4MOE_BATCH_INVARIANT | W4MOE_HOST_IO};

static struct ep_case
make_case(unsigned i)
{
    struct ep_case what = {
            .seed = 0x7700 + i,
            .n_experts = 5 + i % 4,
            .hidden = 64,
            .inter = 40,
            .n_shared = i % 5 == 0   ? 2
                        : i % 5 == 3 ? 1
                                     : 0,
            .form = (enum weight_form)(i % N_WEIGHT_FORMS),
            .dtype = i % 2 != 0 ? W4MOE_F16 : W4MOE_BF16,
            .owners = (enum ep_owners)(i % EP_OWNERS),
            .tokens = (enum ep_tokens)(i / 2 % EP_TOKENS),
            .routing = (enum ep_routing)(i / 3 % EP_ROUTINGS),
            .most_tokens = 1 + i * 7 % 40,
            .top_k = 1 + i % 6,
            .flags = flag_sets[i % 6],
            .chunk_tokens = i % 3 == 0 ? 0 : 1 + i % 9,
    };
    what.out_dtype = i % 7 == 0 ? W4MOE_F32 : W4MOE_DTYPE_NONE;
    what.in_place = i % 11 == 1 && what.out_dtype == W4MOE_DTYPE_NONE &&
                    (what.flags & W4MOE_ACCUMULATE) == 0;
    return what;
}

/* All slots of all ranks were computed once. */
static void
expect_counts(const struct ep_problem *p, const w4moe_mpi_times *times)
{
    uint64_t sums[2] = {times->n_slots, p->args.n_tokens * p->what->top_k};
    MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    EP_NEED(sums[0] == sums[1], "%llu slots computed of %llu",
            (unsigned long long)sums[0], (unsigned long long)sums[1]);
    EP_NEED(times->total >= times->compute && times->n_rows <= times->n_slots,
            "times: total %g, compute %g, %llu rows", times->total,
            times->compute, (unsigned long long)times->n_rows);
}

static void
run_case(const w4moe_ctx *ctx, unsigned i, w4moe_mpi_progress progress)
{
    struct ep_case what = make_case(i);
    struct ep_problem p;
    w4moe_mpi *mpi = NULL;
    w4moe_mpi_options options = {
            .struct_size = sizeof(options),
            .chunk_tokens = what.chunk_tokens,
            .progress = progress,
    };
    w4moe_mpi_times times = {.struct_size = sizeof(times)};
    ep_open(&p, ctx, MPI_COMM_WORLD, &what);
    ep_ok(ctx, w4moe_mpi_create(ctx, &mpi, MPI_COMM_WORLD, &options));
    void *expected = ep_expected(&p);
    void *out = ep_run(&p, mpi, &times);
    void *again = ep_run(&p, mpi, NULL);
    EP_NEED(memcmp(out, again, p.out_size) == 0, "case %u: not the same twice",
            i);
    if ((what.flags & W4MOE_BATCH_INVARIANT) != 0) {
        EP_NEED(memcmp(out, expected, p.out_size) == 0,
                "case %u: not the bytes of one process", i);
    } else {
        ep_expect_near(&p, out, expected);
    }
    expect_counts(&p, &times);
    w4moe_mpi_destroy(mpi);
    free(expected);
    free(out);
    free(again);
    ep_close(&p);
}

int
main(int argc, char **argv)
{
    int level;
    int rank;
    int n_ranks;
    unsigned n_cases = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
    w4moe_ctx *ctx = NULL;
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = 2,
    };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    EP_NEED(w4moe_ctx_create(&ctx, &options) == W4MOE_OK, "no context");
    for (unsigned i = 0; i < n_cases; i++) {
        run_case(ctx, i,
                i % 3 == 0 || level < MPI_THREAD_SERIALIZED
                        ? W4MOE_MPI_PROGRESS_NONE
                        : W4MOE_MPI_PROGRESS_THREAD);
    }
    w4moe_ctx_destroy(ctx);
    if (rank == 0) {
        printf("%u cases on %d ranks: the same bytes\n", n_cases, n_ranks);
    }
    MPI_Finalize();
    return 0;
}
