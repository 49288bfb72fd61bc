/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Times forward calls on a GPU, from device memory, as an engine makes them:
 * many calls are captured in a graph, each with its own tokens, experts and one
 * of several layers, so that weights come from memory and not from a cache; the
 * graph is replayed. Also shows that replays and repeats give the same bytes.
 *
 * usage: bench_gpu E,k,H,I,g bf16|fp16 [hidden] T...
 *
 * With "hidden" calls start from hidden states: a router with a weight, sigmoid
 * scores and, of 8 groups, 4 chooses the experts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <w4moe.h>

#include "../hip/hip_api.h"
#include "base/half.h"
#include "random.h"

enum { LAYERS = 4, REPLAYS = 9 };

static const w4moe_ctx *context;

static void
check(w4moe_status status, const char *what)
{
    if (status != W4MOE_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, w4moe_status_string(status),
                context != NULL ? w4moe_ctx_error(context) : "");
        exit(1);
    }
}

static void
check_hip(hipError_t error, const char *what)
{
    if (error != hipSuccess) {
        fprintf(stderr, "%s: %s\n", what, hipGetErrorName(error));
        exit(1);
    }
}

static struct random_state random_state;

static uint32_t
next(void)
{
    return (uint32_t)(random_next(&random_state) >> 32);
}

/* Roughly normal. */
static float
normal(void)
{
    float sum = 0.0f;
    for (int i = 0; i < 6; i++) {
        sum += (float)(next() >> 8) * 0x1p-24f;
    }
    return (sum - 3.0f) * 1.4142f;
}

static void *
allocate(size_t size)
{
    void *p = malloc(size);
    if (p == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return p;
}

struct shape {
    size_t n_experts, top_k, hidden, inter, group;
    w4moe_dtype dtype;
    int from_hidden;
};

static void
fill(w4moe_matrix *m)
{
    size_t words = m->n_experts * m->n_out * m->n_in / 8;
    size_t scales = m->n_experts * m->n_out * (m->n_in / m->group_size);
    m->qweight = allocate(words * 4);
    uint16_t *s = allocate(scales * 2);
    for (size_t i = 0; i < words; i++) {
        m->qweight[i] = next();
    }
    for (size_t i = 0; i < scales; i++) {
        w4_store_float(s, m->scale_dtype, i,
                0.005f + (float)(next() & 255) * 0.00006f);
    }
    m->scales = s;
}

static w4moe_layer *
make_layer(const struct shape *shape)
{
    w4moe_matrix w13 = {.struct_size = sizeof(w13),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = shape->n_experts,
            .n_out = 2 * shape->inter,
            .n_in = shape->hidden,
            .group_size = shape->group,
            .gated = 1,
            .scale_dtype = shape->dtype};
    w4moe_matrix w2 = w13;
    w2.n_out = shape->hidden;
    w2.n_in = shape->inter;
    w2.gated = 0;
    fill(&w13);
    fill(&w2);
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc), .w13 = &w13, .w2 = &w2};
    desc.activation.struct_size = sizeof(desc.activation);
    desc.activation.kind = W4MOE_ACT_SILU;
    uint16_t *router = allocate(shape->n_experts * shape->hidden * 2);
    for (size_t i = 0; i < shape->n_experts * shape->hidden; i++) {
        w4_store_float(router, shape->dtype, i, 0.02f * normal());
    }
    if (shape->from_hidden) {
        desc.router = (w4moe_router){.struct_size = sizeof(desc.router),
                .kind = W4MOE_ROUTER_SIGMOID,
                .renormalize = 1,
                .n_group = 8,
                .topk_group = 4,
                .weight = router,
                .weight_dtype = shape->dtype};
    }
    w4moe_layer *layer;
    check(w4moe_layer_create(context, &layer, &desc, W4MOE_LAYER_COPY),
            "layer");
    free(w13.qweight);
    free(w13.scales);
    free(w2.qweight);
    free(w2.scales);
    free(router);
    return layer;
}

static void *
to_device(const void *host, size_t size)
{
    void *p;
    check_hip(hipMalloc(&p, size), "hipMalloc");
    check_hip(hipMemcpy(p, host, size, hipMemcpyHostToDevice), "hipMemcpy");
    return p;
}

/* k different experts for each token. */
static void
choose(int32_t *ids, float *weights, size_t n_tokens, const struct shape *shape)
{
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t j = 0; j < shape->top_k; j++) {
            int32_t id;
            int again;
            do {
                id = (int32_t)random_below(
                        &random_state, (uint32_t)shape->n_experts);
                again = 0;
                for (size_t i = 0; i < j; i++) {
                    again |= ids[t * shape->top_k + i] == id;
                }
            } while (again);
            ids[t * shape->top_k + j] = id;
            weights[t * shape->top_k + j] = 1.0f / (float)shape->top_k;
        }
    }
}

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
run(w4moe_layer *const layers[LAYERS], const struct shape *shape, size_t T)
{
    size_t calls = T <= 64 ? 64 : 16;
    size_t n_x = T * shape->hidden;
    size_t n_slots = T * shape->top_k;
    uint16_t *x = allocate(calls * n_x * 2);
    int32_t *ids = allocate(calls * n_slots * 4);
    float *weights = allocate(calls * n_slots * 4);
    for (size_t i = 0; i < calls * n_x; i++) {
        w4_store_float(x, shape->dtype, i, normal());
    }
    choose(ids, weights, calls * T, shape);
    char *dx = to_device(x, calls * n_x * 2);
    char *dids = to_device(ids, calls * n_slots * 4);
    char *dweights = to_device(weights, calls * n_slots * 4);
    char *out = to_device(x, calls * n_x * 2);
    w4moe_workspace *ws;
    check(w4moe_workspace_create(layers[0], &ws, T, shape->top_k), "workspace");
    hipStream_t stream;
    check_hip(hipStreamCreate(&stream), "hipStreamCreate");
    hipGraph_t graph;
    hipGraphExec_t exec;
    uint16_t *first = allocate(calls * n_x * 2);
    uint16_t *second = allocate(calls * n_x * 2);
    for (int captured = 0; captured < 2; captured++) {
        if (captured) {
            check_hip(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal),
                    "begin");
        }
        for (size_t c = 0; c < calls; c++) {
            w4moe_forward_args args = {.struct_size = sizeof(args),
                    .out = out + c * n_x * 2,
                    .x = dx + c * n_x * 2,
                    .dtype = shape->dtype,
                    .n_tokens = T,
                    .top_k = shape->top_k,
                    .ids = (const int32_t *)(dids + c * n_slots * 4),
                    .weights = (const float *)(dweights + c * n_slots * 4),
                    .stream = stream};
            if (shape->from_hidden) {
                args.ids = NULL;
                args.weights = NULL;
            }
            check(w4moe_forward(layers[c % LAYERS], ws, &args), "forward");
        }
        if (captured) {
            check_hip(hipStreamEndCapture(stream, &graph), "end");
        }
        check_hip(hipStreamSynchronize(stream), "synchronize");
        if (!captured) {
            check_hip(hipMemcpy(first, out, calls * n_x * 2,
                              hipMemcpyDeviceToHost),
                    "hipMemcpy");
            check_hip(hipMemcpy(out, x, calls * n_x * 2, hipMemcpyHostToDevice),
                    "hipMemcpy");
        }
    }
    check_hip(hipGraphInstantiate(&exec, graph, NULL, NULL, 0), "instantiate");
    double times[REPLAYS];
    int same = 1;
    for (int r = -1; r < REPLAYS; r++) {
        double start = now();
        check_hip(hipGraphLaunch(exec, stream), "hipGraphLaunch");
        check_hip(hipStreamSynchronize(stream), "synchronize");
        if (r >= 0) {
            times[r] = (now() - start) / (double)calls;
        }
        check_hip(
                hipMemcpy(second, out, calls * n_x * 2, hipMemcpyDeviceToHost),
                "hipMemcpy");
        same &= memcmp(first, second, calls * n_x * 2) == 0;
    }
    qsort(times, REPLAYS, sizeof(times[0]), compare);
    double flops = 6.0 * (double)n_slots * (double)shape->hidden *
                   (double)shape->inter;
    printf("%6zu %10.1f us %8.1f TFLOP/s   replays equal: %s\n", T,
            times[REPLAYS / 2] * 1e6, flops / times[REPLAYS / 2] * 1e-12,
            same ? "yes" : "NO");
    fflush(stdout);
    hipGraphExecDestroy(exec);
    hipGraphDestroy(graph);
    hipStreamDestroy(stream);
    w4moe_workspace_destroy(ws);
    hipFree(dx);
    hipFree(dids);
    hipFree(dweights);
    hipFree(out);
    free(x);
    free(ids);
    free(weights);
    free(first);
    free(second);
}

int
main(int argc, char **argv)
{
    struct shape shape = {0};
    if (argc < 4 || sscanf(argv[1], "%zu,%zu,%zu,%zu,%zu", &shape.n_experts,
                            &shape.top_k, &shape.hidden, &shape.inter,
                            &shape.group) != 5) {
        fprintf(stderr, "usage: bench_gpu E,k,H,I,g bf16|fp16 [hidden] T...\n");
        return 2;
    }
    shape.dtype = strcmp(argv[2], "fp16") == 0 ? W4MOE_F16 : W4MOE_BF16;
    shape.from_hidden = strcmp(argv[3], "hidden") == 0;
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "hip"};
    w4moe_ctx *ctx = NULL;
    check(w4moe_ctx_create(&ctx, &options), "context");
    context = ctx;
    fputs(w4moe_ctx_describe(ctx), stdout);
    printf("shape %s %s, %d layers in turn%s\n", argv[1], argv[2], LAYERS,
            shape.from_hidden ? ", from hidden states" : "");
    w4moe_layer *layers[LAYERS];
    for (int i = 0; i < LAYERS; i++) {
        layers[i] = make_layer(&shape);
    }
    for (int i = 3 + shape.from_hidden; i < argc; i++) {
        run(layers, &shape, (size_t)strtoull(argv[i], NULL, 10));
    }
    for (int i = 0; i < LAYERS; i++) {
        w4moe_layer_destroy(layers[i]);
    }
    w4moe_ctx_destroy(ctx);
    return 0;
}
