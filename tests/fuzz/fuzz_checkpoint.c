/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* A conversion of a checkpoint of foreign bytes: options and rules for names,
 * config.json, and one safetensors file, which may be a container; see struct
 * fuzz_part. It is refused and leaves nothing behind, or it comes to its end,
 * and the container is good. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

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

/* Bytes of the first part, 0 where it is shorter; from MAP on it is the text of
 * a map of names, if there is any. */
enum { FLAGS, EXPERTS, GROUPS, MAP };

/* Bits of its flags. */
enum { RDNA3 = 1, ASYMMETRIC = 2, ZERO_WRAP = 4, A_FILE = 8 };

static unsigned
byte_of(const struct fuzz_part *part, size_t i)
{
    return i < part->size ? part->data[i] : 0;
}

static w4moe_convert_options
read_options(const struct fuzz_part *part)
{
    unsigned flags = byte_of(part, FLAGS);
    w4moe_convert_options options = {
            .struct_size = sizeof(options),
            .order = flags & RDNA3 ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE,
            .first_expert = byte_of(part, EXPERTS) % 16,
            .n_experts = byte_of(part, EXPERTS) / 16,
            .group_size = 8 * byte_of(part, GROUPS),
            .asymmetric = flags & ASYMMETRIC,
            .gptq_zero_wrap = flags & ZERO_WRAP,
    };
    if (part->size > MAP) {
        options.name_map = fuzz_file(part->data + MAP, part->size - MAP);
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_part parts[3];
    char in_path[512];
    fuzz_split(parts, 3, data, size);
    fuzz_folder_write("config.json", parts[1].data, parts[1].size);
    fuzz_folder_write("model.safetensors", parts[2].data, parts[2].size);
    snprintf(in_path, sizeof(in_path), "%s%s", fuzz_folder(),
            byte_of(&parts[0], FLAGS) & A_FILE ? "/model.safetensors" : "");
    unsigned n_files = count_files(fuzz_folder());
    w4moe_convert_options options = read_options(&parts[0]);
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    w4moe_ctx *ctx = fuzz_ctx();
    options.dry_run = 1;
    fuzz_memory_begin();
    w4moe_status status = w4moe_convert(ctx, &report, NULL, in_path, &options);
    /* As for config.json, which may be nearly all of it. */
    fuzz_memory_end(size, 128, 65536);
    unsigned expected = FUZZ_READER;
    if (byte_of(&parts[0], EXPERTS) != 0) {
        /* Experts that are not there. */
        expected |= FUZZ_BIT(W4MOE_INVALID);
    }
    if (fuzz_status(status, expected) && report.bytes_out <= SMALL) {
        convert(in_path, options, &report);
    }
    FUZZ_CHECK(count_files(fuzz_folder()) == n_files);
    return 0;
}

size_t
LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_parts(data, size, max_size, seed, 3, 2);
}
