/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * The time of a call; see ep_model.h. The order of steps is that of
 * mpi/forward.c, what is sent that of mpi/exchange.c, and the length of chunks
 * that of mpi/workspace.c.
 */
#include "ep_model.h"

#include <math.h>
#include <string.h>

/* Rows that each expert should have of a chunk, and the fewest tokens. */
enum { ROWS_OF_EXPERT = 16, CHUNK_TOKENS_MIN = 16 };

/* Bytes: of an element of a row and of a result, of a choice, of a number in a
 * header, and how many of these there are besides one for each chunk. */
enum {
    ROW_ELEMENT = 2,
    RESULT_ELEMENT = 4,
    CHOICE = 8,
    HEADER_NUMBER = 4,
    HEADER_NUMBERS = 5
};

/* ------------------------------------------------------------------ chunks */

static size_t
choose_chunk(const struct ep_case *what)
{
    size_t tokens = what->chunk_tokens;
    if (tokens == 0) {
        tokens = what->n_experts * ROWS_OF_EXPERT / what->top_k / what->n_ranks;
        tokens = tokens < CHUNK_TOKENS_MIN ? CHUNK_TOKENS_MIN : tokens;
        tokens = what->n_ranks == 1 ? what->n_tokens : tokens;
    }
    return tokens < what->n_tokens ? tokens : what->n_tokens;
}

double
ep_share(size_t n_experts, size_t top_k, size_t block)
{
    double none = 1.0;
    if (block + top_k > n_experts) {
        return 1.0;
    }
    for (size_t i = 0; i < top_k; i++) {
        none *= (double)(n_experts - block - i) / (double)(n_experts - i);
    }
    return 1.0 - none;
}

/* Blocks of two sizes, and the share of tokens that each sort gets. */
struct blocks {
    size_t large;
    size_t small;
    double n_large;
    double n_small;
    double large_share;
    double small_share;
};

static void
make_blocks(struct blocks *b, const struct ep_case *what)
{
    size_t rest = what->n_experts % what->n_ranks;
    b->small = what->n_experts / what->n_ranks;
    b->large = b->small + (rest != 0);
    b->n_large = (double)(rest != 0 ? rest : what->n_ranks);
    b->n_small = (double)what->n_ranks - b->n_large;
    b->large_share = ep_share(what->n_experts, what->top_k, b->large);
    b->small_share = ep_share(what->n_experts, what->top_k, b->small);
    if (rest == 0) {
        b->small_share = b->large_share;
    }
}

static double
larger(double a, double b)
{
    return a > b ? a : b;
}

/* The chance that one of t tokens is among a share of them. */
static double
any_of(double share, double t)
{
    return 1.0 - pow(1.0 - share, t);
}

/* How many other ranks a rank sends to, or hears from. */
static double
count_messages(
        const struct ep_case *what, const struct blocks *b, double tokens)
{
    double to_large = any_of(b->large_share, tokens);
    double to_small = any_of(b->small_share, tokens);
    double others = (double)what->n_ranks - 1.0;
    double sent = b->n_small > 0.0 ? b->n_large * to_large +
                                             (b->n_small - 1.0) * to_small
                                   : others * to_large;
    return larger(sent, others * to_large);
}

static void
make_part(struct ep_part *part, const struct ep_case *what,
        const struct blocks *b, size_t n_tokens)
{
    double tokens = (double)n_tokens;
    double k = (double)what->top_k;
    double ranks = (double)what->n_ranks;
    double per_expert = k / (double)what->n_experts;
    double fan = b->n_large * b->large_share + b->n_small * b->small_share;
    memset(part, 0, sizeof(*part));
    part->tokens = n_tokens;
    part->rows = ranks * tokens * b->large_share;
    part->slots = ranks * tokens * per_expert * (double)b->large;
    part->rows_out = tokens * fan;
    part->own_rows = tokens * b->large_share;
    part->link_rows = larger(tokens * (fan - b->small_share),
            (ranks - 1.0) * tokens * b->large_share);
    part->messages = count_messages(what, b, tokens);
    if (what->exact) {
        part->results_back = tokens * k;
        part->own_results = tokens * per_expert * (double)b->large;
        part->link_results =
                larger(tokens * (k - per_expert * (double)b->small),
                        (ranks - 1.0) * part->own_results);
    } else {
        part->results_back = part->rows_out;
        part->own_results = part->own_rows;
        part->link_results = part->link_rows;
    }
    if (what->n_ranks == 1) {
        part->link_rows = 0.0;
        part->link_results = 0.0;
    }
}

void
ep_plan_make(struct ep_plan *plan, const struct ep_case *what)
{
    struct blocks blocks;
    make_blocks(&blocks, what);
    plan->block = blocks.large;
    plan->chunk_tokens = choose_chunk(what);
    plan->n_chunks =
            (what->n_tokens + plan->chunk_tokens - 1) / plan->chunk_tokens;
    make_part(&plan->full, what, &blocks, plan->chunk_tokens);
    make_part(&plan->last, what, &blocks,
            what->n_tokens - (plan->n_chunks - 1) * plan->chunk_tokens);
}

/* -------------------------------------------------------------------- link */

/* The link sends what it is given in that order. */
struct wire {
    const struct ep_link *link;
    /* From when on it has nothing to do. */
    double free;
};

/* Sends at a time, and returns when all of it is there. */
static double
send_on(struct wire *wire, double now, double messages, double n_bytes)
{
    const struct ep_link *link = wire->link;
    double begin = larger(now, wire->free);
    if (messages <= 0.0) {
        return now;
    }
    wire->free = begin + n_bytes / link->bandwidth +
                 larger(messages - 1.0, 0.0) * link->gap;
    return wire->free + link->latency;
}

/* Telling every rank how much it will get: to each by itself, or by halves
 * (log2 R messages of half of it all), whichever is faster. */
static double
header_seconds(const struct ep_case *what, const struct ep_plan *plan,
        const struct ep_link *link)
{
    double others = (double)what->n_ranks - 1.0;
    double n_bytes = HEADER_NUMBER * (double)(HEADER_NUMBERS + plan->n_chunks);
    if (others <= 0.0) {
        return 0.0;
    }
    double steps = ceil(log2((double)what->n_ranks));
    double by_halves =
            steps * (link->latency +
                            n_bytes * ((others + 1.0) / 2.0) / link->bandwidth);
    double alone = link->latency + (others - 1.0) * link->gap +
                   n_bytes * others / link->bandwidth;
    return alone < by_halves ? alone : by_halves;
}

/* ---------------------------------------------------------------- the call */

/* How far a call is: times are counted from its beginning. */
struct run {
    struct ep_times *times;
    const struct ep_case *what;
    const struct ep_plan *plan;
    const struct ep_costs *full;
    const struct ep_costs *last;
    struct wire wire;
    double now;
    /* When rows and results of the two chunks that are on their way are
     * there. */
    double rows_there[2];
    double results_there[2];
};

static int
is_last(const struct run *run, size_t chunk)
{
    return chunk + 1 == run->plan->n_chunks;
}

static const struct ep_part *
part_of(const struct run *run, size_t chunk)
{
    return is_last(run, chunk) ? &run->plan->last : &run->plan->full;
}

static const struct ep_costs *
costs_of(const struct run *run, size_t chunk)
{
    return is_last(run, chunk) ? run->last : run->full;
}

static void
work(struct run *run, double *sum, double seconds)
{
    run->now += seconds;
    *sum += seconds;
}

static void
wait_until(struct run *run, double *sum, double there)
{
    if (there > run->now) {
        *sum += there - run->now;
        run->now = there;
    }
}

static void
dispatch(struct run *run, size_t chunk)
{
    const struct ep_part *part = part_of(run, chunk);
    work(run, &run->times->pack, costs_of(run, chunk)->pack);
    run->rows_there[chunk % 2] = send_on(&run->wire, run->now, part->messages,
            part->link_rows * ROW_ELEMENT * (double)run->what->hidden_size);
}

static void
compute(struct run *run, size_t chunk)
{
    const struct ep_part *part = part_of(run, chunk);
    wait_until(run, &run->times->dispatch_wait, run->rows_there[chunk % 2]);
    work(run, &run->times->compute, costs_of(run, chunk)->compute);
    run->results_there[chunk % 2] =
            send_on(&run->wire, run->now, part->messages,
                    part->link_results * RESULT_ELEMENT *
                            (double)run->what->hidden_size);
}

static void
finish(struct run *run, size_t chunk)
{
    wait_until(run, &run->times->combine_wait, run->results_there[chunk % 2]);
    work(run, &run->times->add, costs_of(run, chunk)->add);
}

/* Choices of all chunks go before the first rows, and are waited for. */
static void
begin(struct run *run)
{
    const struct ep_plan *plan = run->plan;
    double rows = (double)(plan->n_chunks - 1) * plan->full.link_rows +
                  plan->last.link_rows;
    double choices = send_on(&run->wire, run->now + costs_of(run, 0)->pack,
            part_of(run, 0)->messages,
            rows * CHOICE * (double)run->what->top_k);
    dispatch(run, 0);
    wait_until(run, &run->times->dispatch_wait, choices);
}

void
ep_predict(struct ep_times *times, const struct ep_case *what,
        const struct ep_plan *plan, const struct ep_link *link,
        const struct ep_costs *full, const struct ep_costs *last,
        double prepare)
{
    struct run run = {
            .times = times,
            .what = what,
            .plan = plan,
            .full = full,
            .last = last,
            .wire = {.link = link},
    };
    memset(times, 0, sizeof(*times));
    work(&run, &times->prepare, prepare + header_seconds(what, plan, link));
    begin(&run);
    for (size_t chunk = 0; chunk < plan->n_chunks; chunk++) {
        if (!is_last(&run, chunk)) {
            dispatch(&run, chunk + 1);
        }
        compute(&run, chunk);
        if (chunk > 0) {
            finish(&run, chunk - 1);
        }
    }
    finish(&run, plan->n_chunks - 1);
    times->total = run.now;
}
