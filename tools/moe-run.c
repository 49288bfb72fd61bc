/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * moe-run: one forward call on tensors of a file, for checking an integration
 * against a dump from any framework.
 *
 * The command line is here; the work is in run_job.c.
 */
#include <getopt.h>
#include <stdio.h>

#include "args.h"
#include "common.h"
#include "run/run_ep.h"
#include "run/run_job.h"

const char tool_name[] = "moe-run";

static const char help[] =
        "Usage: moe-run [OPTION]... --layer=L --input=IN FILE\n"
        "Computes layer L of the container FILE once for the tensors of IN.\n"
        "\n"
        "      --layer=L          number of the layer in the model\n"
        "      --input=IN         safetensors file with Px and Ptopk_ids and\n"
        "                         Ptopk_weights, or Prouter_logits, or neither "
        "if\n"
        "                         the container has the router\n"
        "      --prefix=P         put before the tensors' names, for example\n"
        "                         layers.0. (default: nothing)\n"
        "      --output=OUT       write the result to OUT, as tensor out\n"
        "      --expect=EXPECTED  compare the result with Pout of this file\n"
        "      --max-ratio=R      largest ratio that passes (default 1.10)\n"
        "      --backend=NAME     auto (default), cpu or hip\n"
        "      --threads=N        threads of the CPU backend\n"
        "      --dtype=TYPE       activations: bf16 or f16 (default: that of "
        "Px)\n"
        "      --repeat=N         run N times, compare the bytes, print the\n"
        "                         median time on standard error\n"
        "      --experts=A-B      only experts A to B; others add nothing\n"
        "      --counts           print on standard error how often each "
        "expert "
        "was\n"
        "                         chosen\n"
        "      --weight-on-input  routing weights multiply the input of the\n"
        "                         activation instead of the output\n"
        "      --ep               under mpirun: spread the experts over the "
        "ranks,\n"
        "                         and the tokens\n"
        "      --huge-pages       copy the weights into huge pages\n"
        "      --prefault         read all weights in before the first run\n"
        "      --verbose          say on standard error which backend runs, "
        "and why\n"
        "                         others do not\n"
        "      --help             print this text\n"
        "      --version          print the version\n"
        "\n"
        "Exit status: 0 done, 1 error, 2 wrong command line, 3 a comparison\n"
        "failed (--expect, --repeat).\n";

enum option_id {
    OPT_LAYER = 256,
    OPT_INPUT,
    OPT_PREFIX,
    OPT_OUTPUT,
    OPT_EXPECT,
    OPT_MAX_RATIO,
    OPT_BACKEND,
    OPT_THREADS,
    OPT_DTYPE,
    OPT_REPEAT,
    OPT_EXPERTS,
    OPT_COUNTS,
    OPT_WEIGHT_ON_INPUT,
    OPT_EP,
    OPT_HUGE_PAGES,
    OPT_PREFAULT,
    OPT_VERBOSE,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
        {"layer", required_argument, NULL, OPT_LAYER},
        {"input", required_argument, NULL, OPT_INPUT},
        {"prefix", required_argument, NULL, OPT_PREFIX},
        {"output", required_argument, NULL, OPT_OUTPUT},
        {"expect", required_argument, NULL, OPT_EXPECT},
        {"max-ratio", required_argument, NULL, OPT_MAX_RATIO},
        {"backend", required_argument, NULL, OPT_BACKEND},
        {"threads", required_argument, NULL, OPT_THREADS},
        {"dtype", required_argument, NULL, OPT_DTYPE},
        {"repeat", required_argument, NULL, OPT_REPEAT},
        {"experts", required_argument, NULL, OPT_EXPERTS},
        {"counts", no_argument, NULL, OPT_COUNTS},
        {"weight-on-input", no_argument, NULL, OPT_WEIGHT_ON_INPUT},
        {"ep", no_argument, NULL, OPT_EP},
        {"huge-pages", no_argument, NULL, OPT_HUGE_PAGES},
        {"prefault", no_argument, NULL, OPT_PREFAULT},
        {"verbose", no_argument, NULL, OPT_VERBOSE},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
};

/* Whether --layer was given; 0 is a layer. */
struct command {
    struct run_job job;
    int have_layer;
};

static int
take_option(struct command *command, int c, char **argv)
{
    struct run_job *job = &command->job;
    switch (c) {
    case OPT_LAYER:
        command->have_layer = 1;
        return args_uint("--layer", optarg, 0, UINT32_MAX, &job->layer);
    case OPT_INPUT:
        job->input_path = optarg;
        return TOOL_OK;
    case OPT_PREFIX:
        job->prefix = optarg;
        return TOOL_OK;
    case OPT_OUTPUT:
        job->output_path = optarg;
        return TOOL_OK;
    case OPT_EXPECT:
        job->expect_path = optarg;
        return TOOL_OK;
    case OPT_MAX_RATIO:
        return args_positive("--max-ratio", optarg, &job->max_ratio);
    case OPT_BACKEND:
        job->backend = optarg;
        return TOOL_OK;
    case OPT_THREADS:
        return args_uint("--threads", optarg, 1, 4096, &job->n_threads);
    case OPT_DTYPE:
        return args_dtype("--dtype", optarg, &job->dtype);
    case OPT_REPEAT:
        return args_uint("--repeat", optarg, 1, 1000000, &job->n_repeats);
    case OPT_EXPERTS:
        return args_range(
                "--experts", optarg, &job->first_expert, &job->n_experts);
    case OPT_COUNTS:
        job->counts = 1;
        return TOOL_OK;
    case OPT_WEIGHT_ON_INPUT:
        job->weight_on_input = 1;
        return TOOL_OK;
    case OPT_EP:
        job->ep = 1;
        return TOOL_OK;
    case OPT_HUGE_PAGES:
        job->layer_flags |= W4MOE_LAYER_HUGE_PAGES;
        return TOOL_OK;
    case OPT_PREFAULT:
        job->layer_flags |= W4MOE_LAYER_PREFAULT;
        return TOOL_OK;
    case OPT_VERBOSE:
        job->verbose = 1;
        return TOOL_OK;
    default:
        return tool_option_error(c, argv);
    }
}

static int
run(int argc, char **argv)
{
    struct command command = {
            .job = {.prefix = "", .max_ratio = 1.10},
    };
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (c == OPT_HELP) {
            return tool_help(help);
        }
        if (c == OPT_VERSION) {
            return tool_version();
        }
        int code = take_option(&command, c, argv);
        if (code != TOOL_OK) {
            return code;
        }
    }
    if (!command.have_layer) {
        return tool_usage("--layer is needed");
    }
    if (command.job.input_path == NULL) {
        return tool_usage("--input is needed");
    }
    if (argc - optind != 1) {
        return tool_usage("one FILE is needed, not %d", argc - optind);
    }
    if (command.job.ep && command.job.n_experts != 0) {
        return tool_usage("--ep gives each rank its experts, --experts too");
    }
    command.job.file_path = argv[optind];
    return command.job.ep ? run_ep(&command.job, argv)
                          : run_job(&command.job, NULL, NULL);
}

int
main(int argc, char **argv)
{
    return tool_finish(run(argc, argv));
}
