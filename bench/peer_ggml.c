/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * peer_ggml: times one MoE layer in the system's ggml, for comparison with
 * moe-bench; see compare.sh.
 *
 * Not part of the build: it needs ggml (tried: 0.27), which Debian has as
 * libggml-dev from sid on. In the top folder of the source:
 *
 *     cc -std=gnu11 -O2 -Itools bench/peer_ggml.c -o peer_ggml \
 *         $(pkg-config --cflags --libs ggml) -lggml-base -lm
 *
 * As in moe-bench every call has new experts, uniformly at random without
 * repetition within a token, and a row is the median after two calls to warm
 * up. Router and softmax are left out on both sides. Activations are fp32
 * here, which is what ggml's matrix products take.
 */
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

enum { ROWS_MAX = 64, CALLS_MIN = 5, CALLS_MAX = 20000, WARM_UP_CALLS = 2 };

/* Rows that are quantised; the matrices repeat them, because quantising a whole
 * large layer takes long and no product's speed depends on the values. */
enum { QUANTISED_ROWS = 64 };

static const char help[] =
        "Usage: peer_ggml [OPTION]...\n"
        "Times one MoE layer of random weights in ggml on the CPU. Prints a\n"
        "line \"tokens milliseconds\" for each number of tokens.\n"
        "\n"
        "  --shape=E,k,H,I  experts, experts per token, hidden size,\n"
        "                   intermediate size (default 128,8,2048,768)\n"
        "  --tokens=LIST    tokens per call (default 1,16,64,512)\n"
        "  --type=TYPE      ggml's name of the weights' type: q4_0 (default),\n"
        "                   mxfp4, q4_K, ...\n"
        "  --threads=N      threads (default: the number of processors)\n"
        "  --no-repack      weights in ggml's common layout\n"
        "  --seconds=S      time for each row (default 1)\n"
        "  --help           print this text\n";

struct options {
    /* E, k, H, I. */
    long shape[4];
    long tokens[ROWS_MAX];
    size_t n_rows;
    enum ggml_type type;
    int n_threads;
    int repack;
    double seconds;
};

struct layer {
    ggml_backend_t backend;
    struct ggml_context *ctx;
    ggml_backend_buffer_t buffer;
    struct ggml_tensor *gate;
    struct ggml_tensor *up;
    struct ggml_tensor *down;
};

/* The graph of a row and its inputs. */
struct call {
    struct ggml_context *ctx;
    ggml_backend_buffer_t buffer;
    struct ggml_cgraph *graph;
    struct ggml_tensor *x;
    struct ggml_tensor *ids;
    struct ggml_tensor *weights;
    /* A permutation of the experts, of which each token takes the first k. */
    int32_t *experts;
    int32_t *chosen;
};

static void
die(const char *what, const char *detail)
{
    fprintf(stderr, "peer_ggml: %s%s%s\n", what, detail ? ": " : "",
            detail ? detail : "");
    exit(1);
}

static void *
alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL) {
        die("no memory", NULL);
    }
    return p;
}

static double
seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Reads numbers above 0 with commas between them. Returns how many. */
static size_t
read_list(const char *text, long *values, size_t n_max)
{
    size_t n = 0;
    const char *p = text;
    for (;;) {
        char *end = NULL;
        errno = 0;
        long value = strtol(p, &end, 10);
        if (end == p || errno != 0 || value < 1 || value > INT32_MAX ||
                n == n_max || (*end != ',' && *end != '\0')) {
            die("not a list of numbers", text);
        }
        values[n++] = value;
        if (*end == '\0') {
            return n;
        }
        p = end + 1;
    }
}

static void
read_shape(struct options *options, const char *text)
{
    if (read_list(text, options->shape, 4) != 4 ||
            options->shape[1] > options->shape[0]) {
        die("not a shape E,k,H,I", text);
    }
}

static enum ggml_type
read_type(const char *name)
{
    for (int i = 0; i < GGML_TYPE_COUNT; i++) {
        enum ggml_type type = (enum ggml_type)i;
        const char *known = ggml_type_name(type);
        if (known != NULL && strcmp(known, name) == 0 &&
                ggml_is_quantized(type) &&
                !ggml_quantize_requires_imatrix(type)) {
            return type;
        }
    }
    die("not a type of quantised weights", name);
    return GGML_TYPE_COUNT;
}

static double
read_seconds(const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value > 0.0 && value <= 3600.0)) {
        die("not a time of 0 to 3600 seconds", text);
    }
    return value;
}

static void
read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
            {"shape", required_argument, NULL, 's'},
            {"tokens", required_argument, NULL, 't'},
            {"type", required_argument, NULL, 'y'},
            {"threads", required_argument, NULL, 'n'},
            {"no-repack", no_argument, NULL, 'r'},
            {"seconds", required_argument, NULL, 'd'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    long number = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 's':
            read_shape(options, optarg);
            break;
        case 't':
            options->n_rows = read_list(optarg, options->tokens, ROWS_MAX);
            break;
        case 'y':
            options->type = read_type(optarg);
            break;
        case 'n':
            read_list(optarg, &number, 1);
            options->n_threads = (int)number;
            break;
        case 'r':
            options->repack = 0;
            break;
        case 'd':
            options->seconds = read_seconds(optarg);
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        die("takes options only", argv[optind]);
    }
}

static struct ggml_context *
context_new(void)
{
    /* Descriptions only; data is in buffers. */
    struct ggml_init_params params = {
            .mem_size = GGML_DEFAULT_GRAPH_SIZE * ggml_tensor_overhead() +
                        ggml_graph_overhead(),
            .no_alloc = true,
    };
    struct ggml_context *ctx = ggml_init(params);
    if (ctx == NULL) {
        die("no memory for a context", NULL);
    }
    return ctx;
}

/* Whether the device multiplies weights of this kind out of that memory. */
static int
can_multiply(ggml_backend_dev_t dev, ggml_backend_buffer_type_t buft,
        const struct options *options)
{
    const long *shape = options->shape;
    struct ggml_context *ctx = context_new();
    struct ggml_tensor *w = ggml_new_tensor_3d(
            ctx, options->type, shape[2], shape[3], shape[0]);
    struct ggml_tensor *x =
            ggml_new_tensor_3d(ctx, GGML_TYPE_F32, shape[2], 1, 1);
    struct ggml_tensor *ids =
            ggml_new_tensor_2d(ctx, GGML_TYPE_I32, shape[1], 1);
    struct ggml_tensor *product = ggml_mul_mat_id(ctx, w, x, ids);
    w->buffer = ggml_backend_buft_alloc_buffer(buft, 0);
    int can = ggml_backend_dev_supports_op(dev, product);
    ggml_backend_buffer_free(w->buffer);
    ggml_free(ctx);
    return can;
}

/* The first of the device's special memories that serves, as llama.cpp does
 * it; else its common one. */
static ggml_backend_buffer_type_t
choose_buffer_type(ggml_backend_dev_t dev, const struct options *options)
{
    ggml_backend_dev_get_extra_bufts_t get_extra =
            (ggml_backend_dev_get_extra_bufts_t)
                    ggml_backend_reg_get_proc_address(
                            ggml_backend_dev_backend_reg(dev),
                            "ggml_backend_dev_get_extra_bufts");
    ggml_backend_buffer_type_t *extra =
            options->repack && get_extra != NULL ? get_extra(dev) : NULL;
    for (; extra != NULL && *extra != NULL; extra++) {
        if (can_multiply(dev, *extra, options)) {
            return *extra;
        }
    }
    return ggml_backend_dev_buffer_type(dev);
}

static ggml_backend_t
backend_new(ggml_backend_dev_t dev, int n_threads)
{
    ggml_backend_t backend = ggml_backend_dev_init(dev, NULL);
    ggml_backend_set_n_threads_t set_n_threads =
            (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(
                    ggml_backend_dev_backend_reg(dev),
                    "ggml_backend_set_n_threads");
    if (backend == NULL || set_n_threads == NULL) {
        die("no CPU backend with a number of threads", NULL);
    }
    set_n_threads(backend, n_threads);
    return backend;
}

/* A number in [-1, 1). */
static float
random_float(struct random_state *state)
{
    return (float)(int32_t)(random_next(state) >> 32) * 0x1p-31f;
}

static void
fill_weights(struct ggml_tensor *matrix, struct random_state *state)
{
    size_t n = (size_t)matrix->ne[0] * QUANTISED_ROWS;
    size_t row_bytes = ggml_row_size(matrix->type, matrix->ne[0]);
    size_t part = row_bytes * QUANTISED_ROWS;
    size_t total = ggml_nbytes(matrix);
    float *values = alloc(n, sizeof(values[0]));
    char *bytes = alloc(total + part, 1);
    for (size_t i = 0; i < n; i++) {
        values[i] = 0.05f * random_float(state);
    }
    ggml_quantize_chunk(matrix->type, values, bytes, 0, QUANTISED_ROWS,
            matrix->ne[0], NULL);
    for (size_t done = part; done < total; done += part) {
        memcpy(bytes + done, bytes, part);
    }
    /* In one piece: memory that repacks takes whole tensors only. */
    ggml_backend_tensor_set(matrix, bytes, 0, total);
    free(values);
    free(bytes);
}

static void
layer_make(struct layer *layer, const struct options *options)
{
    const long *shape = options->shape;
    struct random_state state = {1};
    ggml_backend_dev_t dev =
            ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (dev == NULL) {
        die("no CPU device", NULL);
    }
    if (shape[2] % ggml_blck_size(options->type) != 0 ||
            shape[3] % ggml_blck_size(options->type) != 0) {
        die("H and I must be multiples of the type's block", NULL);
    }
    layer->backend = backend_new(dev, options->n_threads);
    ggml_backend_buffer_type_t buft = choose_buffer_type(dev, options);
    layer->ctx = context_new();
    layer->gate = ggml_new_tensor_3d(
            layer->ctx, options->type, shape[2], shape[3], shape[0]);
    layer->up = ggml_dup_tensor(layer->ctx, layer->gate);
    layer->down = ggml_new_tensor_3d(
            layer->ctx, options->type, shape[3], shape[2], shape[0]);
    layer->buffer = ggml_backend_alloc_ctx_tensors_from_buft(layer->ctx, buft);
    if (layer->buffer == NULL) {
        die("no memory for the weights", NULL);
    }
    fill_weights(layer->gate, &state);
    fill_weights(layer->up, &state);
    fill_weights(layer->down, &state);
    fprintf(stderr,
            "peer_ggml: ggml %s, backend %s (%s), weights %s in buffer type "
            "%s (%s), %d threads\n",
            ggml_version(), ggml_backend_name(layer->backend),
            ggml_backend_dev_description(dev), ggml_type_name(options->type),
            ggml_backend_buft_name(buft),
            buft == ggml_backend_dev_buffer_type(dev) ? "not repacked"
                                                      : "repacked",
            options->n_threads);
}

/* down(silu(gate(x)) * up(x)) of each expert, and the sum over a token's k
 * experts with their weights. */
static struct ggml_tensor *
build(struct ggml_context *ctx, const struct layer *layer,
        const struct call *call)
{
    struct ggml_tensor *gate =
            ggml_mul_mat_id(ctx, layer->gate, call->x, call->ids);
    struct ggml_tensor *up =
            ggml_mul_mat_id(ctx, layer->up, call->x, call->ids);
    struct ggml_tensor *act = ggml_swiglu_split(ctx, gate, up);
    struct ggml_tensor *down =
            ggml_mul_mat_id(ctx, layer->down, act, call->ids);
    /* [H, k, T] */
    struct ggml_tensor *parts = ggml_mul(ctx, down, call->weights);
    struct ggml_tensor *sum = NULL;
    for (int64_t j = 0; j < parts->ne[1]; j++) {
        struct ggml_tensor *part = ggml_view_2d(ctx, parts, parts->ne[0],
                parts->ne[2], parts->nb[2], (size_t)j * parts->nb[1]);
        sum = sum == NULL ? part : ggml_add(ctx, sum, part);
    }
    return sum;
}

static void
fill_inputs(struct call *call, long top_k)
{
    struct random_state state = {2};
    size_t n_x = (size_t)ggml_nelements(call->x);
    size_t n_weights = (size_t)ggml_nelements(call->weights);
    float *values = alloc(n_x > n_weights ? n_x : n_weights, sizeof(values[0]));
    for (size_t i = 0; i < n_x; i++) {
        values[i] = random_float(&state);
    }
    ggml_backend_tensor_set(call->x, values, 0, ggml_nbytes(call->x));
    for (size_t i = 0; i < n_weights; i++) {
        values[i] = 1.0f / (float)top_k;
    }
    ggml_backend_tensor_set(
            call->weights, values, 0, ggml_nbytes(call->weights));
    free(values);
}

static void
call_make(struct call *call, const struct layer *layer,
        const struct options *options, long n_tokens)
{
    long n_experts = options->shape[0];
    long top_k = options->shape[1];
    struct ggml_context *ctx = context_new();
    call->ctx = ctx;
    call->x = ggml_new_tensor_3d(
            ctx, GGML_TYPE_F32, options->shape[2], 1, n_tokens);
    call->ids = ggml_new_tensor_2d(ctx, GGML_TYPE_I32, top_k, n_tokens);
    call->weights = ggml_new_tensor_3d(ctx, GGML_TYPE_F32, 1, top_k, n_tokens);
    call->buffer = ggml_backend_alloc_ctx_tensors(ctx, layer->backend);
    if (call->buffer == NULL) {
        die("no memory for the activations", NULL);
    }
    fill_inputs(call, top_k);
    call->graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(call->graph, build(ctx, layer, call));
    call->experts = alloc((size_t)n_experts, sizeof(call->experts[0]));
    for (long e = 0; e < n_experts; e++) {
        call->experts[e] = (int32_t)e;
    }
    call->chosen = alloc((size_t)(n_tokens * top_k), sizeof(call->chosen[0]));
}

static void
call_free(struct call *call)
{
    free(call->chosen);
    free(call->experts);
    ggml_backend_buffer_free(call->buffer);
    ggml_free(call->ctx);
}

/* New experts for every token: the first k steps of a shuffle. */
static void
choose(struct call *call, struct random_state *state, long n_experts)
{
    int64_t top_k = call->ids->ne[0];
    for (int64_t t = 0; t < call->ids->ne[1]; t++) {
        for (int64_t j = 0; j < top_k; j++) {
            int64_t other = j + random_below(state, (uint32_t)(n_experts - j));
            int32_t expert = call->experts[other];
            call->experts[other] = call->experts[j];
            call->experts[j] = expert;
            call->chosen[t * top_k + j] = expert;
        }
    }
    ggml_backend_tensor_set(call->ids, call->chosen, 0, ggml_nbytes(call->ids));
}

/* Returns the median of the calls. */
static double
time_calls(struct call *call, const struct layer *layer,
        const struct options *options)
{
    static double seconds[CALLS_MAX];
    struct random_state state = {1};
    double total = 0.0;
    size_t n = 0;
    for (int number = 0;
            n < CALLS_MIN || (n < CALLS_MAX && total < options->seconds);
            number++) {
        choose(call, &state, options->shape[0]);
        double start = seconds_now();
        enum ggml_status status =
                ggml_backend_graph_compute(layer->backend, call->graph);
        double time = seconds_now() - start;
        if (status != GGML_STATUS_SUCCESS) {
            die("the graph failed", ggml_status_to_string(status));
        }
        if (number >= WARM_UP_CALLS) {
            seconds[n++] = time;
            total += time;
        }
    }
    qsort(seconds, n, sizeof(seconds[0]), compare_seconds);
    return n % 2 ? seconds[n / 2] : 0.5 * (seconds[n / 2 - 1] + seconds[n / 2]);
}

static void
time_row(
        const struct layer *layer, const struct options *options, long n_tokens)
{
    struct call call;
    call_make(&call, layer, options, n_tokens);
    ggml_gallocr_t between = ggml_gallocr_new(
            ggml_backend_get_default_buffer_type(layer->backend));
    if (between == NULL || !ggml_gallocr_alloc_graph(between, call.graph)) {
        die("no memory between the operations", NULL);
    }
    printf("%ld %.4f\n", n_tokens, 1e3 * time_calls(&call, layer, options));
    fflush(stdout);
    ggml_gallocr_free(between);
    call_free(&call);
}

int
main(int argc, char **argv)
{
    struct options options = {
            .shape = {128, 8, 2048, 768},
            .tokens = {1, 16, 64, 512},
            .n_rows = 4,
            .type = GGML_TYPE_Q4_0,
            .n_threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
            .repack = 1,
            .seconds = 1.0,
    };
    struct layer layer;
    read_options(&options, argc, argv);
    ggml_backend_load_all();
    layer_make(&layer, &options);
    for (size_t i = 0; i < options.n_rows; i++) {
        time_row(&layer, &options, options.tokens[i]);
    }
    ggml_backend_buffer_free(layer.buffer);
    ggml_free(layer.ctx);
    ggml_backend_free(layer.backend);
    return 0;
}
