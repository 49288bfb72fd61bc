/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * moe-convert: a checkpoint to a container, or a look at a container.
 *
 * A thin face over w4moe_convert(): options in, report out. Nothing about
 * formats is here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "convert/convert_options.h"
#include "convert/report.h"

const char tool_name[] = "moe-convert";

static int
convert(const w4moe_ctx *ctx, const struct convert_command *command,
        struct progress *progress)
{
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_convert_options options = command->options;
    options.layers = command->layers.values;
    options.n_layers = command->layers.n;
    options.progress = progress_update;
    options.progress_user = progress;
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
            .dry_run = options.dry_run,
            .verify = !options.no_verify,
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
run_command(const struct convert_command *command)
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
    if (command->mode == CONVERT_INFO) {
        code = report_info(ctx, command->in_path, command->json);
    } else if (command->mode == CONVERT_CHECK) {
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
    struct convert_command command;
    int code = convert_options_read(&command, argc, argv);
    if (code == TOOL_OK && command.mode == CONVERT_HELP) {
        code = tool_help(convert_help);
    } else if (code == TOOL_OK && command.mode == CONVERT_VERSION) {
        code = tool_version();
    } else if (code == TOOL_OK) {
        code = run_command(&command);
    }
    free(command.layers.values);
    return tool_finish(code);
}
