/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * test_ep_load CONTAINER [PARTS]: each rank loads its experts of every layer,
 * by blocks, by maps, from the container or from PARTS.RANK, which has the
 * rank's block; hidden states in, the bytes of the whole layer out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ep_case.h"
#include "test_random.h"

enum { TOKENS = 21, OWNERS = 4 };

struct load {
    w4moe_ctx *ctx;
    w4moe_mpi *mpi;
    w4moe_file *file;
    w4moe_file_info info;
    int rank;
    int n_ranks;
    uint16_t *x;
    uint16_t *out;
    uint16_t *expected;
};

static w4moe_forward_args
call_of(const struct load *l, uint16_t *out)
{
    return (w4moe_forward_args){
            .struct_size = sizeof(w4moe_forward_args),
            .out = out,
            .x = l->x,
            .dtype = W4MOE_BF16,
            .n_tokens = TOKENS,
            .top_k = l->info.top_k,
            .flags = W4MOE_BATCH_INVARIANT,
    };
}

static void
run_whole(const struct load *l, uint32_t number)
{
    w4moe_layer *layer = NULL;
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args = call_of(l, l->expected);
    ep_ok(l->ctx, w4moe_layer_load(l->ctx, &layer, l->file, number, 0));
    ep_ok(l->ctx, w4moe_workspace_create(layer, &ws, TOKENS, args.top_k));
    ep_ok(l->ctx, w4moe_forward(layer, ws, &args));
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
}

/* Owners: NULL, turn by turn, at random, all on the last rank. */
static const int32_t *
owners_of(const struct load *l, int kind, int32_t *owners)
{
    struct test_random random = {0x7900};
    size_t n = (size_t)l->n_ranks;
    for (size_t e = 0; e < l->info.n_experts_total; e++) {
        size_t any = test_random_below(&random, n);
        owners[e] = (int32_t)(kind == 1 ? e % n : kind == 2 ? any : n - 1);
    }
    return kind != 0 ? owners : NULL;
}

/* How many experts this rank has loaded, of which one does not count if it is
 * no rank's. */
static void
expect_share(const struct load *l, const w4moe_mpi_layer *layer,
        const int32_t *owners)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    size_t n = l->info.n_experts_total;
    size_t n_here = 0;
    for (size_t e = 0; e < n; e++) {
        size_t owner =
                owners != NULL ? (size_t)owners[e] : e * (size_t)l->n_ranks / n;
        n_here += owner == (size_t)l->rank;
    }
    ep_ok(l->ctx, w4moe_layer_get_info(w4moe_mpi_layer_local(layer), &info));
    EP_NEED(info.n_experts == (n_here != 0 ? n_here : 1),
            "%zu experts loaded, not %zu", info.n_experts, n_here);
}

static void
run_ranks(const struct load *l, const w4moe_file *file, uint32_t number,
        const int32_t *owners, unsigned flags)
{
    w4moe_mpi_layer *layer = NULL;
    w4moe_mpi_workspace *ws = NULL;
    w4moe_forward_args args = call_of(l, l->out);
    size_t n_bytes = TOKENS * l->info.hidden_size * 2;
    memset(l->out, 0xFF, n_bytes);
    ep_ok(l->ctx,
            w4moe_mpi_layer_load(l->mpi, &layer, file, number, owners, flags));
    expect_share(l, layer, owners);
    ep_ok(l->ctx, w4moe_mpi_workspace_create(layer, &ws, TOKENS, args.top_k));
    ep_ok(l->ctx, w4moe_mpi_forward(layer, ws, &args, NULL));
    EP_NEED(memcmp(l->out, l->expected, n_bytes) == 0,
            "layer %u, owners %s: not the same bytes", (unsigned)number,
            owners != NULL ? "given" : "in blocks");
    w4moe_mpi_workspace_destroy(ws);
    w4moe_mpi_layer_destroy(layer);
}

/* A file that only one rank has; a layer that no file has. */
static void
run_failures(const struct load *l)
{
    w4moe_mpi_layer *layer = NULL;
    w4moe_status status = w4moe_mpi_layer_load(l->mpi, &layer,
            l->rank == l->n_ranks - 1 ? NULL : l->file, 0, NULL, 0);
    EP_NEED(status == W4MOE_INVALID && layer == NULL, "%s",
            w4moe_status_string(status));
    EP_NEED(strstr(w4moe_ctx_error(l->ctx), "file is NULL") != NULL, "%s",
            w4moe_ctx_error(l->ctx));
    status = w4moe_mpi_layer_load(l->mpi, &layer, l->file, 999, NULL, 0);
    EP_NEED(status == W4MOE_INVALID && layer == NULL, "%s",
            w4moe_status_string(status));
}

static void
run_file(struct load *l, const char *parts)
{
    w4moe_file *part = NULL;
    int32_t *owners = calloc(l->info.n_experts_total, sizeof(owners[0]));
    EP_NEED(owners != NULL, "no memory");
    if (parts != NULL) {
        char path[4096];
        snprintf(path, sizeof(path), "%s.%d", parts, l->rank);
        ep_ok(l->ctx, w4moe_file_open(l->ctx, &part, path));
    }
    for (uint32_t number = 0; number < l->info.n_layers; number++) {
        run_whole(l, number);
        for (int kind = 0; kind < OWNERS; kind++) {
            run_ranks(l, l->file, number, owners_of(l, kind, owners),
                    kind == 2 ? W4MOE_LAYER_COPY : 0);
        }
        if (part != NULL) {
            run_ranks(l, part, number, NULL, 0);
        }
    }
    run_failures(l);
    w4moe_file_close(part);
    free(owners);
}

static void
open_all(struct load *l, const char *path)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = 1,
    };
    EP_NEED(w4moe_ctx_create(&l->ctx, &options) == W4MOE_OK, "no context");
    ep_ok(l->ctx, w4moe_mpi_create(l->ctx, &l->mpi, MPI_COMM_WORLD, NULL));
    ep_ok(l->ctx, w4moe_file_open(l->ctx, &l->file, path));
    l->info.struct_size = sizeof(l->info);
    ep_ok(l->ctx, w4moe_file_get_info(l->file, &l->info));
    struct test_random random = {0x7901 + (uint64_t)(unsigned)l->rank};
    size_t n = TOKENS * l->info.hidden_size;
    l->x = calloc(n, sizeof(l->x[0]));
    l->out = calloc(n, sizeof(l->out[0]));
    l->expected = calloc(n, sizeof(l->expected[0]));
    EP_NEED(l->x != NULL && l->out != NULL && l->expected != NULL, "no memory");
    for (size_t i = 0; i < n; i++) {
        oracle_store(l->x, W4MOE_BF16, i,
                (double)test_random_below(&random, 2001) / 1000 - 1);
    }
}

int
main(int argc, char **argv)
{
    struct load l = {.ctx = NULL};
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &l.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &l.n_ranks);
    EP_NEED(argc > 1, "usage: test_ep_load CONTAINER [PARTS]");
    open_all(&l, argv[1]);
    run_file(&l, argc > 2 ? argv[2] : NULL);
    if (l.rank == 0) {
        printf("%zu layers by %d ranks: the same bytes\n",
                (size_t)l.info.n_layers, l.n_ranks);
    }
    w4moe_file_close(l.file);
    w4moe_mpi_destroy(l.mpi);
    w4moe_ctx_destroy(l.ctx);
    free(l.x);
    free(l.out);
    free(l.expected);
    MPI_Finalize();
    return 0;
}
