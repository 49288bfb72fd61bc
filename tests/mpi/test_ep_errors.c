/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What goes wrong on one rank: all ranks hear of it, by the number of that
 * rank, nothing hangs, and the next call is as good as any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ep_case.h"

enum { EXPERTS = 6, HIDDEN = 64, TOKENS = 9, K = 3 };

static const struct ep_case usual = {
        .seed = 0x7800,
        .n_experts = EXPERTS,
        .hidden = HIDDEN,
        .inter = 40,
        .dtype = W4MOE_BF16,
        .most_tokens = TOKENS,
        .top_k = K,
        .flags = W4MOE_BATCH_INVARIANT,
        .chunk_tokens = 4,
};

static struct ep_problem p;
static w4moe_mpi *mpi;
/* The rank that errs. */
static int culprit;

static int
errs(void)
{
    return p.rank == culprit;
}

/* The status and the text that a failure of the culprit has on every rank: its
 * own, and those of the others. */
static void
expect(w4moe_status got, w4moe_status expected, const char *text)
{
    char all[600];
    snprintf(all, sizeof(all), "rank %d: %s", culprit, text);
    const char *wanted = errs() ? text : all;
    EP_NEED(got == expected, "status %s, not %s: %s", w4moe_status_string(got),
            w4moe_status_string(expected), w4moe_ctx_error(p.ctx));
    EP_NEED(strcmp(w4moe_ctx_error(p.ctx), wanted) == 0, "\"%s\", not \"%s\"",
            w4moe_ctx_error(p.ctx), wanted);
}

/* After each failure everything works. */
static void
expect_good(void)
{
    void *expected = ep_expected(&p);
    void *out = ep_run(&p, mpi, NULL);
    EP_NEED(memcmp(out, expected, p.out_size) == 0, "not the same bytes");
    free(expected);
    free(out);
}

/* -------------------------------------------------------------------- ranks */

static void
bad_options(void)
{
    w4moe_mpi *none = NULL;
    w4moe_mpi_options options = {.struct_size = sizeof(options)};
    if (errs()) {
        options.chunk_tokens = 70000;
    }
    expect(w4moe_mpi_create(p.ctx, &none, MPI_COMM_WORLD, &options),
            W4MOE_INVALID,
            "w4moe_mpi_options: chunk_tokens 70000, at most 65536");
    options = (w4moe_mpi_options){.struct_size = sizeof(options)};
    if (errs()) {
        options.device_aware = (w4moe_mpi_device_aware)3;
    }
    expect(w4moe_mpi_create(p.ctx, &none, MPI_COMM_WORLD, &options),
            W4MOE_INVALID, "w4moe_mpi_options: device_aware 3");
    options = (w4moe_mpi_options){.struct_size = errs() ? 3 : sizeof(options)};
    char text[80];
    snprintf(text, sizeof(text),
            "w4moe_mpi_options: struct_size 3, at least %zu", sizeof(options));
    expect(w4moe_mpi_create(p.ctx, &none, MPI_COMM_WORLD, &options),
            W4MOE_INVALID, text);
    EP_NEED(none == NULL, "something was made");
    EP_NEED(w4moe_mpi_create(p.ctx, &none, MPI_COMM_NULL, NULL) ==
                    W4MOE_INVALID,
            "no communicator is taken");
    EP_NEED(w4moe_mpi_create(NULL, &none, MPI_COMM_WORLD, NULL) ==
                    W4MOE_INVALID,
            "no context is taken");
    expect_good();
}

static void
other_options(void)
{
    w4moe_mpi *none = NULL;
    w4moe_mpi_options options = {
            .struct_size = sizeof(options), .chunk_tokens = errs() ? 5 : 8};
    if (p.n_ranks > 1 && culprit != 0) {
        expect(w4moe_mpi_create(p.ctx, &none, MPI_COMM_WORLD, &options),
                W4MOE_INVALID, "chunk_tokens is 5, on rank 0 8");
        options.chunk_tokens = 8;
        options.device_aware = errs() ? W4MOE_MPI_DEVICE_AWARE_NO
                                      : W4MOE_MPI_DEVICE_AWARE_AUTO;
        expect(w4moe_mpi_create(p.ctx, &none, MPI_COMM_WORLD, &options),
                W4MOE_INVALID, "device_aware is 1, on rank 0 0");
    }
}

static void
agreement(void)
{
    w4moe_status mine = W4MOE_OK;
    EP_NEED(w4moe_mpi_agree(mpi, mine) == W4MOE_OK, "all is well");
    if (errs()) {
        mine = w4moe_ctx_fail(p.ctx, W4MOE_MISMATCH, "it differs");
    }
    expect(w4moe_mpi_agree(mpi, mine), W4MOE_MISMATCH, "it differs");
    EP_NEED(w4moe_mpi_agree(NULL, W4MOE_OK) == W4MOE_INVALID, "no ranks");
}

/* ------------------------------------------------------------------- layers */

static void
bad_owners(void)
{
    w4moe_mpi_layer *layer = NULL;
    int32_t owners[EXPERTS];
    memcpy(owners, p.owners, sizeof(owners));
    char text[100];
    if (errs()) {
        owners[4] = p.n_ranks;
    }
    snprintf(text, sizeof(text),
            "mpi_layer: expert 4 is rank %d's, of %d ranks", p.n_ranks,
            p.n_ranks);
    expect(w4moe_mpi_layer_create(mpi, &layer, p.local, owners), W4MOE_INVALID,
            text);
    EP_NEED(layer == NULL, "something was made");
    if (p.n_ranks > 1 && culprit != 0) {
        owners[4] = p.owners[4] + (errs() ? -1 : 0);
        snprintf(text, sizeof(text),
                "mpi_layer: expert 4 is rank %d's; as rank 0 says, rank %d's",
                (int)p.owners[4] - 1, (int)p.owners[4]);
        expect(w4moe_mpi_layer_create(mpi, &layer, p.local, owners),
                W4MOE_INVALID, text);
    }
    expect_good();
}

/* A layer with another number of experts than it should have. */
static void
bad_layer(void)
{
    w4moe_mpi_layer *layer = NULL;
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    char text[100];
    if (p.n_ranks == 1) {
        return;
    }
    ep_ok(p.ctx, w4moe_layer_get_info(p.local, &info));
    size_t n_here = info.n_experts;
    MPI_Bcast(&n_here, sizeof(n_here), MPI_BYTE, culprit, MPI_COMM_WORLD);
    snprintf(text, sizeof(text),
            "mpi_layer: a layer of 6 experts on rank %d, which has %zu",
            culprit, n_here);
    expect(w4moe_mpi_layer_create(
                   mpi, &layer, errs() ? p.whole : p.local, NULL),
            W4MOE_INVALID, text);
    expect_good();
}

static void
no_file(void)
{
    w4moe_mpi_layer *layer = NULL;
    if (p.n_ranks == 1) {
        expect(w4moe_mpi_layer_load(mpi, &layer, NULL, 0, NULL, 0),
                W4MOE_INVALID, "mpi_layer: file is NULL");
    }
    EP_NEED(w4moe_mpi_layer_create(mpi, &layer, NULL, NULL) == W4MOE_INVALID &&
                    w4moe_mpi_layer_create(NULL, &layer, p.local, NULL) ==
                            W4MOE_INVALID,
            "NULLs are taken");
    EP_NEED(w4moe_mpi_layer_local(NULL) == NULL, "no layer");
    w4moe_mpi_layer_destroy(NULL);
    w4moe_mpi_destroy(NULL);
}

/* --------------------------------------------------------------- workspaces */

static w4moe_mpi_layer *
good_layer(void)
{
    w4moe_mpi_layer *layer = NULL;
    ep_ok(p.ctx, w4moe_mpi_layer_create(mpi, &layer, p.local, NULL));
    EP_NEED(w4moe_mpi_layer_local(layer) == p.local, "not the local layer");
    return layer;
}

static void
bad_workspaces(void)
{
    w4moe_mpi_layer *layer = good_layer();
    w4moe_mpi_workspace *ws = NULL;
    expect(w4moe_mpi_workspace_create(layer, &ws, TOKENS, errs() ? 0 : K),
            W4MOE_INVALID,
            "mpi_workspace for 9 tokens of 0 experts each (at least 1 expert, "
            "at most 2^31 - 1 slots)");
    if (p.n_ranks > 1 && culprit != 0) {
        expect(w4moe_mpi_workspace_create(layer, &ws, TOKENS, errs() ? 2 : K),
                W4MOE_INVALID, "mpi_workspace: top_k is 2, on rank 0 3");
    }
    EP_NEED(w4moe_mpi_workspace_create(NULL, &ws, 1, 1) == W4MOE_INVALID,
            "no layer is taken");
    EP_NEED(ws == NULL, "something was made");
    w4moe_mpi_workspace_destroy(NULL);
    w4moe_mpi_layer_destroy(layer);
    expect_good();
}

/* A rank whose context may not have the memory. */
static void
no_memory(void)
{
    struct ep_problem other;
    w4moe_ctx *ctx = NULL;
    w4moe_mpi *ranks = NULL;
    w4moe_mpi_layer *layer = NULL;
    w4moe_mpi_workspace *ws = NULL;
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = 1,
            .memory_limit = errs() ? 1000 : 0,
    };
    EP_NEED(w4moe_ctx_create(&ctx, &options) == W4MOE_OK, "no context");
    ep_open(&other, ctx, MPI_COMM_WORLD, &usual);
    ep_ok(ctx, w4moe_mpi_create(ctx, &ranks, MPI_COMM_WORLD, NULL));
    ep_ok(ctx, w4moe_mpi_layer_create(ranks, &layer, other.local, NULL));
    w4moe_status status = w4moe_mpi_workspace_create(layer, &ws, TOKENS, K);
    EP_NEED(status == W4MOE_NOMEM && ws == NULL, "%s",
            w4moe_status_string(status));
    int by_rank = strncmp(w4moe_ctx_error(ctx), "rank ", 5) == 0;
    EP_NEED(by_rank == !errs(), "\"%s\"", w4moe_ctx_error(ctx));
    w4moe_mpi_layer_destroy(layer);
    w4moe_mpi_destroy(ranks);
    ep_close(&other);
    w4moe_ctx_destroy(ctx);
}

/* -------------------------------------------------------------------- calls */

struct call {
    w4moe_mpi_layer *layer;
    w4moe_mpi_workspace *ws;
    w4moe_forward_args args;
    w4moe_mpi_times times;
    void *out;
};

static struct call
open_call(void)
{
    struct call call = {
            .layer = good_layer(),
            .args = p.args,
            .times = {.struct_size = sizeof(call.times)},
            .out = calloc(p.out_size, 1),
    };
    EP_NEED(call.out != NULL, "no memory");
    call.args.out = call.out;
    ep_ok(p.ctx, w4moe_mpi_workspace_create(call.layer, &call.ws, TOKENS, K));
    return call;
}

/* Makes the call with one rank's arguments changed, and then a good one. */
static void
refused(struct call *call, w4moe_status expected, const char *text)
{
    expect(w4moe_mpi_forward(call->layer, call->ws, &call->args, &call->times),
            expected, text);
    call->args = p.args;
    call->args.out = call->out;
    void *good = ep_expected(&p);
    ep_ok(p.ctx, w4moe_mpi_forward(
                         call->layer, call->ws, &call->args, &call->times));
    for (size_t t = 0; t < TOKENS; t++) {
        size_t at = t * p.args.out_stride * 2;
        EP_NEED(memcmp((char *)call->out + at, (char *)good + at, HIDDEN * 2) ==
                        0,
                "not the same bytes");
    }
    free(good);
}

static void
bad_calls(void)
{
    struct call call = open_call();
    int32_t ids[TOKENS * K];
    memcpy(ids, p.ids, sizeof(ids));
    ids[5 * K + 1] = EXPERTS;
    call.args.ids = errs() ? ids : p.ids;
    refused(&call, W4MOE_INVALID,
            "mpi_forward: expert id 6 of token 5, choice 1 is not in 0 .. 5");
    call.args.n_tokens = errs() ? TOKENS + 1 : TOKENS;
    refused(&call, W4MOE_INVALID,
            "mpi_forward: 10 tokens of 3 experts each; the workspace is for 9 "
            "of 3");
    call.args.x = errs() ? NULL : p.x;
    refused(&call, W4MOE_INVALID, "mpi_forward: x is NULL");
    call.args.out = errs() ? NULL : call.out;
    refused(&call, W4MOE_INVALID, "mpi_forward: out is NULL");
    call.args.weights = errs() ? NULL : p.weights;
    refused(&call, W4MOE_INVALID,
            "mpi_forward: of ids and weights only ids is given");
    call.args.flags |= errs() ? 1u << 20 : 0;
    refused(&call, W4MOE_UNSUPPORTED,
            "mpi_forward: activations of type BF16 (BF16 or F16), output of "
            "type BF16 (the same, or F32), flags 0x100004");
    call.args.out_stride = errs() ? HIDDEN - 1 : p.args.out_stride;
    refused(&call, W4MOE_INVALID,
            "mpi_forward: x_stride 72, out_stride 63 for rows of 64");
    call.args.expert_map = errs() ? p.owners : NULL;
    refused(&call, W4MOE_INVALID,
            "mpi_forward: an expert_map, or n_experts_global, which are the "
            "layer's");
    w4moe_mpi_workspace_destroy(call.ws);
    w4moe_mpi_layer_destroy(call.layer);
    free(call.out);
}

/* Ranks that do not mean the same call: every rank sees it by itself. */
static void
different_calls(void)
{
    struct call call = open_call();
    char text[100];
    if (p.n_ranks > 1 && culprit != 0) {
        call.args.flags = errs() ? 0 : W4MOE_BATCH_INVARIANT;
        snprintf(text, sizeof(text),
                "mpi_forward: the flag W4MOE_BATCH_INVARIANT is 1 on rank 0, 0 "
                "on rank %d",
                culprit);
        w4moe_status status =
                w4moe_mpi_forward(call.layer, call.ws, &call.args, NULL);
        EP_NEED(status == W4MOE_INVALID &&
                        strcmp(w4moe_ctx_error(p.ctx), text) == 0,
                "%s", w4moe_ctx_error(p.ctx));
    }
    EP_NEED(w4moe_mpi_forward(NULL, call.ws, &call.args, NULL) ==
                            W4MOE_INVALID &&
                    w4moe_mpi_forward(call.layer, NULL, &call.args, NULL) ==
                            W4MOE_INVALID,
            "NULLs are taken");
    w4moe_mpi_workspace_destroy(call.ws);
    w4moe_mpi_layer_destroy(call.layer);
    free(call.out);
    expect_good();
}

/* A NaN among the logits of one rank. */
static void
bad_logits(void)
{
    struct call call = open_call();
    float *logits = calloc(TOKENS * EXPERTS, sizeof(float));
    EP_NEED(logits != NULL, "no memory");
    if (errs()) {
        const uint32_t nan = 0x7FC00000;
        memcpy(&logits[2 * EXPERTS + 1], &nan, sizeof(nan));
    }
    call.args.ids = NULL;
    call.args.weights = NULL;
    call.args.router_logits = logits;
    call.args.logits_dtype = W4MOE_F32;
    w4moe_status status =
            w4moe_mpi_forward(call.layer, call.ws, &call.args, NULL);
    EP_NEED(status == W4MOE_INVALID, "%s", w4moe_status_string(status));
    EP_NEED(strstr(w4moe_ctx_error(p.ctx), "NaN") != NULL ||
                    strstr(w4moe_ctx_error(p.ctx), "nan") != NULL,
            "%s", w4moe_ctx_error(p.ctx));
    free(logits);
    w4moe_mpi_workspace_destroy(call.ws);
    w4moe_mpi_layer_destroy(call.layer);
    free(call.out);
}

static void
run_all(const w4moe_ctx *ctx)
{
    ep_open(&p, ctx, MPI_COMM_WORLD, &usual);
    ep_ok(ctx, w4moe_mpi_create(ctx, &mpi, MPI_COMM_WORLD, NULL));
    for (culprit = 0; culprit < p.n_ranks; culprit++) {
        bad_options();
        other_options();
        agreement();
        bad_owners();
        bad_layer();
        no_file();
        bad_workspaces();
        no_memory();
        bad_calls();
        different_calls();
        bad_logits();
    }
    w4moe_mpi_destroy(mpi);
    ep_close(&p);
}

int
main(int argc, char **argv)
{
    int level;
    w4moe_ctx *ctx = NULL;
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = 2,
    };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    EP_NEED(w4moe_ctx_create(&ctx, &options) == W4MOE_OK, "no context");
    run_all(ctx);
    if (p.rank == 0) {
        printf("failures of each of %d ranks reach all\n", p.n_ranks);
    }
    w4moe_ctx_destroy(ctx);
    MPI_Finalize();
    return 0;
}
