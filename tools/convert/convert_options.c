/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The command line of moe-convert; see convert_options.h. */
#include "convert_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

const char convert_help[] =
        "Usage: moe-convert [OPTION]... IN OUT\n"
        "       moe-convert [OPTION]... --dry-run IN [OUT]\n"
        "       moe-convert --info [--json] FILE\n"
        "       moe-convert --check [--json] [--quiet] [--jobs=N] FILE\n"
        "Converts the routed experts of a checkpoint to a w4moe container.\n"
        "\n"
        "IN is a checkpoint folder, one safetensors file beside its\n"
        "config.json, a GGUF file, or a container. OUT is a file if it ends\n"
        "in .safetensors, otherwise a folder that gets model.safetensors, or\n"
        "shards and their index.\n"
        "\n"
        "What is converted:\n"
        "      --layers=LIST    these layers only, for example 0-3,7\n"
        "      --experts=A-B    these experts of each layer only, or one: "
        "--experts=A\n"
        "      --map=FILE       rules for names of tensors, see "
        "moe-convert(1)\n"
        "      --gptq-zero-wrap in GPTQ's first form a stored zero point of "
        "15\n"
        "                       means 0, instead of being refused\n"
        "\n"
        "Weights that are not of 4 bits, which are rounded without "
        "calibration:\n"
        "      --group-size=N   group length, a multiple of 8 (default 32)\n"
        "      --sym            without zero points (default)\n"
        "      --asym           with zero points\n"
        "      --requantize     round GGUF tensors of other than 4 bits, "
        "too,\n"
        "                       instead of refusing them\n"
        "\n"
        "The output:\n"
        "      --order=ORDER    order of the words: tile (default) or rdna3\n"
        "      --max-shard-size=SIZE\n"
        "                       split into files of SIZE bytes of data (or K, "
        "M, G,\n"
        "                       KiB, MiB, GiB); OUT is a folder\n"
        "      --force          replace an existing output\n"
        "      --dry-run        plan and check only; write nothing\n"
        "      --verify         compare what was written with the source "
        "(default)\n"
        "      --no-verify      do not\n"
        "\n"
        "Other things to do:\n"
        "      --info           print what a container holds\n"
        "      --check          compare a container's bytes with its hashes\n"
        "      --help           print this text\n"
        "      --version        print the version\n"
        "\n"
        "In general:\n"
        "      --jobs=N         threads\n"
        "      --progress=WHEN  auto (default), always or never\n"
        "      --quiet          no progress, no warnings, no report\n"
        "      --json           the report as JSON\n"
        "\n"
        "Exit status: 0 done, 1 error, 2 wrong command line, 3 a comparison\n"
        "failed (--verify, --check).\n";

enum option_id {
    OPT_DRY_RUN = 256,
    OPT_VERIFY,
    OPT_NO_VERIFY,
    OPT_ORDER,
    OPT_LAYERS,
    OPT_EXPERTS,
    OPT_MAP,
    OPT_GPTQ_ZERO_WRAP,
    OPT_GROUP_SIZE,
    OPT_SYM,
    OPT_ASYM,
    OPT_REQUANTIZE,
    OPT_MAX_SHARD_SIZE,
    OPT_FORCE,
    OPT_PROGRESS,
    OPT_JOBS,
    OPT_QUIET,
    OPT_JSON,
    OPT_INFO,
    OPT_CHECK,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"verify", no_argument, NULL, OPT_VERIFY},
        {"no-verify", no_argument, NULL, OPT_NO_VERIFY},
        {"order", required_argument, NULL, OPT_ORDER},
        {"layers", required_argument, NULL, OPT_LAYERS},
        {"experts", required_argument, NULL, OPT_EXPERTS},
        {"map", required_argument, NULL, OPT_MAP},
        {"gptq-zero-wrap", no_argument, NULL, OPT_GPTQ_ZERO_WRAP},
        {"group-size", required_argument, NULL, OPT_GROUP_SIZE},
        {"sym", no_argument, NULL, OPT_SYM},
        {"asym", no_argument, NULL, OPT_ASYM},
        {"requantize", no_argument, NULL, OPT_REQUANTIZE},
        {"max-shard-size", required_argument, NULL, OPT_MAX_SHARD_SIZE},
        {"force", no_argument, NULL, OPT_FORCE},
        {"progress", required_argument, NULL, OPT_PROGRESS},
        {"jobs", required_argument, NULL, OPT_JOBS},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"json", no_argument, NULL, OPT_JSON},
        {"info", no_argument, NULL, OPT_INFO},
        {"check", no_argument, NULL, OPT_CHECK},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
};

static int
read_progress(const char *text, enum progress_mode *out)
{
    static const struct {
        const char *name;
        enum progress_mode mode;
    } names[] = {{"auto", PROGRESS_AUTO}, {"always", PROGRESS_ALWAYS},
            {"never", PROGRESS_NEVER}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i].name) == 0) {
            *out = names[i].mode;
            return TOOL_OK;
        }
    }
    return tool_usage("--progress '%s': must be auto, always or never", text);
}

static int
set_mode(struct convert_command *command, enum convert_mode mode)
{
    if (command->mode != CONVERT_RUN && command->mode != mode) {
        return tool_usage("--info and --check exclude each other");
    }
    command->mode = mode;
    return TOOL_OK;
}

static int
take_map(w4moe_convert_options *options, const char *path)
{
    if (path[0] == '\0') {
        return tool_usage("--map '': a file is needed");
    }
    options->name_map = path;
    return TOOL_OK;
}

/* Options of a conversion with a value. */
static int
take_value(struct convert_command *command, int c, const char *option)
{
    w4moe_convert_options *options = &command->options;
    switch (c) {
    case OPT_ORDER:
        return args_order(option, optarg, &options->order);
    case OPT_LAYERS:
        return args_set(option, optarg, &command->layers);
    case OPT_EXPERTS:
        return args_range(
                option, optarg, &options->first_expert, &options->n_experts);
    case OPT_MAP:
        return take_map(options, optarg);
    case OPT_GROUP_SIZE:
        return args_multiple(option, optarg, 8, &options->group_size);
    case OPT_MAX_SHARD_SIZE:
        return args_bytes(option, optarg, &options->max_shard_bytes);
    default:
        return read_progress(optarg, &command->progress);
    }
}

/* Options of a conversion. */
static int
take_convert_option(struct convert_command *command, int c, const char *option)
{
    w4moe_convert_options *options = &command->options;
    switch (c) {
    case OPT_DRY_RUN:
        options->dry_run = 1;
        return TOOL_OK;
    case OPT_VERIFY:
    case OPT_NO_VERIFY:
        options->no_verify = c == OPT_NO_VERIFY;
        return TOOL_OK;
    case OPT_GPTQ_ZERO_WRAP:
        options->gptq_zero_wrap = 1;
        return TOOL_OK;
    case OPT_SYM:
    case OPT_ASYM:
        options->asymmetric = c == OPT_ASYM;
        return TOOL_OK;
    case OPT_REQUANTIZE:
        options->requantize = 1;
        return TOOL_OK;
    case OPT_FORCE:
        options->force = 1;
        return TOOL_OK;
    default:
        return take_value(command, c, option);
    }
}

/* name: without its dashes; only for an option that is known. */
static int
take_option(
        struct convert_command *command, int c, const char *name, char **argv)
{
    switch (c) {
    case OPT_JOBS:
        return args_uint("--jobs", optarg, 1, 4096, &command->jobs);
    case OPT_QUIET:
        command->quiet = 1;
        return TOOL_OK;
    case OPT_JSON:
        command->json = 1;
        return TOOL_OK;
    case OPT_INFO:
        return set_mode(command, CONVERT_INFO);
    case OPT_CHECK:
        return set_mode(command, CONVERT_CHECK);
    case '?':
    case ':':
        return tool_option_error(c, argv);
    default:
        snprintf(command->convert_option, sizeof(command->convert_option),
                "--%s", name);
        return take_convert_option(command, c, command->convert_option);
    }
}

static int
take_paths(struct convert_command *command, int n, char **paths)
{
    if (command->mode != CONVERT_RUN) {
        const char *name = command->mode == CONVERT_INFO ? "--info" : "--check";
        if (command->convert_option[0] != '\0') {
            return tool_usage("%s does not go together with %s",
                    command->convert_option, name);
        }
        if (n != 1) {
            return tool_usage("%s needs one FILE, not %d", name, n);
        }
        command->in_path = paths[0];
        return TOOL_OK;
    }
    int dry_run = command->options.dry_run;
    if (n < (dry_run ? 1 : 2) || n > 2) {
        return tool_usage("%s, not %d arguments",
                dry_run ? "IN and perhaps OUT are needed"
                        : "IN and OUT are needed",
                n);
    }
    command->in_path = paths[0];
    command->out_path = n == 2 ? paths[1] : NULL;
    return TOOL_OK;
}

int
convert_options_read(struct convert_command *command, int argc, char **argv)
{
    int c;
    int i = 0;
    memset(command, 0, sizeof(*command));
    command->options.struct_size = sizeof(command->options);
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", long_options, &i)) != -1) {
        if (c == OPT_HELP || c == OPT_VERSION) {
            command->mode = c == OPT_HELP ? CONVERT_HELP : CONVERT_VERSION;
            return TOOL_OK;
        }
        int code = take_option(command, c, long_options[i].name, argv);
        if (code != TOOL_OK) {
            return code;
        }
    }
    return take_paths(command, argc - optind, argv + optind);
}
