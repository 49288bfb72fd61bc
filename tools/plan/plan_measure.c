/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Measures what one rank does; see plan_measure.h. Each step is that of a file
 * in mpi/: experts.c, forward.c, add.c. */
#include "plan_measure.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench_route.h"
#include "common.h"

/* Calls, and what is computed at most: so many slots in all and so many of an
 * expert; so many rows are copied or added up. Above, time is proportional. */
enum {
    CALLS_MAX = 1000,
    WARM_UP_CALLS = 2,
    SLOTS_MAX = 4096,
    SLOTS_OF_EXPERT = 32,
    ROWS_MAX = 8192,
    IN_ROW_MAX = 16
};
static const double measure_seconds = 0.05;

enum what { WHAT_COMPUTE, WHAT_COPY, WHAT_ADD, WHAT_SHARED };

/* Arrays of what is measured, all of them for free(). */
struct work {
    struct plan_bench *bench;
    size_t block;
    /* Rows and, of choices that are here, slots. */
    size_t n_rows;
    size_t n_slots;
    size_t top_k;
    void *rows;
    void *slots;
    float *results;
    int32_t *ids;
    float *weights;
    int32_t *row_ids;
    int32_t *map;
    int32_t *experts;
    int32_t *token;
    struct random_state random;
    /* Where the next block begins. */
    size_t next;
    w4moe_workspace *ws;
};

static void
work_free(struct work *w)
{
    w4moe_workspace_destroy(w->ws);
    free(w->rows);
    free(w->slots);
    free(w->results);
    free(w->ids);
    free(w->weights);
    free(w->row_ids);
    free(w->map);
    free(w->experts);
    free(w->token);
}

/* ------------------------------------------------------------------ timing */

static int
agree(const struct plan_bench *bench, int code)
{
    return bench->team != NULL ? bench->team->together(code) : code;
}

/* The mean time of as many steps in a row as is wanted. */
static w4moe_status
steps(struct work *w, void (*prepare)(struct work *w),
        w4moe_status (*step)(struct work *w), double *seconds)
{
    const struct plan_bench *bench = w->bench;
    size_t n = bench->team != NULL && bench->in_row > 0 ? bench->in_row : 1;
    w4moe_status status = W4MOE_OK;
    if (bench->team != NULL) {
        bench->team->wait();
    }
    for (size_t i = 0; i < n && status == W4MOE_OK; i++) {
        if (prepare != NULL) {
            prepare(w);
        }
        double start = tool_seconds();
        status = step(w);
        *seconds += (tool_seconds() - start) / (double)n;
    }
    return status;
}

/* The median time of a step, of the slowest process; `prepare` makes what a
 * call needs, outside of the time, and may be NULL. */
static int
time_step(struct work *w, void (*prepare)(struct work *w),
        w4moe_status (*step)(struct work *w), double *seconds_p)
{
    const struct plan_bench *bench = w->bench;
    double seconds[CALLS_MAX];
    double total = 0.0;
    size_t n = 0;
    for (size_t number = 1;
            n < CALLS_MAX && (n < bench->n_repeats || total < measure_seconds);
            number++) {
        double taken = 0.0;
        w4moe_status status = steps(w, prepare, step, &taken);
        int code =
                status == W4MOE_OK ? TOOL_OK : tool_failed(bench->ctx, status);
        code = agree(bench, code);
        if (code != TOOL_OK) {
            return code;
        }
        taken = bench->team != NULL ? bench->team->largest(taken) : taken;
        if (number > WARM_UP_CALLS) {
            seconds[n++] = taken;
            total += taken;
        }
    }
    *seconds_p = tool_median(seconds, n);
    return TOOL_OK;
}

/* --------------------------------------------------------------- computing */

/* Says which experts are here: the next block. Blocks take turns as a model's
 * layers do, so that few experts are not always those in the cache. */
static void
choose_block(struct work *w)
{
    const struct plan_bench *bench = w->bench;
    for (size_t e = 0; e < bench->n_experts; e++) {
        w->map[e] = -1;
    }
    if (w->next + w->block > bench->n_here) {
        w->next = 0;
    }
    for (size_t i = w->next; i < w->next + w->block; i++) {
        w->map[bench->first_expert + i] = (int32_t)i;
    }
    w->next += w->block;
}

/* The next token that has a choice here; returns how many it has. */
static size_t
next_token(struct work *w)
{
    const struct plan_bench *bench = w->bench;
    size_t n = 0;
    while (n == 0) {
        bench_route(BENCH_ROUTING_UNIFORM, w->token, w->experts, &w->random, 1,
                bench->n_experts, bench->top_k);
        for (size_t j = 0; j < bench->top_k; j++) {
            n += w->map[w->token[j]] >= 0;
        }
    }
    return n;
}

/* New choices for all rows. In exact calls the rows are those of slots. */
static void
choose_rows(struct work *w)
{
    size_t k = w->bench->top_k;
    choose_block(w);
    w->n_slots = 0;
    for (size_t row = 0; row < w->n_rows; row++) {
        size_t n = next_token(w);
        if (!w->bench->exact) {
            memcpy(w->ids + row * k, w->token, k * sizeof(w->ids[0]));
            w->n_slots += n;
            continue;
        }
        for (size_t j = 0; j < k; j++) {
            if (w->map[w->token[j]] >= 0) {
                w->ids[w->n_slots] = w->token[j];
                w->row_ids[w->n_slots++] = (int32_t)row;
            }
        }
    }
}

/* A copy of its row for each slot. */
static w4moe_status
copy_slots(struct work *w)
{
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = w->slots,
            .out_dtype = w->bench->dtype,
            .rows = w->rows,
            .row_dtype = w->bench->dtype,
            .n_rows = w->n_rows,
            .row_ids = w->row_ids,
            .n_tokens = w->n_slots,
            .k = 1,
            .n_columns = w->bench->info.hidden_size,
            .flags = W4MOE_HOST_IO,
    };
    return w4moe_combine(w->bench->ctx, &args);
}

static w4moe_status
compute(struct work *w)
{
    const struct plan_bench *bench = w->bench;
    w4moe_status status = bench->exact ? copy_slots(w) : W4MOE_OK;
    const w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = w->results,
            .x = bench->exact ? w->slots : w->rows,
            .dtype = bench->dtype,
            .n_tokens = bench->exact ? w->n_slots : w->n_rows,
            .top_k = w->top_k,
            .ids = w->ids,
            .weights = w->weights,
            .expert_map = w->map,
            .n_experts_global = bench->n_experts,
            .flags = W4MOE_HOST_IO | W4MOE_NO_SHARED |
                     (bench->exact ? W4MOE_BATCH_INVARIANT : 0u),
            .out_dtype = W4MOE_F32,
    };
    return status == W4MOE_OK ? w4moe_forward(bench->layer, w->ws, &args)
                              : status;
}

/* Memory for computing; a row has at most so many choices here. */
static int
make_compute(struct work *w)
{
    const struct plan_bench *bench = w->bench;
    size_t hidden = bench->info.hidden_size;
    size_t most = w->block < bench->top_k ? w->block : bench->top_k;
    size_t n_calls = bench->exact ? w->n_rows * most : w->n_rows;
    size_t n_ids = w->n_rows * bench->top_k;
    w->top_k = bench->exact ? 1 : bench->top_k;
    w->random = (struct random_state){11};
    w->rows = tool_alloc(w->n_rows, hidden * 2, "rows");
    w->slots = tool_alloc(bench->exact ? n_calls : 1, hidden * 2, "slots");
    w->results = tool_alloc(n_calls, hidden * sizeof(float), "results");
    w->ids = tool_alloc(n_ids, sizeof(w->ids[0]), "ids");
    w->weights = tool_alloc(n_ids, sizeof(w->weights[0]), "weights");
    w->row_ids = tool_alloc(n_ids, sizeof(w->row_ids[0]), "rows");
    w->map = tool_alloc(bench->n_experts, sizeof(w->map[0]), "experts");
    w->experts = tool_alloc(bench->n_experts, sizeof(w->experts[0]), "experts");
    w->token = tool_alloc(bench->top_k, sizeof(w->token[0]), "ids");
    if (w->rows == NULL || w->slots == NULL || w->results == NULL ||
            w->ids == NULL || w->weights == NULL || w->row_ids == NULL ||
            w->map == NULL || w->experts == NULL || w->token == NULL) {
        return TOOL_ERROR;
    }
    bench_fill_x(w->rows, w->n_rows * hidden, bench->dtype, 7);
    bench_route_begin(w->experts, bench->n_experts);
    for (size_t i = 0; i < n_ids; i++) {
        w->weights[i] = 1.0f / (float)bench->top_k;
    }
    w4moe_status status =
            w4moe_workspace_create(bench->layer, &w->ws, n_calls, w->top_k);
    return status == W4MOE_OK ? TOOL_OK : tool_failed(bench->ctx, status);
}

static w4moe_status
nothing(struct work *w)
{
    (void)w;
    return W4MOE_OK;
}

static int
measure_compute(
        struct plan_bench *bench, size_t block, size_t n_rows, double *seconds)
{
    struct work w = {
            .bench = bench,
            .block = block < bench->n_here ? block : bench->n_here,
            .n_rows = n_rows,
    };
    int idle = w.block == 0;
    int code = agree(bench, idle ? TOOL_OK : make_compute(&w));
    if (code == TOOL_OK) {
        code = time_step(&w, idle ? NULL : choose_rows,
                idle ? nothing : compute, seconds);
    }
    work_free(&w);
    return code;
}

/* --------------------------------------------------------- copying, adding */

/* Rows of two bytes an element, from every other place. */
static w4moe_status
copy(struct work *w)
{
    size_t n_bytes = w->bench->info.hidden_size * 2;
    for (size_t row = 0; row < w->n_rows; row++) {
        size_t from = (row * 2 + 1) % w->n_rows;
        memcpy((char *)w->slots + row * n_bytes,
                (const char *)w->rows + from * n_bytes, n_bytes);
    }
    return W4MOE_OK;
}

static int
measure_copy(struct plan_bench *bench, size_t n_rows, double *seconds)
{
    struct work w = {.bench = bench, .n_rows = n_rows};
    size_t hidden = bench->info.hidden_size;
    w.rows = tool_alloc(n_rows, hidden * 2, "rows");
    w.slots = tool_alloc(n_rows, hidden * 2, "rows");
    int code = w.rows != NULL && w.slots != NULL ? TOOL_OK : TOOL_ERROR;
    code = agree(bench, code);
    if (code == TOOL_OK) {
        code = time_step(&w, NULL, copy, seconds);
    }
    work_free(&w);
    return code;
}

static w4moe_status
add(struct work *w)
{
    const w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = w->slots,
            .out_dtype = w->bench->dtype,
            .rows = w->results,
            .row_dtype = W4MOE_F32,
            .n_rows = w->n_slots,
            .row_ids = w->row_ids,
            .n_tokens = w->n_rows,
            .k = w->top_k,
            .n_columns = w->bench->info.hidden_size,
            .flags = W4MOE_HOST_IO,
    };
    return w4moe_combine(w->bench->ctx, &args);
}

/* n_results of n_tokens: every token has as many, or one more. */
static int
measure_add(struct plan_bench *bench, size_t n_tokens, size_t n_results,
        double *seconds)
{
    struct work w = {.bench = bench, .n_rows = n_tokens, .n_slots = n_results};
    size_t hidden = bench->info.hidden_size;
    size_t k = (n_results + n_tokens - 1) / n_tokens;
    w.top_k = k;
    w.results = tool_alloc(n_results, hidden * sizeof(float), "results");
    w.slots = tool_alloc(n_tokens, hidden * 2, "out");
    w.row_ids = tool_alloc(n_tokens, k * sizeof(w.row_ids[0]), "rows");
    int code = w.results != NULL && w.slots != NULL && w.row_ids != NULL
                       ? TOOL_OK
                       : TOOL_ERROR;
    code = agree(bench, code);
    size_t row = 0;
    for (size_t t = 0; t < n_tokens && code == TOOL_OK; t++) {
        size_t end = (t + 1) * n_results / n_tokens;
        for (size_t j = 0; j < k; j++) {
            w.row_ids[t * k + j] = row < end ? (int32_t)row++ : -1;
        }
    }
    if (code == TOOL_OK) {
        code = time_step(&w, NULL, add, seconds);
    }
    work_free(&w);
    return code;
}

/* Shared experts: a call in which no other expert is here. */
static w4moe_status
compute_shared(struct work *w)
{
    const struct plan_bench *bench = w->bench;
    const w4moe_forward_args args = {
            .struct_size = sizeof(args),
            .out = w->results,
            .x = w->rows,
            .dtype = bench->dtype,
            .n_tokens = w->n_rows,
            .top_k = 1,
            .ids = w->ids,
            .weights = w->weights,
            .expert_map = w->map,
            .n_experts_global = bench->n_experts,
            .flags = W4MOE_HOST_IO | W4MOE_ACCUMULATE |
                     (bench->exact ? W4MOE_BATCH_INVARIANT : 0u),
            .out_dtype = W4MOE_F32,
    };
    return w4moe_forward(bench->layer, w->ws, &args);
}

static int
measure_shared(struct plan_bench *bench, size_t n_tokens, double *seconds)
{
    struct work w = {.bench = bench, .block = 1, .n_rows = n_tokens};
    int code = agree(bench, make_compute(&w));
    if (code == TOOL_OK) {
        for (size_t e = 0; e < bench->n_experts; e++) {
            w.map[e] = -1;
        }
        code = time_step(&w, NULL, compute_shared, seconds);
    }
    work_free(&w);
    return code;
}

/* ----------------------------------------------------------- what is known */

/* Measures, or remembers. */
static int
measure(struct plan_bench *bench, enum what what, size_t a, size_t b,
        double *seconds)
{
    for (size_t i = 0; i < bench->n_known; i++) {
        const struct plan_known *known = &bench->known[i];
        if (known->what == (int)what && known->a == a && known->b == b) {
            *seconds = known->seconds;
            return TOOL_OK;
        }
    }
    int code = what == WHAT_COMPUTE ? measure_compute(bench, a, b, seconds)
               : what == WHAT_COPY  ? measure_copy(bench, a, seconds)
               : what == WHAT_ADD   ? measure_add(bench, a, b, seconds)
                                    : measure_shared(bench, a, seconds);
    if (code == TOOL_OK && bench->n_known < PLAN_KNOWN_MAX) {
        bench->known[bench->n_known++] = (struct plan_known){
                .what = (int)what,
                .a = a,
                .b = b,
                .seconds = *seconds,
        };
    }
    return code;
}

static size_t
whole(double rows)
{
    return rows < 1.0 ? 1 : (size_t)(rows + 0.5);
}

/* Computing: beyond the most slots along the line through two measurements. */
static int
cost_compute(struct plan_bench *bench, size_t block, const struct ep_part *part,
        double *seconds, int *estimated)
{
    double most = (double)SLOTS_OF_EXPERT * (double)block;
    most = most > SLOTS_MAX ? most : SLOTS_MAX;
    if (part->slots <= most) {
        return measure(bench, WHAT_COMPUTE, block, whole(part->rows), seconds);
    }
    double half = 0.0;
    double all = 0.0;
    size_t n_rows = whole(part->rows * most / part->slots);
    int code = measure(bench, WHAT_COMPUTE, block, (n_rows + 1) / 2, &half);
    if (code == TOOL_OK) {
        code = measure(bench, WHAT_COMPUTE, block, n_rows, &all);
    }
    double slope = (all - half) / (double)(n_rows - (n_rows + 1) / 2);
    *seconds = all + slope * (part->rows - (double)n_rows);
    *estimated = 1;
    return code;
}

/* Copying, of rows of two bytes an element. */
static int
cost_copy(struct plan_bench *bench, double rows, double *seconds)
{
    size_t n = rows < ROWS_MAX ? whole(rows) : ROWS_MAX;
    int code = measure(bench, WHAT_COPY, n, 0, seconds);
    *seconds *= rows / (double)n;
    return code;
}

static int
cost_add(struct plan_bench *bench, const struct ep_part *part, double *seconds)
{
    double own = 0.0;
    double shared = 0.0;
    double results = part->results_back;
    double share = results > ROWS_MAX ? ROWS_MAX / results : 1.0;
    size_t n_tokens = whole((double)part->tokens * share);
    size_t n_results = whole(results * share);
    n_results = n_results < n_tokens ? n_tokens : n_results;
    int code = measure(bench, WHAT_ADD, n_tokens, n_results, seconds);
    *seconds /= share;
    if (code == TOOL_OK) {
        /* Results in fp32 are twice as long as rows. */
        code = cost_copy(bench, 2.0 * part->own_results, &own);
    }
    if (code == TOOL_OK && bench->info.n_shared_experts != 0) {
        code = measure(bench, WHAT_SHARED, n_tokens, 0, &shared);
    }
    *seconds += own + shared / share;
    return code;
}

static int
measure_part(struct plan_bench *bench, size_t block, const struct ep_part *part,
        struct ep_costs *costs, int *estimated)
{
    int code = cost_compute(bench, block, part, &costs->compute, estimated);
    if (code == TOOL_OK) {
        code = cost_copy(bench, part->rows_out + part->own_rows, &costs->pack);
    }
    return code == TOOL_OK ? cost_add(bench, part, &costs->add) : code;
}

int
plan_measure(struct plan_bench *bench, const struct ep_plan *plan,
        struct ep_costs *full, struct ep_costs *last, int *estimated)
{
    *estimated = 0;
    bench->in_row = plan->n_chunks < IN_ROW_MAX ? plan->n_chunks : IN_ROW_MAX;
    int code = measure_part(bench, plan->block, &plan->last, last, estimated);
    *full = *last;
    if (code == TOOL_OK && plan->n_chunks > 1 &&
            plan->full.tokens != plan->last.tokens) {
        code = measure_part(bench, plan->block, &plan->full, full, estimated);
    }
    return code;
}
