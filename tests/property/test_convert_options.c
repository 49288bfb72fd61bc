/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the caller of w4moe_convert() asks for: where the output goes and what
 * happens to what is there, which layers, dry runs, progress and stopping. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"
#include "test_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Layers 3, 5 and 7. */
static const struct ct_spec spec = {
        "options", CT_QWEN3, 3, 3, 3, 16, 24, 16, W4MOE_F16, 1, 1, 0, 1};

static struct ct_model model;
static const char *in_path;

static void
setup(void)
{
    ct_ctx_setup();
    ct_model_make(&model, &spec);
    in_path = strdup(test_subfolder(test_path("in")));
    ct_model_write(&model, in_path);
    /* What an earlier test may have left. */
    remove(test_path("made/model.safetensors"));
    remove(test_path("made"));
    remove(test_path("out.safetensors"));
}

static void
teardown(void)
{
    ct_model_free(&model);
    free((void *)(uintptr_t)in_path);
    ct_ctx_teardown();
}

static w4moe_status
convert(const char *path, const w4moe_convert_options *options)
{
    return w4moe_convert(ct_ctx, NULL, path, in_path, options);
}

static void
check_no_partial(void)
{
    ck_assert_uint_eq(test_folder_count(test_path("."), "partial"), 0);
}

static void
check_content(const char *path, const char *text)
{
    size_t n;
    unsigned char *bytes = test_file_read(path, &n);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_mem_eq(bytes, text, n);
    free(bytes);
}

/* ----------------------------------------------------------------- outputs */

START_TEST(existing_output)
{
    const char *path = strdup(test_path("out.safetensors"));
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    test_file_write(path, "old", 3);
    ct_refused(convert(path, &options), W4MOE_INVALID, "exists");
    check_content(path, "old");
    /* A failure leaves it, with force, too. */
    options.force = 1;
    remove(test_path("in/model.safetensors"));
    ct_refused(convert(path, &options), W4MOE_IO, "model.safetensors");
    check_content(path, "old");
    check_no_partial();
    ct_model_write(&model, in_path);
    ct_ok(convert(path, &options));
    w4moe_file *file = ct_open(path);
    ck_assert(ct_has_weights(file, &model));
    /* The open file keeps its content when the name gets another. */
    options.order = W4MOE_ORDER_RDNA3;
    ct_ok(convert(path, &options));
    ck_assert(ct_has_weights(file, &model));
    ct_ok(w4moe_file_verify(file));
    w4moe_file_close(file);
    options.force = 0;
    ct_refused(convert(path, &options), W4MOE_INVALID, "exists");
    check_no_partial();
    free((void *)(uintptr_t)path);
}
END_TEST

START_TEST(existing_folder)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    test_subfolder(test_path("made"));
    test_file_write(test_path("made/model.safetensors"), "old", 3);
    ct_refused(convert(test_path("made"), &options), W4MOE_INVALID, "exists");
    check_content(test_path("made/model.safetensors"), "old");
    options.force = 1;
    ct_ok(convert(test_path("made"), &options));
    w4moe_file_close(ct_open(test_path("made")));
    ck_assert_uint_eq(test_folder_count(test_path("made"), "model"), 1);
    /* A folder that was there stays, whatever happens. */
    remove(test_path("made/model.safetensors"));
    remove(test_path("in/model.safetensors"));
    ct_refused(convert(test_path("made"), &options), W4MOE_IO, "");
    ck_assert(test_file_exists(test_path("made")));
}
END_TEST

START_TEST(no_place)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    test_file_write(test_path("file"), "old", 3);
    ct_refused(convert(test_path("none/out.safetensors"), &options), W4MOE_IO,
            "none");
    ct_refused(convert(test_path("none/out"), &options), W4MOE_IO, "none");
    ct_refused(convert(test_path("file/out.safetensors"), &options), W4MOE_IO,
            "file");
    ct_refused(convert(test_path("file"), &options), W4MOE_IO, "file");
    check_content(test_path("file"), "old");
    ck_assert(!test_file_exists(test_path("none")));
    check_no_partial();
}
END_TEST

START_TEST(wrong_options)
{
    w4moe_convert_options options = ct_options((w4moe_order)3);
    w4moe_convert_report report = {.struct_size = sizeof(report) - 1};
    const char *path = test_path("out.safetensors");
    ct_refused(convert(path, &options), W4MOE_INVALID, "order 3");
    options = ct_options(W4MOE_ORDER_TILE);
    options.struct_size--;
    ct_refused(convert(path, &options), W4MOE_INVALID, "struct_size");
    options.struct_size++;
    ct_refused(w4moe_convert(ct_ctx, &report, path, in_path, &options),
            W4MOE_INVALID, "struct_size");
    ct_refused(convert(NULL, &options), W4MOE_INVALID, "out_path");
    ct_refused(w4moe_convert(ct_ctx, NULL, path, NULL, &options), W4MOE_INVALID,
            "in_path");
    ck_assert_int_eq(
            w4moe_convert(NULL, NULL, path, in_path, &options), W4MOE_INVALID);
    ck_assert(!test_file_exists(path));
    check_no_partial();
}
END_TEST

/* ------------------------------------------------------------------ layers */

START_TEST(layers)
{
    static const struct {
        uint32_t chosen[4];
        size_t n_chosen;
        uint32_t expected[3];
        size_t n_expected;
    } cases[] = {{{5}, 1, {5}, 1}, {{7, 3}, 2, {3, 7}, 2},
            {{3, 3, 3, 3}, 4, {3}, 1}, {{7, 5, 3, 5}, 4, {3, 5, 7}, 3}};
    size_t n_layer = model.files[0].n_tensors / 3;
    for (size_t i = 0; i < COUNT(cases); i++) {
        w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
        w4moe_convert_report report = {.struct_size = sizeof(report)};
        w4moe_file_info info = {.struct_size = sizeof(info)};
        options.layers = cases[i].chosen;
        options.n_layers = cases[i].n_chosen;
        options.force = 1;
        const char *path = test_path("out.safetensors");
        ct_ok(w4moe_convert(ct_ctx, &report, path, in_path, &options));
        w4moe_file *file = ct_open(path);
        ct_ok(w4moe_file_get_info(file, &info));
        ck_assert_uint_eq(info.n_layers, cases[i].n_expected);
        ck_assert_mem_eq(info.layers, cases[i].expected,
                cases[i].n_expected * sizeof(uint32_t));
        ck_assert_uint_eq(report.n_layers, cases[i].n_expected);
        ck_assert_uint_eq(report.n_tensors_unselected,
                (3 - cases[i].n_expected) * (n_layer - 1));
        ck_assert_uint_eq(report.n_tensors_other, 3);
        ck_assert_uint_eq(report.n_tensors_used + report.n_tensors_other +
                                  report.n_tensors_unselected,
                model.files[0].n_tensors);
        ct_ok(w4moe_file_verify(file));
        w4moe_file_close(file);
    }
}
END_TEST

START_TEST(wrong_layers)
{
    static const uint32_t lists[][2] = {
            {4, 4}, {3, 4}, {0, 3}, {7, 9}, {UINT32_MAX, 3}};
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.layers = lists[0];
    ct_refused(convert(test_path("out.safetensors"), &options), W4MOE_INVALID,
            "empty list");
    options.n_layers = 2;
    for (size_t i = 0; i < COUNT(lists); i++) {
        options.layers = lists[i];
        ct_refused(convert(test_path("out.safetensors"), &options),
                W4MOE_INVALID, "has no experts");
    }
    ct_refused(convert(test_path("out.safetensors"), &options), W4MOE_INVALID,
            "layer 4294967295");
    ct_refused(convert(test_path("made"), &options), W4MOE_INVALID, "3 to 7");
    ck_assert(!test_file_exists(test_path("out.safetensors")));
    ck_assert(!test_file_exists(test_path("made")));
}
END_TEST

/* ----------------------------------------------------------------- experts */

START_TEST(experts)
{
    static const struct {
        size_t first, n, expected;
    } cases[] = {{0, 0, 3}, {0, 3, 3}, {1, 0, 2}, {2, 0, 1}, {0, 1, 1},
            {1, 1, 1}, {0, 2, 2}, {1, 2, 2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
        w4moe_convert_report report = {.struct_size = sizeof(report)};
        w4moe_file_info info = {.struct_size = sizeof(info)};
        options.first_expert = cases[i].first;
        options.n_experts = cases[i].n;
        options.force = 1;
        const char *path = test_path("out.safetensors");
        ct_ok(w4moe_convert(ct_ctx, &report, path, in_path, &options));
        ck_assert_uint_eq(report.n_experts, cases[i].expected);
        ck_assert_uint_eq(report.first_expert, cases[i].first);
        ck_assert_uint_eq(report.n_experts_total, 3);
        ck_assert_uint_eq(report.n_experts_verified, 3 * cases[i].expected);
        w4moe_file *file = ct_open(path);
        ct_ok(w4moe_file_get_info(file, &info));
        ck_assert_uint_eq(info.n_experts, cases[i].expected);
        ck_assert_uint_eq(info.first_expert, cases[i].first);
        ck_assert_uint_eq(info.n_experts_total, 3);
        ct_ok(w4moe_file_verify(file));
        w4moe_file_close(file);
    }
}
END_TEST

START_TEST(wrong_experts)
{
    static const struct {
        size_t first, n;
    } cases[] = {{0, 4}, {3, 0}, {3, 1}, {2, 2}, {SIZE_MAX, 1}, {1, SIZE_MAX},
            {SIZE_MAX, SIZE_MAX}};
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    for (size_t i = 0; i < COUNT(cases); i++) {
        options.first_expert = cases[i].first;
        options.n_experts = cases[i].n;
        ct_refused(convert(test_path("out.safetensors"), &options),
                W4MOE_INVALID, "but there are 3");
    }
    ck_assert(!test_file_exists(test_path("out.safetensors")));
}
END_TEST

/* ----------------------------------------------------------------- dry run */

START_TEST(dry_run)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_RDNA3);
    w4moe_convert_report dry = {.struct_size = sizeof(dry)};
    w4moe_convert_report real = {.struct_size = sizeof(real)};
    size_t n_before = test_folder_count(test_path("."), "");
    options.dry_run = 1;
    ct_ok(w4moe_convert(ct_ctx, &dry, NULL, in_path, &options));
    ct_ok(convert(test_path("made"), &options));
    ct_ok(convert(test_path("none/out.safetensors"), &options));
    ck_assert_uint_eq(test_folder_count(test_path("."), ""), n_before);
    ck_assert_uint_eq(dry.n_experts_verified, 0);
    options.dry_run = 0;
    ct_ok(w4moe_convert(ct_ctx, &real, test_path("made"), in_path, &options));
    ck_assert_uint_eq(real.n_experts_verified, 9);
    dry.n_experts_verified = 9;
    /* Scales are not read by a dry run. */
    dry.n_scales_denormal = real.n_scales_denormal;
    dry.n_scales_zero = real.n_scales_zero;
    ck_assert_mem_eq(&dry, &real, sizeof(dry));
    /* An existing output does not matter to it. */
    options.dry_run = 1;
    ct_ok(convert(test_path("made"), &options));
    w4moe_file_close(ct_open(test_path("made")));
    /* Without verification the file is the same. */
    options.dry_run = 0;
    options.no_verify = 1;
    ct_ok(w4moe_convert(
            ct_ctx, &real, test_path("out.safetensors"), in_path, &options));
    ck_assert_uint_eq(real.n_experts_verified, 0);
    size_t n[2];
    unsigned char *a = test_file_read(test_path("out.safetensors"), &n[0]);
    unsigned char *b =
            test_file_read(test_path("made/model.safetensors"), &n[1]);
    ck_assert(n[0] == n[1] && memcmp(a, b, n[0]) == 0);
    free(a);
    free(b);
}
END_TEST

/* ---------------------------------------------------------------- progress */

/* What the callback has seen, and when it is to ask for a stop. */
struct watch {
    unsigned n_calls;
    unsigned stop_at;
    int phase;
    uint64_t bytes_done;
    uint64_t bytes_total;
};

static int
watch_progress(void *user, const w4moe_progress *p)
{
    static const char *const phases[] = {"convert", "check"};
    struct watch *w = user;
    ck_assert_uint_eq(p->struct_size, sizeof(*p));
    ck_assert_uint_eq(p->reserved, 0);
    while (strcmp(phases[w->phase], p->phase) != 0) {
        w->phase++; /* they come in this order */
        ck_assert_int_lt(w->phase, 2);
    }
    ck_assert(w->phase == 1 ||
              (p->layer >= 3 && p->layer <= 7 && p->layer % 2 == 1));
    ck_assert_uint_ge(p->bytes_done, w->bytes_done);
    ck_assert_uint_le(p->bytes_done, p->bytes_total);
    ck_assert(w->n_calls == 0 || p->bytes_total == w->bytes_total);
    w->bytes_done = p->bytes_done;
    w->bytes_total = p->bytes_total;
    return ++w->n_calls == w->stop_at;
}

/* Stopped at every call there is: nothing is left, and what was there stays. */
START_TEST(stopping)
{
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    struct watch all = {.stop_at = 0};
    options.progress = watch_progress;
    options.progress_user = &all;
    ct_ok(convert(test_path("out.safetensors"), &options));
    ck_assert_int_eq(all.phase, 1);
    ck_assert_uint_ge(all.n_calls, 18);
    test_file_write(test_path("out.safetensors"), "old", 3);
    for (unsigned i = 1; i <= all.n_calls; i++) {
        struct watch watch = {.stop_at = i};
        options.progress_user = &watch;
        options.force = (int)(i % 2);
        const char *path = test_path(i % 2 ? "out.safetensors" : "made");
        ct_refused(convert(path, &options), W4MOE_CANCELLED,
                "stopped by the caller");
        ck_assert_uint_eq(watch.n_calls, i);
        check_content(test_path("out.safetensors"), "old");
        ck_assert(!test_file_exists(test_path("made")));
        check_no_partial();
    }
}
END_TEST

/* With several threads the callback is still the caller's thread's alone. */
START_TEST(stopping_threads)
{
    const w4moe_ctx_options with = {
            .struct_size = sizeof(with), .n_threads = 3};
    w4moe_ctx *ctx;
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &with), W4MOE_OK);
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    options.progress = watch_progress;
    for (unsigned i = 1; i <= 20; i++) {
        struct watch watch = {.stop_at = i};
        options.progress_user = &watch;
        options.force = 1;
        const char *path = test_path("out.safetensors");
        w4moe_status status = w4moe_convert(ctx, NULL, path, in_path, &options);
        if (watch.n_calls >= i) {
            ck_assert_int_eq(status, W4MOE_CANCELLED);
            ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "stopped"));
            ck_assert(!test_file_exists(path));
        } else {
            ck_assert_int_eq(status, W4MOE_OK);
            remove(path);
        }
        check_no_partial();
    }
    w4moe_ctx_destroy(ctx);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("convert_options");
    TCase *tc = tcase_create("convert_options");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, existing_output);
    tcase_add_test(tc, existing_folder);
    tcase_add_test(tc, no_place);
    tcase_add_test(tc, wrong_options);
    tcase_add_test(tc, layers);
    tcase_add_test(tc, wrong_layers);
    tcase_add_test(tc, experts);
    tcase_add_test(tc, wrong_experts);
    tcase_add_test(tc, dry_run);
    tcase_add_test(tc, stopping);
    tcase_add_test(tc, stopping_threads);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
