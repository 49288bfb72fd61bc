/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Calls with pointers to device memory, on a GPU that is none (fake_hip.h):
 * through pinned memory, and with an MPI library that takes such pointers.
 * Against the whole layer in one process, and against each other. To be started
 * by mpiexec; see run.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device_mpi.h"
#include "ep_case.h"
#include "fake_hip.h"

enum { EXPERTS = 5, CASES = 24, ARRAYS = 6 };

static const unsigned flag_sets[] = {W4MOE_BATCH_INVARIANT, 0,
        W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE, W4MOE_ACCUMULATE,
        W4MOE_BATCH_INVARIANT | W4MOE_ROUTER_WEIGHT_ON_INPUT};

static struct ep_case
make_case(unsigned i)
{
    struct ep_case what = {
            .seed = 0x7900 + i,
            .n_experts = EXPERTS,
            .hidden = 64,
            .inter = 40,
            .n_shared = i % 3 == 0 ? 1 + i % 2 : 0,
            .form = (enum weight_form)(i % N_WEIGHT_FORMS),
            .dtype = i % 2 != 0 ? W4MOE_F16 : W4MOE_BF16,
            .owners = (enum ep_owners)(i % EP_OWNERS),
            .tokens = i % 4 == 3 ? EP_LAST_TOKENS : EP_ANY_TOKENS,
            .routing = (enum ep_routing)(i / 2 % EP_ROUTINGS),
            /* Messages stay below 4 KiB: larger ones a library may read out
             * of another process, whose device memory is closed then. */
            .most_tokens = 2 + i * 7 % 4,
            .top_k = 1 + i % 3,
            .flags = flag_sets[i % 5],
            .chunk_tokens = i % 4 == 0 ? 0 : 1 + i % 3,
            .out_dtype = i % 5 == 4 ? W4MOE_F32 : W4MOE_DTYPE_NONE,
    };
    what.in_place = i % 6 == 1 && what.out_dtype == W4MOE_DTYPE_NONE &&
                    (what.flags & W4MOE_ACCUMULATE) == 0;
    return what;
}

/* -------------------------------------------------------------------- calls */

/* The call with copies of all arrays in device memory. */
struct device_call {
    const struct ep_problem *p;
    w4moe_forward_args args;
    void *arrays[ARRAYS];
    uint64_t sizes[ARRAYS];
    int n;
};

static void *
place(struct device_call *c, const void *host, uint64_t n_bytes)
{
    void **array = &c->arrays[c->n];
    if (host == NULL) {
        return NULL;
    }
    c->sizes[c->n++] = n_bytes + 1;
    ep_ok(c->p->ctx, w4moe_memory_alloc(c->p->ctx, array, n_bytes + 1,
                             W4MOE_MEMORY_DEVICE));
    /* A copy that waits in a stream is done when somebody waits for that. */
    EP_NEED(hipMemcpyAsync(*array, host, n_bytes, hipMemcpyHostToDevice,
                    c->args.stream) == hipSuccess,
            "no copy");
    return *array;
}

static struct device_call
open_device(const struct ep_problem *p, hipStream_t stream)
{
    static const int32_t counts[EXPERTS] = {-1, -1, -1, -1, -1};
    struct device_call c = {.p = p, .args = p->args};
    size_t n_slots = p->args.n_tokens * p->args.top_k;
    size_t n_x = p->args.n_tokens * p->args.x_stride * 2;
    c.args.stream = stream;
    c.args.ids = place(&c, p->args.ids, n_slots * 4);
    c.args.weights = place(&c, p->args.weights, n_slots * 4);
    c.args.router_logits = place(&c, p->args.router_logits,
            p->args.n_tokens * p->what->n_experts * 4);
    c.args.expert_counts = place(&c, counts, sizeof(counts));
    c.args.out = place(&c, p->what->in_place ? p->x : p->before, p->out_size);
    c.args.x = p->what->in_place ? c.args.out : place(&c, p->x, n_x);
    return c;
}

/* What it made: the output, and after that the counts. */
static void *
close_device(struct device_call *c)
{
    const w4moe_ctx *ctx = c->p->ctx;
    size_t n_counts = EXPERTS * sizeof(int32_t);
    char *out = calloc(c->p->out_size + n_counts, 1);
    EP_NEED(out != NULL, "no memory");
    ep_ok(ctx, w4moe_memory_copy(
                       ctx, out, c->args.out, c->p->out_size, c->args.stream));
    ep_ok(ctx, w4moe_memory_copy(ctx, out + c->p->out_size,
                       c->args.expert_counts, n_counts, c->args.stream));
    for (int i = 0; i < c->n; i++) {
        w4moe_memory_free(ctx, c->arrays[i], c->sizes[i], W4MOE_MEMORY_DEVICE);
    }
    return out;
}

static void *
expected_of(const struct ep_problem *p)
{
    struct device_call c = open_device(p, NULL);
    w4moe_workspace *ws = NULL;
    size_t n = p->args.n_tokens;
    ep_ok(p->ctx, w4moe_workspace_create(
                          p->whole, &ws, n != 0 ? n : 1, p->args.top_k));
    ep_ok(p->ctx, w4moe_forward(p->whole, ws, &c.args));
    w4moe_workspace_destroy(ws);
    return close_device(&c);
}

/* The call of these ranks, twice with one workspace. */
static void *
run_on(const struct ep_problem *p, const w4moe_mpi *mpi,
        const w4moe_layer *local, const int32_t *owners, hipStream_t stream)
{
    struct device_call c = open_device(p, stream);
    w4moe_mpi_layer *layer = NULL;
    w4moe_mpi_workspace *ws = NULL;
    w4moe_forward_args first = c.args;
    void *other = place(&c, p->before, p->out_size);
    ep_ok(p->ctx, w4moe_mpi_layer_create(mpi, &layer, local, owners));
    ep_ok(p->ctx, w4moe_mpi_workspace_create(
                          layer, &ws, p->args.n_tokens, p->args.top_k));
    first.out = other;
    first.expert_counts = NULL;
    ep_ok(p->ctx, w4moe_mpi_forward(layer, ws, &first, NULL));
    ep_ok(p->ctx, w4moe_mpi_forward(layer, ws, &c.args, NULL));
    w4moe_mpi_workspace_destroy(ws);
    w4moe_mpi_layer_destroy(layer);
    return close_device(&c);
}

/* Ranks of a communicator, of which MPI gets device memory or not. */
static void *
run_ranks(const struct ep_problem *p, MPI_Comm comm, w4moe_mpi_options options,
        hipStream_t stream)
{
    w4moe_mpi *mpi = NULL;
    int alone = comm == MPI_COMM_SELF;
    unsigned n_before = device_mpi_count();
    int aware = options.device_aware == W4MOE_MPI_DEVICE_AWARE_YES;
    ep_ok(p->ctx, w4moe_mpi_create(p->ctx, &mpi, comm, &options));
    device_mpi_set(aware);
    void *out = run_on(p, mpi, alone ? p->whole : p->local,
            alone || p->what->owners == EP_BLOCKS ? NULL : p->owners, stream);
    device_mpi_set(0);
    w4moe_mpi_destroy(mpi);
    int n_tokens = (int)p->args.n_tokens;
    MPI_Allreduce(MPI_IN_PLACE, &n_tokens, 1, MPI_INT, MPI_MAX, comm);
    EP_NEED((device_mpi_count() != n_before) == (aware && n_tokens != 0),
            "MPI got %u arrays of the device", device_mpi_count() - n_before);
    return out;
}

/* -------------------------------------------------------------------- cases */

/* Lets the choices of each token ascend: one process adds in their order. */
static void
sort_choices(struct ep_problem *p)
{
    size_t k = p->args.top_k;
    for (size_t slot = 0; slot < p->args.n_tokens * k; slot++) {
        for (size_t i = slot; i % k != 0 && p->ids[i - 1] > p->ids[i]; i--) {
            int32_t id = p->ids[i];
            float weight = p->weights[i];
            p->ids[i] = p->ids[i - 1];
            p->weights[i] = p->weights[i - 1];
            p->ids[i - 1] = id;
            p->weights[i - 1] = weight;
        }
    }
}

static void
expect_same(const struct ep_problem *p, const void *a, const void *b,
        size_t n_more, const char *what)
{
    EP_NEED(memcmp(a, b, p->out_size + n_more) == 0,
            "seed %#llx: not the bytes of %s",
            (unsigned long long)p->what->seed, what);
}

/* Results of ranks on the device in both ways, with the counts; and from host
 * memory. */
static void
compare_ways(const struct ep_problem *p, w4moe_mpi_options options,
        const void *out, hipStream_t stream)
{
    struct ep_problem host = *p;
    size_t n_counts = EXPERTS * sizeof(int32_t);
    w4moe_mpi *mpi = NULL;
    options.device_aware = W4MOE_MPI_DEVICE_AWARE_YES;
    void *other = run_ranks(p, MPI_COMM_WORLD, options, stream);
    expect_same(p, other, out, n_counts, "the way through pinned memory");
    free(other);
    host.args.flags |= W4MOE_HOST_IO;
    ep_ok(p->ctx, w4moe_mpi_create(p->ctx, &mpi, MPI_COMM_WORLD, &options));
    other = ep_run(&host, mpi, NULL);
    expect_same(p, other, out, 0, "a call with pointers to host memory");
    free(other);
    w4moe_mpi_destroy(mpi);
}

static void
run_case(const w4moe_ctx *ctx, unsigned i, int has_threads)
{
    struct ep_case what = make_case(i);
    struct ep_problem p;
    hipStream_t stream = NULL;
    int invariant = (what.flags & W4MOE_BATCH_INVARIANT) != 0;
    w4moe_mpi_options options = {
            .struct_size = sizeof(options),
            .chunk_tokens = what.chunk_tokens,
            .progress = i % 3 == 1 && has_threads ? W4MOE_MPI_PROGRESS_THREAD
                                                  : W4MOE_MPI_PROGRESS_AUTO,
            .device_aware = i % 2 != 0 ? W4MOE_MPI_DEVICE_AWARE_NO
                                       : W4MOE_MPI_DEVICE_AWARE_AUTO,
    };
    ep_open(&p, ctx, MPI_COMM_WORLD, &what);
    sort_choices(&p);
    if (i % 2 != 0) {
        EP_NEED(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking) ==
                        hipSuccess,
                "no stream");
    }
    void *expected = expected_of(&p);
    void *out = run_ranks(&p, MPI_COMM_WORLD, options, stream);
    ep_expect_near(&p, out, expected);
    /* Without tokens w4moe_forward() does nothing. */
    EP_NEED(p.args.n_tokens == 0 || memcmp((char *)out + p.out_size,
                                            (char *)expected + p.out_size,
                                            EXPERTS * sizeof(int32_t)) == 0,
            "case %u: other counts", i);
    compare_ways(&p, options, out, stream);
    if (invariant) {
        void *alone = run_ranks(&p, MPI_COMM_SELF, options, stream);
        expect_same(&p, out, alone, 0, "one rank");
        free(alone);
    }
    if (invariant && p.args.ids != NULL) {
        expect_same(&p, out, expected, 0, "one process");
    }
    free(expected);
    free(out);
    EP_NEED(stream == NULL || hipStreamDestroy(stream) == hipSuccess,
            "the stream is lost");
    ep_close(&p);
}

/* ----------------------------------------------------------------- failures */

static const struct ep_case usual = {
        .seed = 0x7980,
        .n_experts = EXPERTS,
        .hidden = 64,
        .inter = 40,
        .n_shared = 1,
        .dtype = W4MOE_BF16,
        .most_tokens = 3,
        .top_k = 2,
        .flags = W4MOE_BATCH_INVARIANT,
        .chunk_tokens = 2,
};

/* Makes the call; its status is some failure on all ranks or on none. Returns
 * that of the last rank, which is the one that fails. */
static w4moe_status
status_of(const struct ep_problem *p, const w4moe_mpi_layer *layer,
        w4moe_mpi_workspace *ws, const w4moe_forward_args *args)
{
    int status = (int)w4moe_mpi_forward(layer, ws, args, NULL);
    int sums[2] = {status != W4MOE_OK, p->rank == p->n_ranks - 1 ? status : 0};
    MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    EP_NEED(sums[0] == 0 || sums[0] == p->n_ranks, "%d ranks have failed",
            sums[0]);
    return (w4moe_status)sums[1];
}

/* Lets each call of a function fail in turn. */
static void
fail_in_turn(const struct ep_problem *p, const w4moe_mpi_layer *layer,
        w4moe_mpi_workspace *ws, const w4moe_forward_args *args,
        const char *function)
{
    unsigned n = 0;
    w4moe_status status;
    do {
        n++;
        if (p->rank == p->n_ranks - 1) {
            fake_hip_fail(function, n, hipErrorUnknown);
        }
        status = status_of(p, layer, ws, args);
        fake_hip_reset();
        EP_NEED(status == W4MOE_OK || status == W4MOE_DEVICE, "%s",
                w4moe_status_string(status));
    } while (status != W4MOE_OK);
    EP_NEED(n > 4, "%s was called %u times", function, n - 1);
}

static void
bad_id(const struct ep_problem *p, const w4moe_mpi_layer *layer,
        w4moe_mpi_workspace *ws, const w4moe_forward_args *args)
{
    const int32_t bad = EXPERTS;
    int32_t *place_of_it = (int32_t *)(uintptr_t)args->ids + 1;
    if (p->rank == p->n_ranks - 1) {
        ep_ok(p->ctx, w4moe_memory_copy(
                              p->ctx, place_of_it, &bad, sizeof(bad), NULL));
    }
    EP_NEED(status_of(p, layer, ws, args) == W4MOE_INVALID, "it is taken");
    EP_NEED(strstr(w4moe_ctx_error(p->ctx), "expert id 5 of token 0") != NULL,
            "%s", w4moe_ctx_error(p->ctx));
}

static void
run_failures(const w4moe_ctx *ctx, w4moe_mpi_device_aware aware)
{
    struct ep_problem p;
    w4moe_mpi *mpi = NULL;
    w4moe_mpi_layer *layer = NULL;
    w4moe_mpi_workspace *ws = NULL;
    w4moe_mpi_options options = {.struct_size = sizeof(options),
            .chunk_tokens = usual.chunk_tokens,
            .device_aware = aware};
    ep_open(&p, ctx, MPI_COMM_WORLD, &usual);
    ep_ok(ctx, w4moe_mpi_create(ctx, &mpi, MPI_COMM_WORLD, &options));
    ep_ok(ctx, w4moe_mpi_layer_create(mpi, &layer, p.local, NULL));
    ep_ok(ctx, w4moe_mpi_workspace_create(
                       layer, &ws, p.args.n_tokens, p.args.top_k));
    device_mpi_set(aware == W4MOE_MPI_DEVICE_AWARE_YES);
    struct device_call c = open_device(&p, NULL);
    fail_in_turn(&p, layer, ws, &c.args, "hipModuleLaunchKernel");
    fail_in_turn(&p, layer, ws, &c.args, "hipMemcpyAsync");
    fail_in_turn(&p, layer, ws, &c.args, "hipStreamSynchronize");
    bad_id(&p, layer, ws, &c.args);
    device_mpi_set(0);
    free(close_device(&c));
    w4moe_mpi_workspace_destroy(ws);
    w4moe_mpi_layer_destroy(layer);
    w4moe_mpi_destroy(mpi);
    ep_close(&p);
}

/* The backend is a part of the program, as in tests/gpu; the module is a door
 * to it. */
extern const struct w4_backend_module *w4moe_backend_module(void);
extern W4MOE_API const struct w4_backend_module *hip_test_module(void);

const struct w4_backend_module *
hip_test_module(void)
{
    return w4moe_backend_module();
}

static w4moe_ctx *
open_context(void)
{
    char here[3000];
    char folder[4000];
    w4moe_ctx *ctx = NULL;
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = "hip",
            .n_threads = 1,
    };
    EP_NEED(getcwd(here, sizeof(here)) != NULL, "no folder");
    snprintf(folder, sizeof(folder), "%s/tests/gpu/door", here);
    setenv("W4MOE_BACKEND_DIR", folder, 1);
    fake_hip_devices(1, "gfx1100");
    EP_NEED(w4moe_ctx_create(&ctx, &options) == W4MOE_OK, "no context: %s",
            fake_hip_message());
    return ctx;
}

int
main(int argc, char **argv)
{
    int level;
    int rank;
    int n_ranks;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    w4moe_ctx *ctx = open_context();
    for (unsigned i = 0; i < CASES; i++) {
        run_case(ctx, i, level >= MPI_THREAD_SERIALIZED);
    }
    run_failures(ctx, W4MOE_MPI_DEVICE_AWARE_NO);
    run_failures(ctx, W4MOE_MPI_DEVICE_AWARE_YES);
    w4moe_ctx_destroy(ctx);
    EP_NEED(fake_hip_live() == 0 && fake_hip_message()[0] == '\0',
            "%zu things are left; %s", fake_hip_live(), fake_hip_message());
    if (rank == 0) {
        printf("%d cases in device memory on %d ranks\n", (int)CASES, n_ranks);
    }
    MPI_Finalize();
    return 0;
}
