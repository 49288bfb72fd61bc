/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "conversion.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes of a container that is written in earnest. */
enum { SMALL = 1 << 18 };

/* How many files there are. */
static unsigned
count_files(const char *folder)
{
    unsigned n = 0;
    DIR *entries = opendir(folder);
    FUZZ_CHECK(entries != NULL);
    while (readdir(entries) != NULL) {
        n++;
    }
    closedir(entries);
    return n;
}

unsigned
fuzz_option(const struct fuzz_part *part, size_t i)
{
    return i < part->size ? part->data[i] : 0;
}

static w4moe_convert_options
read_options(const struct fuzz_part *part)
{
    unsigned flags = fuzz_option(part, FUZZ_FLAGS);
    w4moe_convert_options options = {
            .struct_size = sizeof(options),
            .order = flags & FUZZ_RDNA3 ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE,
            .first_expert = fuzz_option(part, FUZZ_EXPERTS) % 16,
            .n_experts = fuzz_option(part, FUZZ_EXPERTS) / 16,
            .group_size = 8 * fuzz_option(part, FUZZ_GROUPS),
            .asymmetric = flags & FUZZ_ASYMMETRIC,
            .gptq_zero_wrap = flags & FUZZ_ZERO_WRAP,
            .requantize = flags & FUZZ_REQUANTIZE,
    };
    if (part->size > FUZZ_MAP) {
        options.name_map =
                fuzz_file(part->data + FUZZ_MAP, part->size - FUZZ_MAP);
    }
    return options;
}

/* What was made of a report's checkpoint. */
static void
check_container(const char *path, const w4moe_convert_report *report)
{
    w4moe_file *file = NULL;
    w4moe_status status = w4moe_file_open(fuzz_ctx(), &file, path);
    FUZZ_CHECK(fuzz_status(status, FUZZ_BIT(W4MOE_OK)));
    status = w4moe_file_verify(file);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    w4moe_file_info info = {.struct_size = sizeof(info)};
    status = w4moe_file_get_info(file, &info);
    fuzz_status(status, FUZZ_BIT(W4MOE_OK));
    FUZZ_CHECK(info.n_layers == report->n_layers &&
               info.n_experts == report->n_experts &&
               info.hidden_size == report->hidden_size &&
               info.intermediate_size == report->intermediate_size);
    w4moe_file_close(file);
}

/* A conversion that its dry run has allowed. Some values make it fail still:
 * weights that are not finite, zero points that may mean two things. */
static void
convert(const char *in_path, w4moe_convert_options options,
        const w4moe_convert_report *planned)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/out.safetensors", fuzz_folder());
    options.dry_run = 0;
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_status status =
            w4moe_convert(fuzz_ctx(), &report, path, in_path, &options);
    if (!fuzz_status(status, FUZZ_READER)) {
        return;
    }
    FUZZ_CHECK(report.n_experts_verified ==
               planned->n_layers * planned->n_experts);
    FUZZ_CHECK(report.bytes_out == planned->bytes_out);
    FUZZ_CHECK(report.n_weights_rounded == planned->n_weights_rounded);
    check_container(path, &report);
    FUZZ_CHECK(unlink(path) == 0);
}

void
fuzz_convert(const char *in_path, const struct fuzz_part *part, size_t size)
{
    unsigned n_files = count_files(fuzz_folder());
    w4moe_convert_options options = read_options(part);
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    unsigned expected = FUZZ_READER;
    if (fuzz_option(part, FUZZ_EXPERTS) != 0) {
        /* Experts that are not there. */
        expected |= FUZZ_BIT(W4MOE_INVALID);
    }
    w4moe_ctx *ctx = fuzz_ctx();
    options.dry_run = 1;
    fuzz_memory_begin();
    w4moe_status status = w4moe_convert(ctx, &report, NULL, in_path, &options);
    /* As for config.json, which may be nearly all of it. */
    fuzz_memory_end(size, 128, 65536);
    if (fuzz_status(status, expected) && report.bytes_out <= SMALL) {
        convert(in_path, options, &report);
    }
    FUZZ_CHECK(count_files(fuzz_folder()) == n_files);
}
