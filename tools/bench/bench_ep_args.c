/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Options about expert parallelism; see bench_ep_args.h. */
#include "bench_ep_args.h"

#include <stdlib.h>

#include "common.h"

/* Most tokens of a chunk, as in the library; most ranks to predict for. */
enum { CHUNK_MAX = 65536, RANKS_MAX = 65536 };

static int
take_ranks(struct bench_ep_args *args, const char *text)
{
    int code = args_set("--ep-ranks", text, &args->ranks);
    if (code == TOOL_OK &&
            (args->ranks.values[0] == 0 ||
                    args->ranks.values[args->ranks.n - 1] > RANKS_MAX)) {
        code = tool_usage("--ep-ranks '%s': numbers from 1 to %d are needed",
                text, (int)RANKS_MAX);
    }
    return code;
}

/* A number of some unit. */
static int
take_unit(const char *option, const char *text, double unit, double *out)
{
    int code = args_positive(option, text, out);
    *out *= unit;
    return code;
}

/* What only a prediction needs. */
static int
take_model(struct bench_ep_args *args, enum bench_ep_option id, char *value)
{
    const double us = 1e-6;
    const double gb_per_second = 1e9;
    switch (id) {
    case BENCH_EP_RANKS:
        args->needs_model = "--ep-ranks";
        return take_ranks(args, value);
    case BENCH_EP_LATENCY:
        args->needs_model = "--latency";
        return take_unit("--latency", value, us, &args->latency);
    case BENCH_EP_GAP:
        args->needs_model = "--gap";
        return take_unit("--gap", value, us, &args->gap);
    case BENCH_EP_BANDWIDTH:
        args->needs_model = "--bandwidth";
        return take_unit("--bandwidth", value, gb_per_second, &args->bandwidth);
    default:
        args->needs_model = "--plot";
        args->plot = value;
        return TOOL_OK;
    }
}

int
bench_ep_take(struct bench_ep_args *args, enum bench_ep_option id, char *value)
{
    switch (id) {
    case BENCH_EP_EP:
        args->ep = 1;
        return TOOL_OK;
    case BENCH_EP_MODEL:
        args->model = 1;
        return TOOL_OK;
    case BENCH_EP_CHUNK:
        args->needs_either = "--ep-chunk";
        return args_uint(
                "--ep-chunk", value, 1, CHUNK_MAX, &args->chunk_tokens);
    case BENCH_EP_EXACT:
        args->needs_either = "--ep-exact";
        args->exact = 1;
        return TOOL_OK;
    default:
        return take_model(args, id, value);
    }
}

static int
settle_model(const struct bench_ep_args *args, int uniform)
{
    if (!uniform) {
        return tool_usage("--ep-model is for --routing=uniform");
    }
    if (args->ep && (args->ranks.values != NULL || args->plot != NULL)) {
        return tool_usage("%s is not for --ep, whose number of ranks is that "
                          "of mpirun",
                args->plot != NULL ? "--plot" : "--ep-ranks");
    }
    if (!args->ep && (args->latency <= 0.0 || args->bandwidth <= 0.0)) {
        return tool_usage("--ep-model without --ep needs %s",
                args->latency <= 0.0 ? "--latency" : "--bandwidth");
    }
    return TOOL_OK;
}

int
bench_ep_settle(struct bench_ep_args *args, int uniform)
{
    if (args->needs_either != NULL && !args->ep && !args->model) {
        return tool_usage("%s needs --ep or --ep-model", args->needs_either);
    }
    if (args->needs_model != NULL && !args->model) {
        return tool_usage("%s needs --ep-model", args->needs_model);
    }
    return args->model ? settle_model(args, uniform) : TOOL_OK;
}

void
bench_ep_args_free(struct bench_ep_args *args)
{
    free(args->ranks.values);
}
