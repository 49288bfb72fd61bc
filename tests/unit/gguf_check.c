/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gguf_check.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "test_folder.h"

struct w4_err gguf_err;

void
gguf_err_setup(void)
{
    w4_err_init(&gguf_err, NULL, NULL);
}

void
gguf_err_teardown(void)
{
    w4_err_fini(&gguf_err);
}

struct w4_gguf_set *
gguf_open_good(const char *path)
{
    struct w4_gguf_set *set = NULL;
    w4moe_status status = w4_gguf_open(&gguf_err, &set, path);
    ck_assert_msg(status == W4MOE_OK, "%s", w4_err_text(&gguf_err));
    return set;
}

void
gguf_open_bad(const char *path, w4moe_status wanted, const char *text)
{
    struct w4_gguf_set *set = NULL;
    w4moe_status status = w4_gguf_open(&gguf_err, &set, path);
    const char *got = w4_err_text(&gguf_err);
    ck_assert_msg(status == wanted && set == NULL,
            "%s: status %d, wanted %d ('%s'); text: '%s'", path, (int)status,
            (int)wanted, text, got);
    ck_assert_msg(strstr(got, text) != NULL, "'%s' lacks '%s'", got, text);
    /* Of a long path only the end is shown. */
    const char *slash = strrchr(path, '/');
    size_t n = slash != NULL ? (size_t)(slash - path) + 1 : strlen(path);
    ck_assert_msg(n > 100 || strncmp(got, path, n) == 0,
            "'%s' does not begin with the folder of '%s'", got, path);
}

void
gguf_build_bad(struct gguf_build *build, w4moe_status status, const char *text)
{
    gguf_open_bad(gguf_write(build, test_path("bad.gguf")), status, text);
}

void
gguf_check_sane(const struct w4_gguf_set *set)
{
    uint64_t n_bytes = 0;
    unsigned sum = 0;
    for (size_t i = 0; i < w4_gguf_count(set); i++) {
        const struct w4_gguf_tensor *tensor = w4_gguf_at(set, i);
        const unsigned char *data = tensor->data;
        ck_assert_ptr_eq(w4_gguf_find(set, tensor->name), tensor);
        ck_assert_uint_ge(strlen(tensor->name), 1);
        ck_assert_uint_le(tensor->n_dims, W4_GGUF_RANK_MAX);
        ck_assert_uint_lt(tensor->file, w4_gguf_file_count(set));
        ck_assert_uint_ge(tensor->n_bytes, 1);
        for (uint64_t j = 0; j < tensor->n_bytes; j++) {
            sum += data[j];
        }
        n_bytes += tensor->n_bytes;
    }
    ck_assert_msg(n_bytes < w4_gguf_file_bytes(set),
            "%" PRIu64 " bytes of data (sum %u)", n_bytes, sum);
}

void
gguf_check_tensor(const struct w4_gguf_tensor *tensor, enum w4_gguf_type type,
        const char *type_name, uint32_t n_dims, const uint64_t *shape,
        uint64_t n_bytes)
{
    ck_assert_ptr_nonnull(tensor);
    ck_assert_uint_eq(tensor->type, type);
    ck_assert_str_eq(tensor->type_name, type_name);
    ck_assert_uint_eq(tensor->n_dims, n_dims);
    for (uint32_t i = 0; i < W4_GGUF_RANK_MAX; i++) {
        ck_assert_uint_eq(tensor->shape[i], i < n_dims ? shape[i] : 1);
    }
    ck_assert_uint_eq(tensor->n_bytes, n_bytes);
    const unsigned char *data = tensor->data;
    for (size_t i = 0; i < n_bytes; i++) {
        ck_assert_msg(data[i] == gguf_pattern(tensor->name, i),
                "%s: byte %zu differs", tensor->name, i);
    }
}
