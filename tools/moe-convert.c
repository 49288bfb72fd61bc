/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * moe-convert: a checkpoint to a container, or a look at a container.
 *
 * A thin face over w4moe_convert(): options in, report out. Nothing about
 * formats is here.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "args.h"
#include "common.h"
#include "progress.h"
#include "report.h"

const char tool_name[] = "moe-convert";

static const char help[] =
        "Usage: moe-convert [OPTION]... IN OUT\n"
        "       moe-convert [OPTION]... --dry-run IN [OUT]\n"
        "       moe-convert --info [--json] FILE\n"
        "       moe-convert --check [--json] [--quiet] [--jobs=N] FILE\n"
        "Converts the routed experts of a checkpoint to a w4moe container.\n"
        "\n"
        "IN is a checkpoint folder, or one safetensors file beside its\n"
        "config.json. OUT is a file if it ends in .safetensors, otherwise a\n"
        "folder that gets model.safetensors, or shards and their index.\n"
        "\n"
        "      --dry-run        plan and check only; write nothing\n"
        "      --verify         compare what was written with the source "
        "(default)\n"
        "      --no-verify      do not\n"
        "      --order=ORDER    order of the words: tile (default) or rdna3\n"
        "      --layers=LIST    convert these layers only, for example 0-3,7\n"
        "      --jobs=N         threads\n"
        "      --max-shard-size=SIZE\n"
        "                       split into files of SIZE bytes of data (or K, "
        "M, G,\n"
        "                       KiB, MiB, GiB); OUT is a folder\n"
        "      --force          replace an existing output\n"
        "      --progress=WHEN  auto (default), always or never\n"
        "      --quiet          no progress, no warnings, no report\n"
        "      --json           the report as JSON\n"
        "      --info           print what a container holds\n"
        "      --check          compare a container's bytes with its hashes\n"
        "      --help           print this text\n"
        "      --version        print the version\n"
        "\n"
        "Exit status: 0 done, 1 error, 2 wrong command line, 3 a comparison\n"
        "failed (--verify, --check).\n";

enum option_id {
    OPT_DRY_RUN = 256,
    OPT_VERIFY,
    OPT_NO_VERIFY,
    OPT_ORDER,
    OPT_LAYERS,
    OPT_MAX_SHARD_SIZE,
    OPT_JOBS,
    OPT_FORCE,
    OPT_PROGRESS,
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
        {"max-shard-size", required_argument, NULL, OPT_MAX_SHARD_SIZE},
        {"jobs", required_argument, NULL, OPT_JOBS},
        {"force", no_argument, NULL, OPT_FORCE},
        {"progress", required_argument, NULL, OPT_PROGRESS},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"json", no_argument, NULL, OPT_JSON},
        {"info", no_argument, NULL, OPT_INFO},
        {"check", no_argument, NULL, OPT_CHECK},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
};

enum mode { MODE_CONVERT, MODE_INFO, MODE_CHECK, MODE_HELP, MODE_VERSION };

struct command {
    enum mode mode;
    const char *in_path;
    const char *out_path;
    int dry_run;
    int no_verify;
    int force;
    w4moe_order order;
    struct args_list layers;
    uint64_t max_shard_bytes;
    uint32_t jobs;
    enum progress_mode progress;
    int quiet;
    int json;
    /** An option that only a conversion takes, if there was one. */
    const char *convert_option;
};

static int
parse_progress(const char *text, enum progress_mode *out)
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
set_mode(struct command *command, enum mode mode)
{
    if (command->mode != MODE_CONVERT && command->mode != mode) {
        return tool_usage("--info and --check exclude each other");
    }
    command->mode = mode;
    return TOOL_OK;
}

/* Options that belong to a conversion only. */
static int
take_convert_option(struct command *command, int c)
{
    switch (c) {
    case OPT_DRY_RUN:
        command->convert_option = "--dry-run";
        command->dry_run = 1;
        return TOOL_OK;
    case OPT_VERIFY:
        command->convert_option = "--verify";
        command->no_verify = 0;
        return TOOL_OK;
    case OPT_NO_VERIFY:
        command->convert_option = "--no-verify";
        command->no_verify = 1;
        return TOOL_OK;
    case OPT_FORCE:
        command->convert_option = "--force";
        command->force = 1;
        return TOOL_OK;
    case OPT_ORDER:
        command->convert_option = "--order";
        return args_order("--order", optarg, &command->order);
    case OPT_LAYERS:
        command->convert_option = "--layers";
        return args_set("--layers", optarg, &command->layers);
    case OPT_MAX_SHARD_SIZE:
        command->convert_option = "--max-shard-size";
        return args_bytes(
                "--max-shard-size", optarg, &command->max_shard_bytes);
    default:
        command->convert_option = "--progress";
        return parse_progress(optarg, &command->progress);
    }
}

static int
take_option(struct command *command, int c, char **argv)
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
        return set_mode(command, MODE_INFO);
    case OPT_CHECK:
        return set_mode(command, MODE_CHECK);
    case '?':
    case ':':
        return tool_option_error(c, argv);
    default:
        return take_convert_option(command, c);
    }
}

static int
take_paths(struct command *command, int n, char **paths)
{
    if (command->mode != MODE_CONVERT) {
        const char *name = command->mode == MODE_INFO ? "--info" : "--check";
        if (command->convert_option != NULL) {
            return tool_usage("%s does not go together with %s",
                    command->convert_option, name);
        }
        if (n != 1) {
            return tool_usage("%s needs one FILE, not %d", name, n);
        }
        command->in_path = paths[0];
        return TOOL_OK;
    }
    int least = command->dry_run ? 1 : 2;
    if (n < least || n > 2) {
        return tool_usage("%s, not %d arguments",
                command->dry_run ? "IN and perhaps OUT are needed"
                                 : "IN and OUT are needed",
                n);
    }
    command->in_path = paths[0];
    command->out_path = n == 2 ? paths[1] : NULL;
    return TOOL_OK;
}

static int
parse(struct command *command, int argc, char **argv)
{
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (c == OPT_HELP || c == OPT_VERSION) {
            command->mode = c == OPT_HELP ? MODE_HELP : MODE_VERSION;
            return TOOL_OK;
        }
        int code = take_option(command, c, argv);
        if (code != TOOL_OK) {
            return code;
        }
    }
    return take_paths(command, argc - optind, argv + optind);
}

static int
convert(const w4moe_ctx *ctx, const struct command *command,
        struct progress *progress)
{
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_convert_options options = {
            .struct_size = sizeof(options),
            .order = command->order,
            .layers = command->layers.values,
            .n_layers = command->layers.n,
            .dry_run = command->dry_run,
            .no_verify = command->no_verify,
            .force = command->force,
            .progress = progress_update,
            .progress_user = progress,
            .max_shard_bytes = command->max_shard_bytes,
    };
    struct stat source;
    if (stat(command->in_path, &source) != 0) {
        return tool_error("%s: %s", command->in_path, strerror(errno));
    }
    progress_catch_signals();
    double start = tool_seconds();
    w4moe_status status = w4moe_convert(
            ctx, &report, command->out_path, command->in_path, &options);
    struct report_run run = {
            .in_path = command->in_path,
            .out_path = command->out_path,
            .seconds = tool_seconds() - start,
            .dry_run = command->dry_run,
            .verify = !command->no_verify,
    };
    progress_clear(progress);
    if (status == W4MOE_CANCELLED) {
        return tool_error("interrupted; nothing was written");
    }
    if (status != W4MOE_OK) {
        return tool_failed(ctx, status);
    }
    if (command->quiet && !command->json) {
        return TOOL_OK;
    }
    return report_convert(&report, &run, command->json);
}

static int
run_command(const struct command *command)
{
    w4moe_ctx *ctx = NULL;
    struct progress progress;
    progress_init(
            &progress, command->quiet ? PROGRESS_NEVER : command->progress);
    struct tool_log log = {.quiet = command->quiet,
            .before = progress_clear,
            .before_user = &progress};
    /* Weights are re-packed on the CPU; no device is needed. */
    int code = tool_ctx_create(&ctx, &log, "cpu", command->jobs);
    if (code != TOOL_OK) {
        return code;
    }
    if (command->mode == MODE_INFO) {
        code = report_info(ctx, command->in_path, command->json);
    } else if (command->mode == MODE_CHECK) {
        code = report_check(
                ctx, command->in_path, command->json, command->quiet);
    } else {
        code = convert(ctx, command, &progress);
    }
    w4moe_ctx_destroy(ctx);
    return code;
}

int
main(int argc, char **argv)
{
    struct command command = {.mode = MODE_CONVERT};
    int code = parse(&command, argc, argv);
    if (code == TOOL_OK && command.mode == MODE_HELP) {
        code = tool_help(help);
    } else if (code == TOOL_OK && command.mode == MODE_VERSION) {
        code = tool_version();
    } else if (code == TOOL_OK) {
        code = run_command(&command);
    }
    free(command.layers.values);
    return tool_finish(code);
}
