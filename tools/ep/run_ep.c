/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* moe-run --ep: see run_ep.h. */
#include "run/run_ep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "ep_ranks.h"

struct run_ep {
    struct ep_ranks ranks;
    w4moe_mpi *mpi;
    w4moe_mpi_layer *layer;
    w4moe_mpi_workspace *ws;
    /** This rank's tokens, and its results. */
    size_t first_token;
    size_t n_tokens;
    void *out;
    /** Of all ranks, on rank 0, in elements of out. */
    int *n_values;
    int *places;
    w4moe_mpi_times times;
};

static void
release(struct run_ep *ep)
{
    w4moe_mpi_workspace_destroy(ep->ws);
    w4moe_mpi_layer_destroy(ep->layer);
    w4moe_mpi_destroy(ep->mpi);
    free(ep->out);
    free(ep->n_values);
    free(ep->places);
}

static int
is_first(const struct run_ep *ep)
{
    return ep->ranks.rank == 0;
}

static int
agree(const struct run_ep *ep, int code)
{
    (void)ep;
    return ep_ranks_together(code);
}

/* The exit code of a collective call. */
static int
exit_code(const struct run_ep *ep, const w4moe_ctx *ctx, w4moe_status status)
{
    return ep_ranks_together(
            status == W4MOE_OK ? TOOL_OK
                               : ep_ranks_failed(&ep->ranks, ctx, status));
}

/* Facts about the layer: of all ranks together, which have all experts. */
static int
take_info(const struct run_ep *ep, struct run_state *s)
{
    w4moe_file_info file = {.struct_size = sizeof(file)};
    s->info.struct_size = sizeof(s->info);
    w4moe_status status =
            w4moe_layer_get_info(w4moe_mpi_layer_local(ep->layer), &s->info);
    if (status == W4MOE_OK) {
        status = w4moe_file_get_info(s->file, &file);
    }
    s->info.first_expert = 0;
    s->info.n_experts = s->info.n_experts_global;
    int code = status == W4MOE_OK ? TOOL_OK : tool_failed(s->ctx, status);
    if (code == TOOL_OK && s->job->expect_path != NULL &&
            file.n_experts != file.n_experts_total) {
        code = tool_error("--expect: %s has only %zu of %zu experts",
                s->job->file_path, (size_t)file.n_experts,
                (size_t)file.n_experts_total);
    }
    return agree(ep, code);
}

static int
load(struct run_ep *ep, struct run_state *s, int code)
{
    code = agree(ep, code);
    if (code != TOOL_OK) {
        return code;
    }
    w4moe_status status =
            w4moe_mpi_create(s->ctx, &ep->mpi, MPI_COMM_WORLD, NULL);
    if (status == W4MOE_OK) {
        status = w4moe_mpi_layer_load(ep->mpi, &ep->layer, s->file,
                s->job->layer, NULL, s->job->layer_flags);
    }
    s->layer = NULL;
    code = exit_code(ep, s->ctx, status);
    return code == TOOL_OK ? take_info(ep, s) : code;
}

/* Values of the result that a rank has, and where they stand in it. */
static void
set_parts(struct run_ep *ep, size_t n_tokens, size_t hidden)
{
    size_t n_ranks = (size_t)ep->ranks.n_ranks;
    size_t before = 0;
    for (size_t r = 0; r < n_ranks; r++) {
        size_t end = n_tokens * (r + 1) / n_ranks;
        ep->n_values[r] = (int)((end - before) * hidden);
        ep->places[r] = (int)(before * hidden);
        if (r == (size_t)ep->ranks.rank) {
            ep->first_token = before;
            ep->n_tokens = end - before;
        }
        before = end;
    }
}

static int
prepare(struct run_ep *ep, const struct run_state *s)
{
    size_t n_ranks = (size_t)ep->ranks.n_ranks;
    size_t hidden = s->info.hidden_size;
    int code = TOOL_OK;
    ep->n_values = tool_alloc(n_ranks, sizeof(ep->n_values[0]), "counts");
    ep->places = tool_alloc(n_ranks, sizeof(ep->places[0]), "counts");
    ep->out = tool_alloc(s->n_values, sizeof(uint16_t), "the output");
    if (ep->n_values == NULL || ep->places == NULL || ep->out == NULL) {
        code = TOOL_ERROR;
    } else if (s->n_values > INT32_MAX) {
        code = tool_error("--ep: %zu tokens of hidden size %zu, more than a "
                          "message holds",
                s->input.n_tokens, hidden);
    }
    code = agree(ep, code);
    if (code != TOOL_OK) {
        return code;
    }
    set_parts(ep, s->input.n_tokens, hidden);
    return exit_code(ep, s->ctx,
            w4moe_mpi_workspace_create(
                    ep->layer, &ep->ws, ep->n_tokens, s->input.top_k));
}

/* Rows of an array, from this rank's first token on; NULL stays NULL. */
static const void *
rows(const struct run_ep *ep, const void *array, size_t n, w4moe_dtype dtype)
{
    return array != NULL ? (const char *)array +
                                   ep->first_token * n * w4moe_dtype_size(dtype)
                         : NULL;
}

static int
forward(struct run_ep *ep, const struct run_state *s,
        const w4moe_forward_args *args)
{
    size_t k = args->top_k;
    size_t hidden = s->info.hidden_size;
    w4moe_forward_args mine = *args;
    ep->times = (w4moe_mpi_times){.struct_size = sizeof(ep->times)};
    mine.n_tokens = ep->n_tokens;
    mine.flags |= W4MOE_BATCH_INVARIANT;
    mine.out = ep->out;
    mine.x = rows(ep, args->x, hidden, args->dtype);
    mine.ids = rows(ep, args->ids, k, W4MOE_I32);
    mine.weights = rows(ep, args->weights, k, W4MOE_F32);
    mine.router_logits = rows(ep, args->router_logits, s->info.n_experts_global,
            args->logits_dtype);
    int code = exit_code(ep, s->ctx,
            w4moe_mpi_forward(ep->layer, ep->ws, &mine, &ep->times));
    if (code != TOOL_OK) {
        return code;
    }
    MPI_Gatherv(ep->out, ep->n_values[ep->ranks.rank], MPI_UINT16_T, args->out,
            ep->n_values, ep->places, MPI_UINT16_T, 0, MPI_COMM_WORLD);
    if (args->expert_counts != NULL) {
        MPI_Allreduce(MPI_IN_PLACE, args->expert_counts,
                (int)s->info.n_experts_global, MPI_INT32_T, MPI_SUM,
                MPI_COMM_WORLD);
    }
    return TOOL_OK;
}

static void
print(const struct run_ep *ep)
{
    const w4moe_mpi_times *t = &ep->times;
    enum { N = 8 };
    const double mine[N] = {t->total, t->prepare, t->dispatch, t->compute,
            t->combine, t->add, (double)t->n_slots,
            (double)(t->bytes_dispatched + t->bytes_combined)};
    double most[N];
    double sums[N];
    MPI_Reduce(mine, most, N, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(mine, sums, N, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (ep->ranks.rank != 0) {
        return;
    }
    fprintf(stderr,
            "%s: %d ranks, %zu chunk%s; of the slowest rank each: total %.4g "
            "ms, prepare %.3g, dispatch %.3g, compute %.3g, combine %.3g, add "
            "%.3g; %.4g MB moved; most slots of a rank %.3g times the mean\n",
            tool_name, ep->ranks.n_ranks, t->n_chunks,
            t->n_chunks == 1 ? "" : "s", 1e3 * most[0], 1e3 * most[1],
            1e3 * most[2], 1e3 * most[3], 1e3 * most[4], 1e3 * most[5],
            1e-6 * sums[7],
            sums[6] > 0 ? most[6] * ep->ranks.n_ranks / sums[6] : 1.0);
}

int
run_ep(const struct run_job *job, char **argv)
{
    static const struct run_ep_calls calls = {
            .is_first = is_first,
            .agree = agree,
            .load = load,
            .prepare = prepare,
            .forward = forward,
            .print = print,
            .release = release,
    };
    struct run_ep ep = {.mpi = NULL};
    (void)argv;
    int code = ep_ranks_begin(&ep.ranks);
    if (code == TOOL_OK) {
        code = run_job(job, &calls, &ep);
        MPI_Finalize();
    }
    return code;
}
