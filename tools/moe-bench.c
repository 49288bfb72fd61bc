/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * moe-bench: times forward calls next to what the machine itself can do.
 *
 * The command line is here; see bench_job.c for the order of the work.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "bench/bench_ep.h"
#include "bench/bench_job.h"
#include "common.h"
#include "plan/plan_job.h"

const char tool_name[] = "moe-bench";

static const char help[] =
        "Usage: moe-bench [OPTION]... [FILE]\n"
        "Times w4moe_forward() on a layer of the container FILE, or on random\n"
        "weights, next to the machine's own limits measured in the same run.\n"
        "\n"
        "      --layer=L          layer of FILE (default: its first)\n"
        "      --shape=E,k,H,I,g  experts, experts per token, hidden size,\n"
        "                         intermediate size, group size of random\n"
        "                         weights (default 128,8,2048,768,128; g is "
        "32\n"
        "                         with --code=mxfp4)\n"
        "      --code=CODE        of random weights: int4 (default) or mxfp4\n"
        "      --order=ORDER      of random weights: tile (default) or rdna3\n"
        "      --scales=TYPE      of random weights: bf16 (default) or f16\n"
        "      --zero-points      random weights with zero points\n"
        "      --huge-pages       weights, and what the read limit is measured "
        "on,\n"
        "                         in huge pages\n"
        "      --prefault         read all weights of FILE in before the "
        "timing\n"
        "      --tokens=LIST      tokens per call (default 1,16,64,512)\n"
        "      --routing=KIND     uniform (default): random experts for each\n"
        "                         token; one: the same k for all tokens\n"
        "      --dtype=TYPE       activations: bf16 (default) or f16\n"
        "      --backend=NAME     auto (default), cpu or hip\n"
        "      --threads=N        threads of the CPU backend\n"
        "      --repeat=N         at least N calls per row (default 5)\n"
        "\n"
        "Experts spread over ranks:\n"
        "      --ep               w4moe_mpi_forward() on the ranks of mpirun; "
        "tokens\n"
        "                         are those of each rank\n"
        "      --ep-chunk=N       tokens of a chunk (default: the library's)\n"
        "      --ep-exact         the bits of one process, whatever the ranks\n"
        "      --ep-model         predict the time of a call, from computing "
        "that is\n"
        "                         measured here and from the next three; with "
        "--ep\n"
        "                         compare it with what it takes\n"
        "      --latency=US       of a message, in microseconds\n"
        "      --gap=US           between messages of a rank to others "
        "(default: the\n"
        "                         latency)\n"
        "      --bandwidth=GB/S   of a rank's link, in 10^9 bytes per second\n"
        "      --ep-ranks=LIST    ranks to predict for (default "
        "1,2,4,...,1024)\n"
        "      --plot=FILE        write the prediction as a curve, in SVG\n"
        "\n"
        "      --json             print JSON\n"
        "      --help             print this text\n"
        "      --version          print the version\n"
        "\n"
        "Exit status: 0 done, 1 error, 2 wrong command line.\n";

enum option_id {
    OPT_LAYER = 256,
    OPT_SHAPE,
    OPT_CODE,
    OPT_ORDER,
    OPT_SCALES,
    OPT_ZERO_POINTS,
    OPT_HUGE_PAGES,
    OPT_PREFAULT,
    OPT_TOKENS,
    OPT_ROUTING,
    OPT_DTYPE,
    OPT_BACKEND,
    OPT_THREADS,
    OPT_REPEAT,
    OPT_JSON,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
        {"layer", required_argument, NULL, OPT_LAYER},
        {"shape", required_argument, NULL, OPT_SHAPE},
        {"code", required_argument, NULL, OPT_CODE},
        {"order", required_argument, NULL, OPT_ORDER},
        {"scales", required_argument, NULL, OPT_SCALES},
        {"zero-points", no_argument, NULL, OPT_ZERO_POINTS},
        {"huge-pages", no_argument, NULL, OPT_HUGE_PAGES},
        {"prefault", no_argument, NULL, OPT_PREFAULT},
        {"tokens", required_argument, NULL, OPT_TOKENS},
        {"routing", required_argument, NULL, OPT_ROUTING},
        {"dtype", required_argument, NULL, OPT_DTYPE},
        {"backend", required_argument, NULL, OPT_BACKEND},
        {"threads", required_argument, NULL, OPT_THREADS},
        {"repeat", required_argument, NULL, OPT_REPEAT},
        BENCH_EP_LONG_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
};

struct command {
    struct bench_job job;
    struct args_list tokens;
    /* The last option that is for random weights only, if any. */
    const char *random_option;
    /* The last option that is for int4 codes only, if any. */
    const char *int4_option;
};

static int
take_shape(struct bench_job *job, const char *text)
{
    struct args_list list = {NULL, 0};
    int code = args_list("--shape", text, 1, &list);
    if (code == TOOL_OK && list.n != 5) {
        code = tool_usage(
                "--shape '%s': E,k,H,I,g are 5 numbers, not %zu", text, list.n);
    }
    if (code == TOOL_OK && list.values[1] > list.values[0]) {
        code = tool_usage("--shape '%s': %lu experts per token of only %lu",
                text, (unsigned long)list.values[1],
                (unsigned long)list.values[0]);
    }
    if (code == TOOL_OK) {
        job->shape.n_experts = list.values[0];
        job->top_k = list.values[1];
        job->shape.hidden_size = list.values[2];
        job->shape.intermediate_size = list.values[3];
        job->shape.group_size = list.values[4];
    }
    free(list.values);
    return code;
}

static int
take_code(struct bench_job *job, const char *text)
{
    if (strcmp(text, "int4") == 0) {
        job->shape.code = W4MOE_CODE_INT4;
    } else if (strcmp(text, "mxfp4") == 0) {
        job->shape.code = W4MOE_CODE_E2M1;
    } else {
        return tool_usage("--code '%s': must be int4 or mxfp4", text);
    }
    return TOOL_OK;
}

static int
take_routing(struct bench_job *job, const char *text)
{
    if (strcmp(text, "uniform") == 0) {
        job->routing = BENCH_ROUTING_UNIFORM;
    } else if (strcmp(text, "one") == 0) {
        job->routing = BENCH_ROUTING_ONE;
    } else {
        return tool_usage("--routing '%s': must be uniform or one", text);
    }
    return TOOL_OK;
}

static int
take_random_option(struct command *command, int c)
{
    struct bench_job *job = &command->job;
    switch (c) {
    case OPT_SHAPE:
        command->random_option = "--shape";
        return take_shape(job, optarg);
    case OPT_CODE:
        command->random_option = "--code";
        return take_code(job, optarg);
    case OPT_ORDER:
        command->random_option = "--order";
        return args_order("--order", optarg, &job->shape.order);
    case OPT_SCALES:
        command->random_option = "--scales";
        command->int4_option = "--scales";
        return args_dtype("--scales", optarg, &job->shape.scale_dtype);
    default:
        command->random_option = "--zero-points";
        command->int4_option = "--zero-points";
        job->shape.zero_points = 1;
        return TOOL_OK;
    }
}

static int
take_option(struct command *command, int c, char **argv)
{
    struct bench_job *job = &command->job;
    uint32_t number = 0;
    int code = TOOL_OK;
    if (c >= BENCH_EP_FIRST && c < BENCH_EP_END) {
        return bench_ep_take(&job->ep, (enum bench_ep_option)c, optarg);
    }
    switch (c) {
    case OPT_LAYER:
        code = args_uint("--layer", optarg, 0, UINT32_MAX, &number);
        job->layer = number;
        return code;
    case OPT_HUGE_PAGES:
        job->layer_flags |= W4MOE_LAYER_HUGE_PAGES;
        return TOOL_OK;
    case OPT_PREFAULT:
        job->layer_flags |= W4MOE_LAYER_PREFAULT;
        return TOOL_OK;
    case OPT_TOKENS:
        return args_list("--tokens", optarg, 1, &command->tokens);
    case OPT_ROUTING:
        return take_routing(job, optarg);
    case OPT_DTYPE:
        return args_dtype("--dtype", optarg, &job->dtype);
    case OPT_BACKEND:
        job->backend = optarg;
        return TOOL_OK;
    case OPT_THREADS:
        return args_uint("--threads", optarg, 1, 4096, &job->n_threads);
    case OPT_REPEAT:
        return args_uint(
                "--repeat", optarg, 1, BENCH_REPEATS_MAX, &job->n_repeats);
    case OPT_JSON:
        job->json = 1;
        return TOOL_OK;
    case '?':
    case ':':
        return tool_option_error(c, argv);
    default:
        return take_random_option(command, c);
    }
}

/* Group length and scales are part of what MXFP4 is. */
static int
settle_code(struct command *command)
{
    struct bench_shape *shape = &command->job.shape;
    int mxfp4 = shape->code == W4MOE_CODE_E2M1;
    if (shape->group_size == 0) {
        shape->group_size = mxfp4 ? 32 : 128;
    }
    if (!mxfp4) {
        return TOOL_OK;
    }
    if (shape->group_size != 32) {
        return tool_usage("--code=mxfp4 has groups of 32, not of the %zu of "
                          "--shape",
                shape->group_size);
    }
    if (command->int4_option != NULL) {
        return tool_usage("%s is not for --code=mxfp4", command->int4_option);
    }
    shape->scale_dtype = W4MOE_F8_E8M0;
    return TOOL_OK;
}

static int
run(struct command *command, int argc, char **argv)
{
    static const uint32_t default_tokens[] = {1, 16, 64, 512};
    struct bench_job *job = &command->job;
    int code = TOOL_OK;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (c == OPT_HELP) {
            return tool_help(help);
        }
        if (c == OPT_VERSION) {
            return tool_version();
        }
        code = take_option(command, c, argv);
        if (code != TOOL_OK) {
            return code;
        }
    }
    code = settle_code(command);
    if (code != TOOL_OK) {
        return code;
    }
    if (argc - optind > 1) {
        return tool_usage("one FILE at most, not %d", argc - optind);
    }
    job->file_path = argc > optind ? argv[optind] : NULL;
    if (job->file_path != NULL && command->random_option != NULL) {
        return tool_usage("%s is for random weights, not for FILE",
                command->random_option);
    }
    if (job->file_path == NULL && job->layer >= 0) {
        return tool_usage("--layer needs FILE");
    }
    if (job->file_path == NULL &&
            (job->layer_flags & W4MOE_LAYER_PREFAULT) != 0) {
        return tool_usage("--prefault needs FILE");
    }
    job->tokens =
            command->tokens.n > 0 ? command->tokens.values : default_tokens;
    job->n_rows = command->tokens.n > 0
                          ? command->tokens.n
                          : sizeof(default_tokens) / sizeof(default_tokens[0]);
    code = bench_ep_settle(&job->ep, job->routing == BENCH_ROUTING_UNIFORM);
    if (code != TOOL_OK) {
        return code;
    }
    return job->ep.ep      ? bench_ep(job, argv)
           : job->ep.model ? plan_job(job)
                           : bench_job(job);
}

int
main(int argc, char **argv)
{
    struct command command = {
            .job = {.layer = -1,
                    .top_k = 8,
                    .shape = {.n_experts = 128,
                            .hidden_size = 2048,
                            .intermediate_size = 768,
                            .code = W4MOE_CODE_INT4,
                            .order = W4MOE_ORDER_TILE,
                            .scale_dtype = W4MOE_BF16},
                    .dtype = W4MOE_BF16,
                    .n_repeats = 5},
    };
    int code = run(&command, argc, argv);
    free(command.tokens.values);
    bench_ep_args_free(&command.job.ep);
    return tool_finish(code);
}
