/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Damaged containers: cut off, with flipped bits, with metadata or tensors that
 * do not agree. Each must be refused, or be what it was; and nothing that is
 * done with a file that opens may crash (run it under the sanitizers, too). */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ct_model model;
static struct mini mini;
static const char *path;

/* A container of a checkpoint: on disk at `path`, and in `mini`. */
static void
start(int spec, w4moe_order order)
{
    ct_model_make(&model, &ct_specs[spec]);
    ct_convert(&model, order, "damage.safetensors");
    path = strdup(test_path("damage.safetensors"));
    mini_read(&mini, path);
}

static void
end(void)
{
    mini_free(&mini);
    ct_model_free(&model);
    free((void *)(uintptr_t)path);
}

/* Writes what the test has made of the container. */
static void
write_again(void)
{
    mini_write(&mini, path, 64);
}

static void
refused(w4moe_status expected, const char *text)
{
    w4moe_file *file = NULL;
    w4moe_status status = w4moe_file_open(ct_ctx, &file, path);
    ct_refused(status, expected, text);
    ck_assert_ptr_null(file);
}

/* Opens, and has the weights it had. */
static w4moe_file *
same(void)
{
    w4moe_file *file = ct_open(path);
    ck_assert(ct_has_weights(file, &model));
    ct_use(file);
    return file;
}

/* Opens the file, whatever is in it: it must be refused in a way that is meant
 * for files, or be usable. Returns whether it opened; *intact is set if its
 * weights are what they were, or else the damage is found by its hashes. */
static int
try_file(int *intact)
{
    w4moe_file *file = NULL;
    w4moe_status status = w4moe_file_open(ct_ctx, &file, path);
    *intact = 1;
    if (status != W4MOE_OK) {
        ck_assert_msg(status == W4MOE_FORMAT || status == W4MOE_UNSUPPORTED,
                "%s: %s", w4moe_status_string(status), w4moe_ctx_error(ct_ctx));
        return 0;
    }
    ct_use(file);
    *intact = ct_has_weights(file, &model);
    w4moe_file_close(file);
    return 1;
}

START_TEST(cut_off)
{
    start(_i, W4MOE_ORDER_TILE);
    size_t n;
    int intact;
    free(test_file_read(path, &n));
    for (size_t left = n; left-- > 0;) {
        ck_assert_int_eq(truncate(path, (off_t)left), 0);
        ck_assert_msg(!try_file(&intact), "%zu of %zu bytes open", left, n);
    }
    end();
}
END_TEST

static void
put_byte(int fd, size_t at, unsigned char byte)
{
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
}

START_TEST(bits_of_the_header)
{
    start(_i / 2, _i % 2 == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3);
    size_t n;
    size_t n_open = 0;
    unsigned char *bytes = test_file_read(path, &n);
    size_t n_header = 8 + bytes[0] + 256u * bytes[1];
    int fd = open(path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    for (size_t bit = 0; bit < 8 * n_header; bit++) {
        unsigned char before = bytes[bit / 8];
        int intact;
        put_byte(fd, bit / 8, (unsigned char)(before ^ 1u << bit % 8));
        n_open += (size_t)try_file(&intact);
        ck_assert_msg(intact,
                "bit %zu of byte %zu ('%c', in \"%.40s\"): other weights",
                bit % 8, bit / 8, before, bytes + bit / 8 - 20);
        put_byte(fd, bit / 8, before);
    }
    /* Most of the hashes' digits, for example, may be anything. */
    ck_assert_uint_gt(n_open, 0);
    close(fd);
    w4moe_file_close(same());
    free(bytes);
    end();
}
END_TEST

START_TEST(random_damage)
{
    struct test_random random = {(uint64_t)_i};
    start(_i % CT_N_SPECS, _i % 2 == 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3);
    size_t n;
    unsigned char *bytes = test_file_read(path, &n);
    for (int round = 0; round < 200; round++) {
        unsigned char *copy = malloc(n);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bytes, n);
        size_t n_flips = 1 + test_random_below(&random, 4);
        for (size_t i = 0; i < n_flips; i++) {
            copy[test_random_below(&random, n)] ^=
                    (unsigned char)(1 + test_random_below(&random, 255));
        }
        int intact;
        test_file_write(path, copy, n);
        try_file(&intact);
        free(copy);
    }
    free(bytes);
    end();
}
END_TEST

/* Every byte of a tensor counts: its hash says so. */
START_TEST(weight_bytes)
{
    start(4, W4MOE_ORDER_TILE);
    for (size_t t = 0; t < mini.n_tensors; t++) {
        struct mini_tensor *tensor = &mini.tensors[t];
        int is_perm = strstr(tensor->name, ".perm") != NULL;
        if (strncmp(tensor->name, "pad.", 4) == 0 || is_perm) {
            continue;
        }
        size_t at = (t * 37) % tensor->n_bytes;
        tensor->data[at] ^= (unsigned char)(1u << t % 8);
        write_again();
        w4moe_file *file = ct_open(path);
        ct_refused(w4moe_file_verify(file), W4MOE_MISMATCH, tensor->name);
        w4moe_file_close(file);
        tensor->data[at] ^= (unsigned char)(1u << t % 8);
    }
    write_again();
    w4moe_file *file = same();
    ct_ok(w4moe_file_verify(file));
    w4moe_file_close(file);
    end();
}
END_TEST

static void
put_le32(unsigned char *bytes, int32_t value)
{
    for (int b = 0; b < 4; b++) {
        bytes[b] = (unsigned char)((uint32_t)value >> 8 * b);
    }
}

START_TEST(permutations)
{
    static const int32_t wrong[] = {-1, 24, 1000000, INT32_MAX, INT32_MIN};
    start(4, W4MOE_ORDER_TILE);
    struct mini_tensor *perm = mini_find(&mini, "layers.1.w13.perm");
    ck_assert_ptr_nonnull(perm);
    ck_assert_uint_eq(perm->n_dims, 3);
    for (size_t at = 0; at < perm->n_bytes; at += 4) {
        unsigned char before[4];
        memcpy(before, perm->data + at, 4);
        put_le32(perm->data + at, wrong[at / 4 % COUNT(wrong)]);
        write_again();
        refused(W4MOE_FORMAT, "permutation");
        /* Twice the same. */
        memcpy(perm->data + at, perm->data + (at % 96 == 0 ? at + 4 : at - 4),
                4);
        write_again();
        refused(W4MOE_FORMAT, "permutation");
        memcpy(perm->data + at, before, 4);
    }
    write_again();
    w4moe_file_close(same());
    end();
}
END_TEST

/* A file that is not aligned cannot be used in place. */
START_TEST(alignment)
{
    size_t n_aligned = 0;
    start(0, W4MOE_ORDER_TILE);
    for (size_t extra = 1; extra <= 64; extra++) {
        char text[72];
        memset(text, 'x', extra);
        text[extra] = '\0';
        mini_set(&mini, "note", text);
        mini_write(&mini, path, 1);
        size_t n;
        unsigned char *bytes = test_file_read(path, &n);
        if ((8 + bytes[0] + 256u * bytes[1]) % 64 == 0) {
            w4moe_file_close(same());
            n_aligned++;
        } else {
            refused(W4MOE_FORMAT, "multiple of 64");
        }
        free(bytes);
    }
    ck_assert_uint_eq(n_aligned, 1);
    end();
}
END_TEST

/* Shards: the same tensors in two files with an index. */
START_TEST(shards)
{
    start(3, W4MOE_ORDER_RDNA3);
    const char *folder = strdup(test_subfolder(test_path("shards")));
    struct mini parts[2] = {{NULL, 0, NULL}, {NULL, 0, NULL}};
    json_t *map = json_object();
    for (size_t f = 0; f < 2; f++) {
        char name[32];
        snprintf(name, sizeof(name), "s%zu.safetensors", f);
        parts[f].metadata = json_incref(mini.metadata);
        for (size_t t = 0; t < mini.n_tensors; t++) {
            const struct mini_tensor *from = &mini.tensors[t];
            if ((t / 6) % 2 == f) { /* a tensor stays with its pad */
                mini_add(&parts[f], from->name, from->dtype, from->n_dims,
                        from->shape, from->data, from->n_bytes);
                json_object_set_new(map, from->name, json_string(name));
            }
        }
        mini_write(&parts[f], test_path("shards/%s", name), 64);
        mini_free(&parts[f]);
    }
    json_t *index = json_pack("{s:o}", "weight_map", map);
    const char *at = test_path("shards/model.safetensors.index.json");
    ck_assert_int_eq(json_dump_file(index, at, 0), 0);
    json_decref(index);
    free((void *)(uintptr_t)path);
    path = folder;
    w4moe_file *file = same();
    ct_ok(w4moe_file_verify(file));
    w4moe_file_close(file);
    ck_assert_int_eq(unlink(test_path("shards/s1.safetensors")), 0);
    refused(W4MOE_FORMAT, "s1.safetensors");
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("container_damage");
    TCase *tc = tcase_create("container_damage");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(tc, cut_off, 0, 2);
    tcase_add_loop_test(tc, bits_of_the_header, 0, 8);
    tcase_add_loop_test(tc, random_damage, 0, 2 * CT_N_SPECS);
    tcase_add_test(tc, weight_bytes);
    tcase_add_test(tc, permutations);
    tcase_add_test(tc, alignment);
    tcase_add_test(tc, shards);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
