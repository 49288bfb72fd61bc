/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The flags of w4moe_layer_create() and w4moe_layer_load(): where the weights
 * are changes no result, copies stand alone and count, and the system is asked
 * for what the flags promise. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "contexts.h"
#include "ct_container.h"
#include "layer_fixture.h"
#include "test_folder.h"

enum {
    ALL_FLAGS = W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES | W4MOE_LAYER_PREFAULT
};

static const uint64_t huge_page = (uint64_t)2 << 20;

static int
copies(unsigned flags)
{
    return (flags & (W4MOE_LAYER_COPY | W4MOE_LAYER_HUGE_PAGES)) != 0;
}

static uint64_t
bytes_owned(const w4moe_layer *layer)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    return info.bytes_owned;
}

/* What a layer of n_bytes of weights in few arrays owns. */
static void
check_owned(const w4moe_layer *layer, unsigned flags, uint64_t n_bytes)
{
    uint64_t owned = bytes_owned(layer);
    if (!copies(flags)) {
        ck_assert_uint_eq(owned, 0);
    } else if ((flags & W4MOE_LAYER_HUGE_PAGES) != 0) {
        ck_assert_uint_eq(owned % huge_page, 0);
        ck_assert_uint_ge(owned, n_bytes);
        ck_assert_uint_lt(owned, n_bytes + 12 * 64 + huge_page);
    } else {
        ck_assert_uint_ge(owned, n_bytes);
        ck_assert_uint_lt(owned, n_bytes + 12 * 64);
    }
}

/* ---------------------------------------------------------- from matrices */

/* A layer that owns copies does not look at the caller's arrays again. */
START_TEST(created)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(fixture.layer, &info), W4MOE_OK);
    void *expected = forward_run(
            fixture.ctx, fixture.layer, fixture.ws, &fixture.problem);
    for (unsigned flags = 0; flags <= ALL_FLAGS; flags++) {
        char what[32];
        w4moe_matrix w13;
        w4moe_matrix w2;
        w4moe_layer *layer = forward_layer(fixture.ctx, &fixture.problem, &w13,
                &w2, W4MOE_ORDER_TILE, flags);
        check_owned(layer, flags, info.n_experts * info.bytes_per_expert);
        if (copies(flags)) {
            memset(w13.scales, 0xFF, 8);
            memset(w2.qweight, 0xFF, 8);
            oracle_pack_free(&w13);
            oracle_pack_free(&w2);
        }
        snprintf(what, sizeof(what), "with flags %u", flags);
        void *got =
                forward_run(fixture.ctx, layer, fixture.ws, &fixture.problem);
        forward_same(&fixture.problem, expected, got, what);
        free(got);
        w4moe_layer_destroy(layer);
        if (!copies(flags)) {
            oracle_pack_free(&w13);
            oracle_pack_free(&w2);
        }
    }
    w4moe_layer_destroy(NULL);
    free(expected);
}
END_TEST

START_TEST(copies_count)
{
    static const unsigned all_flags[] = {
            W4MOE_LAYER_COPY, W4MOE_LAYER_HUGE_PAGES};
    for (int i = 0; i < 2; i++) {
        w4moe_layer *layer = NULL;
        w4moe_layer *other = NULL;
        unsigned flags = all_flags[i];
        ck_assert_int_eq(
                w4moe_layer_create(fixture.ctx, &layer, &fixture.desc, flags),
                W4MOE_OK);
        uint64_t owned = bytes_owned(layer);
        w4moe_layer_destroy(layer);
        w4moe_ctx *limited = context_make(NULL, 2, owned - 1);
        layer = NULL;
        ck_assert_int_eq(
                w4moe_layer_create(limited, &layer, &fixture.desc, flags),
                W4MOE_NOMEM);
        ck_assert_ptr_null(layer);
        w4moe_ctx_destroy(limited);
        limited = context_make(NULL, 2, owned);
        for (int again = 0; again < 2; again++) {
            ck_assert_int_eq(
                    w4moe_layer_create(limited, &layer, &fixture.desc, flags),
                    W4MOE_OK);
            ck_assert_int_eq(
                    w4moe_layer_create(limited, &other, &fixture.desc, flags),
                    W4MOE_NOMEM);
            w4moe_layer_destroy(layer);
        }
        w4moe_ctx_destroy(limited);
    }
}
END_TEST

START_TEST(unknown_flags)
{
    static const struct {
        unsigned flags;
        const char *text;
    } cases[] = {{8, "0x8"}, {9, "0x9"}, {0x80000000u, "0x80000000"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        w4moe_layer *none = NULL;
        ck_assert_int_eq(w4moe_layer_create(fixture.ctx, &none, &fixture.desc,
                                 cases[i].flags),
                W4MOE_INVALID);
        layer_expect_text(cases[i].text);
        ck_assert_ptr_null(none);
    }
}
END_TEST

/* -------------------------------------------------------- from a container */

/* Three tokens on every expert; the result is [3][H]. Free it. */
static uint16_t *
forward(const w4moe_layer *layer)
{
    enum { T = 3 };
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    size_t n_slots = T * info.n_experts;
    uint16_t *x = calloc(T * info.hidden_size, sizeof(*x));
    uint16_t *out = calloc(T * info.hidden_size, sizeof(*out));
    int32_t *ids = calloc(n_slots, sizeof(*ids));
    float *weights = calloc(n_slots, sizeof(*weights));
    w4moe_workspace *ws = NULL;
    ck_assert(x != NULL && out != NULL && ids != NULL && weights != NULL);
    for (size_t i = 0; i < T * info.hidden_size; i++) {
        x[i] = (uint16_t)(0x3F00 + i % 100);
    }
    for (size_t i = 0; i < n_slots; i++) {
        ids[i] = (int32_t)(i % info.n_experts);
        weights[i] = 0.25f;
    }
    w4moe_forward_args args = {.struct_size = sizeof(args),
            .out = out,
            .x = x,
            .dtype = W4MOE_BF16,
            .n_tokens = T,
            .top_k = info.n_experts,
            .ids = ids,
            .weights = weights};
    ck_assert_int_eq(
            w4moe_workspace_create(layer, &ws, T, info.n_experts), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    w4moe_workspace_destroy(ws);
    free(x);
    free(ids);
    free(weights);
    return out;
}

/* Copies outlive the file. */
START_TEST(loaded)
{
    struct ct_model model;
    uint16_t *expected = NULL;
    ct_model_make(&model, &ct_specs[_i]);
    ct_convert(&model, W4MOE_ORDER_TILE, "flags.safetensors");
    size_t n_out = 3 * model.spec.hidden;
    for (unsigned flags = 0; flags <= ALL_FLAGS; flags++) {
        w4moe_layer *layer = NULL;
        w4moe_file *file = ct_open(test_path("flags.safetensors"));
        uint32_t number = ct_model_layer(&model, 0);
        ct_refused(w4moe_layer_load(ct_ctx, &layer, file, number, flags | 8),
                W4MOE_INVALID, "flags");
        ck_assert_ptr_null(layer);
        ct_ok(w4moe_layer_load(ct_ctx, &layer, file, number, flags));
        if (copies(flags)) {
            w4moe_file_close(file);
            file = NULL;
        }
        w4moe_layer_info info = {.struct_size = sizeof(info)};
        ct_ok(w4moe_layer_get_info(layer, &info));
        check_owned(layer, flags, info.n_experts * info.bytes_per_expert);
        uint16_t *got = forward(layer);
        w4moe_layer_destroy(layer);
        w4moe_file_close(file);
        if (expected == NULL) {
            expected = got;
        } else {
            ck_assert_mem_eq(got, expected, n_out * sizeof(*got));
            free(got);
        }
    }
    free(expected);
    ct_model_free(&model);
}
END_TEST

/* --------------------------------------------------------- from the system */

/* An array in a mapping of its own. */
static void *
map_array(size_t n_bytes, int file)
{
    int flags = MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0);
    void *p = mmap(NULL, n_bytes, PROT_READ, flags, file, 0);
    ck_assert(p != MAP_FAILED);
#ifdef MADV_NOHUGEPAGE
    /* One fault for each page, whatever the system's default is. */
    (void)madvise(p, n_bytes, MADV_NOHUGEPAGE);
#endif
    return p;
}

/* Two matrices whose arrays are mapped and not yet touched: of nothing, but
 * for the codes of w13, if a file is given. */
struct mapped {
    w4moe_matrix w[2];
    w4moe_matrix_sizes sizes[2];
    w4moe_layer_desc desc;
};

static void
map_make(struct mapped *mapped, int file)
{
    memset(mapped, 0, sizeof(*mapped));
    for (int i = 0; i < 2; i++) {
        w4moe_matrix *w = &mapped->w[i];
        *w = (w4moe_matrix){
                .struct_size = sizeof(*w),
                .order = W4MOE_ORDER_TILE,
                .code = W4MOE_CODE_INT4,
                .n_experts = 16,
                .n_out = i == 0 ? 1024 : 512,
                .n_in = 512,
                .gated = i == 0,
                .group_size = 128,
                .scale_dtype = W4MOE_BF16,
        };
        mapped->sizes[i].struct_size = sizeof(mapped->sizes[i]);
        ck_assert_int_eq(
                w4moe_matrix_measure(fixture.ctx, &mapped->sizes[i], w),
                W4MOE_OK);
        w->qweight =
                map_array((size_t)mapped->sizes[i].qweight, i == 0 ? file : -1);
        w->scales = map_array((size_t)mapped->sizes[i].scales, -1);
    }
    mapped->desc = fixture.desc;
    mapped->desc.w13 = &mapped->w[0];
    mapped->desc.w2 = &mapped->w[1];
}

static void
map_free(struct mapped *mapped)
{
    for (int i = 0; i < 2; i++) {
        munmap(mapped->w[i].qweight, (size_t)mapped->sizes[i].qweight);
        munmap(mapped->w[i].scales, (size_t)mapped->sizes[i].scales);
    }
}

static long
faults(void)
{
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt + usage.ru_majflt;
}

/* Page faults of reading the weights of a layer made with these flags. */
static long
faults_after(unsigned flags)
{
    struct mapped mapped;
    w4moe_layer *layer = NULL;
    map_make(&mapped, -1);
    w4moe_status status =
            w4moe_layer_create(fixture.ctx, &layer, &mapped.desc, flags);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(fixture.ctx));
    long before = faults();
    for (int i = 0; i < 2; i++) {
        const volatile char *codes = (const void *)mapped.w[i].qweight;
        const volatile char *scales = mapped.w[i].scales;
        for (size_t at = 0; at < mapped.sizes[i].qweight; at += 512) {
            (void)codes[at];
        }
        for (size_t at = 0; at < mapped.sizes[i].scales; at += 512) {
            (void)scales[at];
        }
    }
    long n = faults() - before;
    w4moe_layer_destroy(layer);
    map_free(&mapped);
    return n;
}

/* Whether the system says that it does not know an advice; emulators of user
 * programs may do nothing and call that success. */
static int
madvise_is_real(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = map_array(page, -1);
    int result = madvise(p, page, 12345);
    munmap(p, page);
    return result != 0;
}

START_TEST(prefault)
{
    long without = faults_after(0);
    if (!madvise_is_real() || without < 90) {
        return; /* no such faults here, or huge pages all over */
    }
    ck_assert_int_lt(faults_after(W4MOE_LAYER_PREFAULT), 8);
}
END_TEST

/* A file that has become shorter: only some kernels tell. */
START_TEST(prefault_of_a_short_file)
{
#ifdef MADV_POPULATE_READ
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct mapped mapped;
    w4moe_layer *none = NULL;
    int file = open(test_path("short"), O_RDWR | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(ftruncate(file, 16 * 1024 * 512 / 2), 0);
    map_make(&mapped, file);
    if (madvise_is_real() &&
            madvise(mapped.w[0].qweight, page, MADV_POPULATE_READ) == 0) {
        ck_assert_int_eq(ftruncate(file, (off_t)(3 * page)), 0);
        ck_assert_int_eq(w4moe_layer_create(fixture.ctx, &none, &mapped.desc,
                                 W4MOE_LAYER_PREFAULT),
                W4MOE_IO);
        layer_expect_text("4194304 bytes");
        ck_assert_ptr_null(none);
    }
    map_free(&mapped);
    close(file);
#endif
}
END_TEST

/* Mappings of this process for which huge pages were asked. */
static int
huge_mappings(void)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[4096];
    int n = 0;
    while (smaps != NULL && fgets(line, sizeof(line), smaps) != NULL) {
        n += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg") != NULL;
    }
    if (smaps != NULL) {
        fclose(smaps);
    }
    return n;
}

START_TEST(huge_pages)
{
#ifdef MADV_HUGEPAGE
    void *p = mmap(NULL, (size_t)huge_page, PROT_READ,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED);
    int known = madvise(p, (size_t)huge_page, MADV_HUGEPAGE) == 0 &&
                huge_mappings() > 0;
    munmap(p, (size_t)huge_page);
    int before = huge_mappings();
    if (!known || before > 0) {
        return; /* cannot be seen here */
    }
    w4moe_layer *layer = NULL;
    ck_assert_int_eq(w4moe_layer_create(fixture.ctx, &layer, &fixture.desc,
                             W4MOE_LAYER_COPY),
            W4MOE_OK);
    ck_assert_int_eq(huge_mappings(), 0);
    w4moe_layer_destroy(layer);
    ck_assert_int_eq(w4moe_layer_create(fixture.ctx, &layer, &fixture.desc,
                             W4MOE_LAYER_HUGE_PAGES),
            W4MOE_OK);
    ck_assert_int_gt(huge_mappings(), 0);
    w4moe_layer_destroy(layer);
#endif
}
END_TEST

static TCase *
make_case(const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    return tc;
}

int
main(void)
{
    TCase *matrices = make_case("matrices");
    tcase_add_checked_fixture(matrices, layer_setup, layer_teardown);
    tcase_add_test(matrices, huge_pages);
    tcase_add_test(matrices, prefault);
    tcase_add_test(matrices, prefault_of_a_short_file);
    tcase_add_test(matrices, created);
    tcase_add_test(matrices, copies_count);
    tcase_add_test(matrices, unknown_flags);
    TCase *container = make_case("container");
    tcase_add_checked_fixture(container, ct_ctx_setup, ct_ctx_teardown);
    tcase_add_loop_test(container, loaded, 0, CT_N_SPECS);
    Suite *suite = suite_create("layer_flags");
    suite_add_tcase(suite, matrices);
    suite_add_tcase(suite, container);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
