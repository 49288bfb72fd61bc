/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Backends that are modules: which are accepted, which refused and why, and
 * what a context does then. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_module.h"
#include "kernel/kernel.h"
#include "runtime/choice.h"
#include "runtime/known_answer.h"
#include "test_folder.h"

struct fake_shared fake_shared = {.cpu = &w4_cpu_backend};

/* What the log received. */
static struct {
    int n_errors;
    int n_infos;
    char error[W4_ERR_TEXT];
    char infos[4 * W4_ERR_TEXT];
} logged;

static void
take_line(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    if (level == W4MOE_LOG_ERROR) {
        logged.n_errors++;
        snprintf(logged.error, sizeof(logged.error), "%s", text);
    } else {
        size_t n = strlen(logged.infos);
        logged.n_infos++;
        snprintf(logged.infos + n, sizeof(logged.infos) - n, "%s\n", text);
    }
}

static w4moe_ctx *ctx;

/* As at the start of the program, also without a process for each test. */
static void
setup(void)
{
    unsetenv("W4MOE_BACKEND_DIR");
    unsetenv("W4MOE_CPU");
    unsetenv("FAKE_KIND");
    fake_shared = (struct fake_shared){.cpu = &w4_cpu_backend};
    memset(&logged, 0, sizeof(logged));
}

static w4moe_status
create(const char *backend)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options),
            .backend = backend,
            .n_threads = 2,
            .log = take_line,
    };
    memset(&logged, 0, sizeof(logged));
    return w4moe_ctx_create(&ctx, &options);
}

static void
expect_in(const char *text, const char *part)
{
    ck_assert_msg(
            strstr(text, part) != NULL, "no \"%s\" in \"%s\"", part, text);
}

/* The folder of modules; the path of a module there. */
static char folder[4096];
static char path[5000];

static void
use_folder(const char *name)
{
    snprintf(folder, sizeof(folder), "%s", name);
    snprintf(path, sizeof(path), "%s/w4moe-hip.so", name);
    setenv("W4MOE_BACKEND_DIR", name, 1);
}

static void
use_built(const char *name)
{
    char here[3000];
    char whole[4000];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(whole, sizeof(whole), "%s/tests/unit/%s", here, name);
    use_folder(whole);
}

/* Nothing of a module is left. */
static void
expect_gone(void)
{
    ck_assert_int_eq(fake_shared.n_open, 0);
    ck_assert_int_eq(fake_shared.n_layers, 0);
    ck_assert_int_eq(fake_shared.n_workspaces, 0);
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    ck_assert_msg(handle == NULL, "%s is still loaded", path);
}

/* "hip" is refused with this status and text; "auto" takes the CPU, without a
 * failure, and tells. */
static void
expect_refused(w4moe_status status, const char *reason)
{
    char text[8000];
    snprintf(text, sizeof(text), "backend hip: %s", reason);
    ck_assert_int_eq(create("hip"), status);
    ck_assert_int_eq(logged.n_errors, 1);
    expect_in(logged.error, text);
    expect_gone();

    ck_assert_int_eq(create("auto"), W4MOE_OK);
    ck_assert_int_eq(logged.n_errors, 0);
    expect_in(logged.infos, text);
    expect_in(w4moe_ctx_describe(ctx), "backend cpu: in use, 2 threads");
    expect_in(w4moe_ctx_describe(ctx), text);
    ck_assert_str_eq(w4moe_ctx_error(ctx), "");
    ck_assert_uint_eq(ctx->state->mem.used, 0);
    ck_assert_ptr_eq(ctx->backend->ops, &w4_cpu_backend);
    ck_assert_int_eq(w4_known_answer(ctx), W4MOE_OK);
    expect_gone();
    w4moe_ctx_destroy(ctx);
    expect_gone();
}

/* The same for a module that was found. */
static void
expect_unused(w4moe_status status, const char *reason)
{
    char text[7000];
    snprintf(text, sizeof(text), "not used: %s: %s", path, reason);
    expect_refused(status, text);
}

/* ------------------------------------------------------------ acceptance */

START_TEST(a_good_module_is_used)
{
    use_built("fake");
    static const char *const names[] = {"hip", "auto", NULL};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(create(names[i]), W4MOE_OK);
        ck_assert_int_eq(logged.n_errors, 0);
        ck_assert_str_eq(logged.infos, "fake: opened\n");
        const char *text = w4moe_ctx_describe(ctx);
        expect_in(text, "\nbackend hip: in use, fake\n");
        expect_in(text, i == 0 ? "\nbackend cpu: not asked for\n"
                               : "\nbackend cpu: not used: hip comes first\n");
        ck_assert_str_eq(w4moe_ctx_error(ctx), "");
        ck_assert_int_eq(fake_shared.n_open, 1);
        /* It was tested, with many tokens and with one. */
        ck_assert_int_eq(fake_shared.n_forwards, 2 * (int)i + 2);
        ck_assert_int_eq(fake_shared.n_layers, 0);
        ck_assert_int_eq(fake_shared.n_workspaces, 0);
        ck_assert_uint_eq(ctx->state->mem.used, 0);
        w4moe_ctx_destroy(ctx);
        expect_gone();
    }
}
END_TEST

START_TEST(the_known_answer_is_that_of_every_kernel_variant)
{
    const char *const variants[] = {
            "ref", "avx2", "avx512", "avx512bf16", "neon"};
    int n_run = 0;
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        setenv("W4MOE_CPU", variants[i], 1);
        if (create("cpu") == W4MOE_OK) {
            ck_assert_msg(w4_known_answer(ctx) == W4MOE_OK, "%s: %s",
                    variants[i], w4moe_ctx_error(ctx));
            w4moe_ctx_destroy(ctx);
            n_run++;
        }
    }
    ck_assert_int_ge(n_run, 1);
}
END_TEST

START_TEST(operators_run_through_the_module)
{
    use_built("fake");
    ck_assert_int_eq(create("hip"), W4MOE_OK);

    const float in[] = {-1.0f, 3.0f};
    float out[] = {7.0f, 7.0f};
    w4moe_activation relu2 = {
            .struct_size = sizeof(relu2), .kind = W4MOE_ACT_RELU2_NO_MUL};
    ck_assert_int_eq(
            w4moe_activate(ctx, out, 0, in, 0, W4MOE_F32, 1, 2, &relu2),
            W4MOE_OK);
    ck_assert_int_eq(fake_shared.n_activates, 1);
    ck_assert(out[0] == 0.0f && out[1] == 9.0f);

    /* All codes 9: weights of 1. */
    uint32_t words[8];
    uint16_t scales[8];
    uint16_t a[8];
    uint16_t c[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        words[i] = 0x99999999;
        scales[i] = 0x3F80;
        a[i] = 0x3F80;
    }
    w4moe_matrix b = {.struct_size = sizeof(b),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = 1,
            .n_out = 8,
            .n_in = 8,
            .group_size = 8,
            .qweight = words,
            .scales = scales,
            .scale_dtype = W4MOE_BF16};
    const int32_t zero = 0;
    const int32_t one = 1;
    w4moe_gemm_args args = {.struct_size = sizeof(args),
            .c = c,
            .a = a,
            .b = &b,
            .dtype = W4MOE_BF16,
            .n_rows = 1,
            .top_k = 1,
            .sorted_slots = &zero,
            .expert_ids = &zero,
            .n_padded = &one,
            .capacity = 1,
            .block_size = 1};
    ck_assert_msg(
            w4moe_gemm(ctx, &args) == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    ck_assert_int_eq(fake_shared.n_gemms, 1);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_uint_eq(c[i], 0x4100); /* 8.0 */
    }
    w4moe_ctx_destroy(ctx);
    expect_gone();
}
END_TEST

START_TEST(the_test_does_not_count_towards_the_memory_limit)
{
    use_built("fake");
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .memory_limit = 1};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
    expect_in(w4moe_ctx_describe(ctx), "backend hip: in use");
    ck_assert_uint_eq(ctx->state->mem.limit, 1);
    w4moe_ctx_destroy(ctx);
}
END_TEST

START_TEST(the_test_uses_host_memory)
{
    use_built("fake");
    setenv("FAKE_KIND", "needs device pointers", 1);
    ck_assert_int_eq(create("hip"), W4MOE_OK);
    w4moe_ctx_destroy(ctx);
}
END_TEST

START_TEST(a_long_description_is_cut)
{
    use_built("fake");
    setenv("FAKE_KIND", "long description", 1);
    ck_assert_int_eq(create("hip"), W4MOE_OK);
    expect_in(w4moe_ctx_describe(ctx), "backend hip: ");
    ck_assert_uint_lt(strlen(w4moe_ctx_describe(ctx)), 9000);
    w4moe_ctx_destroy(ctx);
}
END_TEST

START_TEST(the_cpu_needs_no_module)
{
    use_built("fake");
    ck_assert_int_eq(create("cpu"), W4MOE_OK);
    ck_assert_int_eq(fake_shared.n_asked, 0);
    ck_assert_int_eq(logged.n_errors + logged.n_infos, 0);
    expect_in(w4moe_ctx_describe(ctx), "\nbackend hip: not asked for\n");
    expect_gone();
    w4moe_ctx_destroy(ctx);
}
END_TEST

/* -------------------------------------------------------------- refusals */

static const struct {
    const char *kind;
    w4moe_status status;
    const char *reason;
} bad[] = {
        {"other interface", W4MOE_UNSUPPORTED, "made for interface "},
        {"no description", W4MOE_UNSUPPORTED, "it does not describe itself"},
        {"no name", W4MOE_UNSUPPORTED, "it does not say its name"},
        {"no name of ops", W4MOE_UNSUPPORTED, "it does not say its name"},
        {"no ops", W4MOE_UNSUPPORTED, "it does not say its functions"},
        {"other name", W4MOE_UNSUPPORTED,
                "it is the backend \"cuda\" (\"hip\")"},
        {"other name of ops", W4MOE_UNSUPPORTED,
                "it is the backend \"hip\" (\"cuda\")"},
        {"no open", W4MOE_UNSUPPORTED, "it has no function open"},
        {"no close", W4MOE_UNSUPPORTED, "it has no function close"},
        {"no describe", W4MOE_UNSUPPORTED, "it has no function describe"},
        {"no layer_open", W4MOE_UNSUPPORTED, "it has no function layer_open"},
        {"no layer_close", W4MOE_UNSUPPORTED, "it has no function layer_close"},
        {"no workspace_size", W4MOE_UNSUPPORTED,
                "it has no function workspace_size"},
        {"no workspace_open", W4MOE_UNSUPPORTED,
                "it has no function workspace_open"},
        {"no workspace_close", W4MOE_UNSUPPORTED,
                "it has no function workspace_close"},
        {"no forward", W4MOE_UNSUPPORTED, "it has no function forward"},
        {"no gemm_workspace", W4MOE_UNSUPPORTED,
                "it has no function gemm_workspace"},
        {"no gemm", W4MOE_UNSUPPORTED, "it has no function gemm"},
        {"no activate", W4MOE_UNSUPPORTED, "it has no function activate"},
        {"no choose", W4MOE_UNSUPPORTED, "it has no function choose"},
        {"no combine", W4MOE_UNSUPPORTED, "it has no function combine"},
        {"no memory_alloc", W4MOE_UNSUPPORTED,
                "it has no function memory_alloc"},
        {"no memory_free", W4MOE_UNSUPPORTED, "it has no function memory_free"},
        {"no memory_copy", W4MOE_UNSUPPORTED, "it has no function memory_copy"},
        {"open fails", W4MOE_DEVICE, "the fan is missing"},
        {"open fails silently", W4MOE_DEVICE, "device"},
        {"layer_open fails", W4MOE_UNSUPPORTED, "known-answer test: no upload"},
        {"workspace_open fails", W4MOE_NOMEM,
                "known-answer test: the device is full"},
        {"forward fails", W4MOE_DEVICE, "known-answer test: no launch"},
        {"writes nothing", W4MOE_UNSUPPORTED,
                "known-answer test: of 33 tokens, out[0][0] is "},
        {"a NaN", W4MOE_UNSUPPORTED,
                "known-answer test: of 33 tokens, out[16][127] is "},
        {"one bit is wrong for many tokens", W4MOE_UNSUPPORTED,
                "known-answer test: of 33 tokens, out[32][255] is "},
        {"one bit is wrong for one token", W4MOE_UNSUPPORTED,
                "known-answer test: of 1 tokens, out[0][0] is "},
};

enum { N_BAD = sizeof(bad) / sizeof(bad[0]) };

START_TEST(bad_modules_are_refused)
{
    use_built("fake");
    setenv("FAKE_KIND", bad[_i].kind, 1);
    expect_unused(bad[_i].status, bad[_i].reason);
    ck_assert_int_eq(fake_shared.n_asked, 2);
}
END_TEST

START_TEST(a_module_without_its_symbol_is_refused)
{
    use_built("fake-symbol");
    expect_unused(W4MOE_UNSUPPORTED, "undefined symbol: w4moe_backend_module");
    ck_assert_int_eq(fake_shared.n_asked, 0);
}
END_TEST

START_TEST(a_module_that_needs_a_missing_library_is_refused)
{
    use_built("fake-needs");
    expect_unused(W4MOE_UNSUPPORTED, "libfake-gone.so: cannot open");
}
END_TEST

START_TEST(what_is_no_shared_object_is_refused)
{
    use_folder(test_path("modules"));
    test_subfolder(folder);
    test_file_write(path, "not a module\n", 13);
    expect_unused(W4MOE_UNSUPPORTED, "");
    ck_assert_int_eq(unlink(path), 0);
    test_subfolder(path);
    expect_unused(W4MOE_UNSUPPORTED, "");
}
END_TEST

START_TEST(a_missing_module_is_not_installed)
{
    use_folder("/nonexistent/backends");
    expect_refused(W4MOE_UNSUPPORTED,
            "not installed (/nonexistent/backends/w4moe-hip.so)");
    setenv("W4MOE_BACKEND_DIR", "/nonexistent/", 1);
    ck_assert_int_eq(create("hip"), W4MOE_UNSUPPORTED);
    expect_in(logged.error, "(/nonexistent//w4moe-hip.so)");
}
END_TEST

/* Without the variable, or with nothing in it: the folder of the build. */
START_TEST(the_folder_is_that_of_the_build)
{
    char description[2][W4_DESCRIPTION_SIZE];
    unsetenv("W4MOE_BACKEND_DIR");
    ck_assert_int_eq(create("auto"), W4MOE_OK);
    snprintf(
            description[0], W4_DESCRIPTION_SIZE, "%s", w4moe_ctx_describe(ctx));
    w4moe_ctx_destroy(ctx);
    expect_in(description[0], "/w4moe/backends0/w4moe-hip.so");
    setenv("W4MOE_BACKEND_DIR", "", 1);
    ck_assert_int_eq(create("auto"), W4MOE_OK);
    snprintf(
            description[1], W4_DESCRIPTION_SIZE, "%s", w4moe_ctx_describe(ctx));
    w4moe_ctx_destroy(ctx);
    ck_assert_str_eq(description[0], description[1]);
}
END_TEST

START_TEST(the_folder_must_be_absolute)
{
    use_folder("tests/unit/fake");
    expect_refused(W4MOE_UNSUPPORTED,
            "not used: W4MOE_BACKEND_DIR is \"tests/unit/fake\", not an "
            "absolute path");
    use_folder("./");
    expect_refused(W4MOE_UNSUPPORTED, "not used: W4MOE_BACKEND_DIR is \"./\"");
    ck_assert_int_eq(fake_shared.n_asked, 0);
}
END_TEST

START_TEST(an_unknown_backend_is_refused)
{
    use_built("fake");
    ck_assert_int_eq(create("cuda"), W4MOE_UNSUPPORTED);
    expect_in(logged.error,
            "backend \"cuda\" is not known; known: auto, cpu, hip");
    ck_assert_int_eq(create("hi"), W4MOE_UNSUPPORTED);
    ck_assert_int_eq(create(""), W4MOE_UNSUPPORTED);
    ck_assert_int_eq(fake_shared.n_asked, 0);
}
END_TEST

/* "auto" does not compute on the CPU what was meant for a second device. */
START_TEST(another_device_is_not_the_cpu)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .device = 1, .log = take_line};
    use_folder("/nonexistent");
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_INVALID);
    ck_assert_int_eq(logged.n_errors, 1);
    ck_assert_str_eq(logged.error,
            "backend cpu has no device 1, only 0; "
            "backend hip: not installed (/nonexistent/w4moe-hip.so)");
}
END_TEST

/* A refusal with a text that is longer than texts may be. */
START_TEST(long_paths_are_cut)
{
    char name[3000];
    memset(name, 'x', sizeof(name));
    for (size_t i = 0; i < sizeof(name); i += 200) {
        name[i] = '/';
    }
    name[sizeof(name) - 1] = '\0';
    use_folder(name);
    ck_assert_int_eq(create("hip"), W4MOE_UNSUPPORTED);
    expect_in(logged.error, "backend hip: not installed (/xxx");
    ck_assert_int_eq(create("auto"), W4MOE_OK);
    expect_in(w4moe_ctx_describe(ctx), "backend hip: not installed (/xxx");
    w4moe_ctx_destroy(ctx);
}
END_TEST

int
main(void)
{
    if (access("tests/unit/fake/w4moe-hip.so", R_OK) != 0) {
        puts("skipped: the modules of this test are not here");
        return 77;
    }
    TCase *tc = tcase_create("module");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_test(tc, a_good_module_is_used);
    tcase_add_test(tc, the_known_answer_is_that_of_every_kernel_variant);
    tcase_add_test(tc, operators_run_through_the_module);
    tcase_add_test(tc, the_test_does_not_count_towards_the_memory_limit);
    tcase_add_test(tc, the_test_uses_host_memory);
    tcase_add_test(tc, a_long_description_is_cut);
    tcase_add_test(tc, the_cpu_needs_no_module);
    tcase_add_loop_test(tc, bad_modules_are_refused, 0, N_BAD);
    tcase_add_test(tc, a_module_without_its_symbol_is_refused);
    tcase_add_test(tc, a_module_that_needs_a_missing_library_is_refused);
    tcase_add_test(tc, what_is_no_shared_object_is_refused);
    tcase_add_test(tc, a_missing_module_is_not_installed);
    tcase_add_test(tc, the_folder_is_that_of_the_build);
    tcase_add_test(tc, the_folder_must_be_absolute);
    tcase_add_test(tc, an_unknown_backend_is_refused);
    tcase_add_test(tc, another_device_is_not_the_cpu);
    tcase_add_test(tc, long_paths_are_cut);
    Suite *suite = suite_create("module");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
