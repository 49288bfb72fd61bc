/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "ep_case.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_random.h"

/* Elements between rows. */
enum { X_PAD = 8, OUT_PAD = 3 };

void
ep_end(const char *file, int line, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
    abort();
}

void
ep_ok(const w4moe_ctx *ctx, w4moe_status status)
{
    EP_NEED(status == W4MOE_OK, "%s: %s", w4moe_status_string(status),
            w4moe_ctx_error(ctx));
}

static void *
allocate(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    EP_NEED(p != NULL, "no memory");
    return p;
}

/* ------------------------------------------------------------------ weights */

static void
make_matrix(struct ep_problem *p, int i, size_t n_experts, size_t n_out,
        size_t n_in, int gated)
{
    struct oracle_spec spec = {
            .seed = p->what->seed + (uint64_t)i,
            .n_experts = n_experts,
            .n_out = n_out,
            .n_in = n_in,
            .group_size = 16,
            .gated = gated,
    };
    weight_form_set(&spec, p->what->form);
    oracle_make(&p->plain[i], &spec);
    oracle_pack(&p->packed[i], &p->plain[i], W4MOE_ORDER_TILE);
}

static void
make_weights(struct ep_problem *p)
{
    const struct ep_case *what = p->what;
    size_t hidden = what->hidden;
    make_matrix(p, 0, what->n_experts, 2 * what->inter, hidden, 1);
    make_matrix(p, 1, what->n_experts, hidden, what->inter, 0);
    if (what->n_shared != 0) {
        make_matrix(p, 2, what->n_shared, 2 * what->inter, hidden, 1);
        make_matrix(p, 3, what->n_shared, hidden, what->inter, 0);
    }
    struct test_random random = {what->seed + 10};
    float *weight = allocate(what->n_experts * hidden, sizeof(float));
    for (size_t i = 0; i < what->n_experts * hidden; i++) {
        weight[i] = ((float)test_random_below(&random, 2001) - 1000.0f) / 4000;
    }
    p->router_weight = weight;
}

static void
make_owners(struct ep_problem *p)
{
    const struct ep_case *what = p->what;
    struct test_random random = {what->seed + 11};
    size_t n = (size_t)p->n_ranks;
    p->owners = allocate(what->n_experts, sizeof(p->owners[0]));
    for (size_t e = 0; e < what->n_experts; e++) {
        const size_t owners[EP_OWNERS] = {e * n / what->n_experts, e % n,
                test_random_below(&random, n), n - 1,
                n > 1 ? 1 + e % (n - 1) : 0};
        p->owners[e] = (int32_t)owners[what->owners];
    }
}

/* Copies an array's parts of this rank's experts. */
static size_t
gather(const struct ep_problem *p, char *to, const void *from, uint64_t size)
{
    size_t each = (size_t)size / p->what->n_experts;
    size_t n = 0;
    for (size_t e = 0; e < p->what->n_experts && from != NULL; e++) {
        if (p->owners[e] == p->rank) {
            memcpy(to + n++ * each, (const char *)from + e * each, each);
        }
    }
    return n * each;
}

/* This rank's experts of a matrix. Without any it gets them all, which is what
 * does not matter. */
static void
make_part(struct ep_problem *p, int i, char **memory)
{
    w4moe_matrix *m = &p->part[i];
    w4moe_matrix_sizes s = {.struct_size = sizeof(s)};
    size_t n_here = 0;
    *m = p->packed[i];
    ep_ok(p->ctx, w4moe_matrix_measure(p->ctx, &s, m));
    for (size_t e = 0; e < p->what->n_experts; e++) {
        n_here += p->owners[e] == p->rank;
    }
    if (n_here == 0) {
        return;
    }
    m->n_experts = n_here;
    struct {
        void **place;
        uint64_t size;
    } arrays[] = {{(void **)&m->qweight, s.qweight}, {&m->scales, s.scales},
            {(void **)&m->qzeros, s.qzeros}, {&m->offsets, s.offsets},
            {(void **)&m->perm, s.perm}, {&m->bias, s.bias}};
    for (size_t a = 0; a < sizeof(arrays) / sizeof(arrays[0]); a++) {
        if (*arrays[a].place != NULL) {
            size_t n = gather(p, *memory, *arrays[a].place, arrays[a].size);
            *arrays[a].place = *memory;
            *memory += (n + 63) / 64 * 64;
        }
    }
}

static w4moe_layer *
make_layer(const struct ep_problem *p, const w4moe_matrix *w13,
        const w4moe_matrix *w2)
{
    w4moe_layer *layer = NULL;
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = w13,
            .w2 = w2,
            .activation = {.struct_size = sizeof(desc.activation),
                    .kind = W4MOE_ACT_SILU},
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = 1,
                    .weight_on_input = p->what->seed % 2 != 0,
                    .weight = p->router_weight,
                    .weight_dtype = W4MOE_F32},
            .n_experts_global = p->what->n_experts,
            .shared_scale = 0.75f,
    };
    if (p->what->n_shared != 0) {
        desc.shared_w13 = &p->packed[2];
        desc.shared_w2 = &p->packed[3];
    }
    ep_ok(p->ctx, w4moe_layer_create(p->ctx, &layer, &desc, 0));
    return layer;
}

static void
make_layers(struct ep_problem *p)
{
    size_t n_bytes = 0;
    for (int i = 0; i < 2; i++) {
        w4moe_matrix_sizes s = {.struct_size = sizeof(s)};
        ep_ok(p->ctx, w4moe_matrix_measure(p->ctx, &s, &p->packed[i]));
        n_bytes += (size_t)(s.qweight + s.scales + s.qzeros + s.offsets +
                            s.perm + s.bias) +
                   64 * 6;
    }
    p->part_memory = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    EP_NEED(p->part_memory != NULL, "no memory");
    char *memory = p->part_memory;
    make_part(p, 0, &memory);
    make_part(p, 1, &memory);
    p->whole = make_layer(p, &p->packed[0], &p->packed[1]);
    p->local = make_layer(p, &p->part[0], &p->part[1]);
}

/* ------------------------------------------------------------------- tokens */

static size_t
count_tokens(const struct ep_problem *p, struct test_random *random)
{
    size_t most = p->what->most_tokens;
    const size_t counts[EP_TOKENS] = {most,
            test_random_below(random, 3) == 0
                    ? 0
                    : test_random_below(random, most + 1),
            p->rank == p->n_ranks - 1 ? most : 0, 0};
    return counts[p->what->tokens];
}

static void
make_choices(struct ep_problem *p, struct test_random *random)
{
    const struct ep_case *what = p->what;
    size_t n_slots = p->args.n_tokens * what->top_k;
    size_t n_logits = p->args.n_tokens * what->n_experts;
    p->ids = allocate(n_slots, sizeof(p->ids[0]));
    p->weights = allocate(n_slots, sizeof(p->weights[0]));
    p->logits = allocate(n_logits, sizeof(p->logits[0]));
    for (size_t i = 0; i < n_slots; i++) {
        size_t any = test_random_below(random, what->n_experts);
        size_t few = test_random_below(random, 2) % what->n_experts;
        p->ids[i] = what->routing == EP_ONE_EXPERT
                            ? (int32_t)(what->n_experts / 2)
                            : (int32_t)(what->routing == EP_TWICE ? few : any);
        p->weights[i] = (float)test_random_below(random, 1000) / 900;
    }
    for (size_t i = 0; i < n_logits; i++) {
        p->logits[i] = (float)test_random_below(random, 1000) / 200;
    }
    if (what->routing == EP_FROM_LOGITS) {
        p->args.router_logits = p->logits;
        p->args.logits_dtype = W4MOE_F32;
    } else if (what->routing != EP_FROM_HIDDEN) {
        p->args.ids = p->ids;
        p->args.weights = p->weights;
    }
}

static void
make_tokens(struct ep_problem *p)
{
    const struct ep_case *what = p->what;
    struct test_random random = {
            what->seed + 100 + 7 * (uint64_t)(unsigned)p->rank};
    size_t stride = what->hidden + X_PAD;
    size_t out_stride = what->in_place ? stride : what->hidden + OUT_PAD;
    p->args = (w4moe_forward_args){
            .struct_size = sizeof(p->args),
            .x_stride = stride,
            .out_stride = out_stride,
            .dtype = what->dtype,
            .out_dtype = what->out_dtype,
            .n_tokens = count_tokens(p, &random),
            .top_k = what->top_k,
            .flags = what->flags,
    };
    size_t n = p->args.n_tokens * stride;
    p->x = allocate(n, 2);
    for (size_t i = 0; i < n; i++) {
        double value = (double)test_random_below(&random, 4001) / 1000 - 2;
        oracle_store(p->x, what->dtype, i, value);
    }
    w4moe_dtype type =
            what->out_dtype != W4MOE_DTYPE_NONE ? what->out_dtype : what->dtype;
    size_t n_out = p->args.n_tokens * out_stride;
    p->out_size = n_out * w4moe_dtype_size(type);
    p->before = allocate(n_out, w4moe_dtype_size(type));
    for (size_t i = 0; i < n_out; i++) {
        oracle_store(p->before, type, i,
                (double)test_random_below(&random, 2001) / 1000 - 1);
    }
    make_choices(p, &random);
    p->args.x = p->x;
}

void
ep_open(struct ep_problem *p, const w4moe_ctx *ctx, MPI_Comm comm,
        const struct ep_case *what)
{
    memset(p, 0, sizeof(*p));
    p->what = what;
    p->ctx = ctx;
    MPI_Comm_rank(comm, &p->rank);
    MPI_Comm_size(comm, &p->n_ranks);
    make_weights(p);
    make_owners(p);
    make_layers(p);
    make_tokens(p);
}

void
ep_close(struct ep_problem *p)
{
    w4moe_layer_destroy(p->whole);
    w4moe_layer_destroy(p->local);
    for (int i = 0; i < (p->what->n_shared != 0 ? 4 : 2); i++) {
        oracle_pack_free(&p->packed[i]);
        oracle_free(&p->plain[i]);
    }
    free(p->part_memory);
    free(p->router_weight);
    free(p->owners);
    free(p->x);
    free(p->before);
    free(p->ids);
    free(p->weights);
    free(p->logits);
}

/* -------------------------------------------------------------------- calls */

/* The output of a call: what it holds before, and with in_place a copy of x,
 * which is then its input, too. */
static void *
begin_out(const struct ep_problem *p, w4moe_forward_args *args)
{
    void *out = allocate(p->out_size, 1);
    memcpy(out, p->what->in_place ? p->x : p->before, p->out_size);
    *args = p->args;
    args->out = out;
    if (p->what->in_place) {
        args->x = out;
    }
    return out;
}

void *
ep_expected(const struct ep_problem *p)
{
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args;
    void *out = begin_out(p, &args);
    ep_ok(p->ctx, w4moe_workspace_create(p->whole, &ws,
                          args.n_tokens != 0 ? args.n_tokens : 1, args.top_k));
    ep_ok(p->ctx, w4moe_forward(p->whole, ws, &args));
    w4moe_workspace_destroy(ws);
    return out;
}

void *
ep_run(const struct ep_problem *p, const w4moe_mpi *mpi, w4moe_mpi_times *times)
{
    w4moe_mpi_layer *layer = NULL;
    w4moe_mpi_workspace *ws = NULL;
    w4moe_forward_args args;
    void *out = begin_out(p, &args);
    ep_ok(p->ctx, w4moe_mpi_layer_create(mpi, &layer, p->local,
                          p->what->owners == EP_BLOCKS ? NULL : p->owners));
    ep_ok(p->ctx,
            w4moe_mpi_workspace_create(layer, &ws, args.n_tokens, args.top_k));
    ep_ok(p->ctx, w4moe_mpi_forward(layer, ws, &args, times));
    w4moe_mpi_workspace_destroy(ws);
    w4moe_mpi_layer_destroy(layer);
    return out;
}

void
ep_expect_near(
        const struct ep_problem *p, const void *out, const void *expected)
{
    w4moe_dtype type = p->what->out_dtype != W4MOE_DTYPE_NONE
                               ? p->what->out_dtype
                               : p->what->dtype;
    double step = type == W4MOE_F32 ? 0 : type == W4MOE_F16 ? 0x1p-10 : 0x1p-7;
    for (size_t t = 0; t < p->args.n_tokens; t++) {
        size_t first = t * p->args.out_stride;
        double most = 1;
        for (size_t i = first; i < first + p->what->hidden; i++) {
            double size = fabs(oracle_load(expected, type, i));
            most = size > most ? size : most;
        }
        for (size_t i = first; i < first + p->what->hidden; i++) {
            double a = oracle_load(out, type, i);
            double b = oracle_load(expected, type, i);
            EP_NEED(fabs(a - b) <= step * fabs(b) + 2e-6 * most,
                    "token %zu, column %zu: %.9g, not %.9g", t, i - first, a,
                    b);
        }
    }
}
