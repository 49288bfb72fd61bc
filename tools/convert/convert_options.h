/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The command line of moe-convert.
 */
#ifndef W4_TOOLS_CONVERT_OPTIONS_H
#define W4_TOOLS_CONVERT_OPTIONS_H

#include "args.h"
#include "progress.h"

/** What is asked for. */
enum convert_mode {
    CONVERT_RUN,
    CONVERT_INFO,
    CONVERT_CHECK,
    CONVERT_HELP,
    CONVERT_VERSION
};

struct convert_command {
    enum convert_mode mode;
    const char *in_path;
    /** NULL without one. */
    const char *out_path;
    /** What the library is to do, but for `layers` and the progress. */
    w4moe_convert_options options;
    struct args_list layers;
    uint32_t jobs;
    enum progress_mode progress;
    int quiet;
    int json;
    /** An option that only a conversion takes; "" if there was none. */
    char convert_option[32];
};

/** The text of --help. */
extern const char convert_help[];

/** Reads the command line into *command, which this clears. Returns TOOL_OK,
 * or TOOL_USAGE after printing what is wrong. Release command->layers.values
 * with free(), also after a failure. */
extern int convert_options_read(
        struct convert_command *command, int argc, char **argv);

#endif
