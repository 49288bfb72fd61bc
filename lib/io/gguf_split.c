/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "io/gguf_split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/text.h"

/* "-00001-of-00003.gguf": what a part's name ends with. */
enum { ENDING_SIZE = 20 };

struct ending {
    char text[ENDING_SIZE + 1];
};

static struct ending
make_ending(uint64_t no, uint64_t count)
{
    /* Both have five digits: W4_GGUF_PARTS_MAX. */
    struct ending ending;
    snprintf(ending.text, sizeof(ending.text), "-%05u-of-%05u.gguf",
            (unsigned)(no + 1) % 100000u, (unsigned)count % 100000u);
    return ending;
}

static int
has_ending(const char *path, const struct ending *ending)
{
    size_t n = strlen(path);
    return n > ENDING_SIZE && strcmp(path + n - ENDING_SIZE, ending->text) == 0;
}

static w4moe_status
read_key(struct w4_err *err, const struct w4_gguf_file *file, const char *name,
        uint64_t *value)
{
    const struct w4_gguf_key *key = w4_gguf_file_find(file, name);
    if (!w4_gguf_key_uint(key, value)) {
        return w4_fail(err, W4MOE_FORMAT, "%s: key \"%s\" %s",
                w4_show_path(file->path).text, name,
                key == NULL ? "of a split is missing" : "is not a number");
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_split_read(struct w4_err *err, const struct w4_gguf_file *file,
        struct w4_gguf_split *split)
{
    const char *key = "split.count";
    *split = (struct w4_gguf_split){.count = 1};
    if (w4_gguf_file_find(file, key) == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = read_key(err, file, key, &split->count);
    if (status != W4MOE_OK) {
        return status;
    }
    if (split->count <= 1) {
        split->count = 1;
        return W4MOE_OK;
    }
    status = read_key(err, file, "split.no", &split->no);
    if (status != W4MOE_OK) {
        return status;
    }
    if (split->count > W4_GGUF_PARTS_MAX || split->no >= split->count) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: split.no is %" PRIu64 ", split.count %" PRIu64
                ", at most %d",
                w4_show_path(file->path).text, split->no, split->count,
                W4_GGUF_PARTS_MAX);
    }
    return read_key(err, file, "split.tensors.count", &split->n_tensors);
}

char *
w4_gguf_split_path(
        const char *first, const struct w4_gguf_split *split, uint64_t no)
{
    char *path = strdup(first);
    if (path != NULL) {
        struct ending ending = make_ending(no, split->count);
        memcpy(path + strlen(path) - ENDING_SIZE, ending.text, ENDING_SIZE);
    }
    return path;
}

w4moe_status
w4_gguf_split_check_first(struct w4_err *err, const struct w4_gguf_file *file,
        const struct w4_gguf_split *split)
{
    struct ending ending = make_ending(split->no, split->count);
    struct ending first = make_ending(0, split->count);
    const char *path = file->path;
    if (!has_ending(path, &ending)) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: is part %" PRIu64 " of %" PRIu64
                ", but its name does not end with \"%s\"",
                w4_show_path(path).text, split->no + 1, split->count,
                ending.text);
    }
    if (split->no != 0) {
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        return w4_fail(err, W4MOE_FORMAT,
                "%s: is part %" PRIu64 " of %" PRIu64 "; open the first, %s%s",
                w4_show_path(path).text, split->no + 1, split->count,
                w4_show(name, strlen(name) - ENDING_SIZE).text, first.text);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gguf_split_check(struct w4_err *err, const struct w4_gguf_file *file,
        const struct w4_gguf_split *split, uint64_t no)
{
    struct w4_gguf_split found;
    w4moe_status status = w4_gguf_split_read(err, file, &found);
    if (status != W4MOE_OK) {
        return status;
    }
    if (found.count != split->count || found.no != no ||
            found.n_tensors != split->n_tensors) {
        return w4_fail(err, W4MOE_FORMAT,
                "%s: is part %" PRIu64 " of %" PRIu64 " with %" PRIu64
                " tensors, but part %" PRIu64 " of %" PRIu64 " with %" PRIu64
                " is wanted",
                w4_show_path(file->path).text, found.no + 1, found.count,
                found.n_tensors, no + 1, split->count, split->n_tensors);
    }
    return W4MOE_OK;
}
