/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What moe-convert reports, of conversions that small checkpoints do not make:
 * with rounded weights, E2M1 codes, offsets, biases, findings of all kinds. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/common.h"
#include "../../tools/convert/report.h"
#include "test_folder.h"

const char tool_name[] = "test-report";

static w4moe_convert_report report;
static struct report_run run;
static char *text;

static void
setup(void)
{
    const w4moe_convert_report plain = {
            .struct_size = sizeof(plain),
            .source_scheme = "scheme",
            .model_type = "model",
            .order = W4MOE_ORDER_TILE,
            .n_layers = 48,
            .n_experts = 128,
            .top_k = 8,
            .hidden_size = 2048,
            .intermediate_size = 768,
            .w13_group_size = 32,
            .w2_group_size = 32,
            .scale_dtype = W4MOE_F16,
            .activation = {.kind = W4MOE_ACT_SILU},
            .bytes_in = 3000000000,
            .bytes_out = 1000000000,
            .n_experts_verified = 6144,
            .n_experts_total = 128,
            .code = W4MOE_CODE_INT4,
            .n_weights = 18432,
    };
    const struct report_run verified = {
            .in_path = "in", .out_path = "out", .seconds = 2.0, .verify = 1};
    report = plain;
    run = verified;
}

static void
teardown(void)
{
    free(text);
    text = NULL;
}

/* Prints the report into text. */
static void
print(int json)
{
    const char *path = test_path("stdout");
    size_t n;
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(freopen(path, "w", stdout));
    int code = report_convert(&report, &run, json);
    fflush(stdout);
    ck_assert_int_ge(dup2(before, STDOUT_FILENO), 0);
    close(before);
    ck_assert_int_eq(code, TOOL_OK);
    free(text);
    text = (char *)test_file_read(path, &n);
}

/* A line of the text, or for JSON a part of it. */
static void
check_line(const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "no \"%s\" in\n%s", line, text);
}

static void
check_none(const char *part)
{
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" in\n%s", part, text);
}

START_TEST(nothing_rounded)
{
    print(0);
    check_line("\nexperts       128, 8 per token\n");
    check_line("\ncodes         int4\n");
    check_line("\nbias          no\n");
    check_line("\nexact         every weight\n");
    check_line("\ntime          2.00 s, 1.50 GB/s\n");
    check_line("\nverified      6144 experts: exact\n");
    check_none("rounded");
    check_none("offsets");
    check_none("warnings");
    print(1);
    check_line("\"weights\": 18432");
    check_line("\"weights_rounded\": 0");
    check_line("\"rounding_error\": 0.0");
    check_line("\"bytes_per_second\": 1500000000");
    check_line("\"offset_dtype\": null");
    check_line("\"bias_dtype\": null");
}
END_TEST

START_TEST(all_rounded)
{
    report.n_weights_rounded = report.n_weights;
    report.rounding_error = 0.08124;
    print(0);
    check_line("\nrounded       18432 of 18432 weights, WITHOUT calibration; "
               "relative error 0.0812\n");
    check_line("\nverified      6144 experts: nearest\n");
    check_none("exact");
    print(1);
    check_line("\"weights_rounded\": 18432");
    check_line("\"rounding_error\": 0.08124");
}
END_TEST

START_TEST(some_rounded)
{
    report.n_weights_rounded = 3;
    report.rounding_error = 0.5;
    print(0);
    check_line("\nrounded       3 of 18432 weights, WITHOUT calibration; "
               "relative error 0.5000\n");
    check_line("\nverified      6144 experts: exact, or nearest if rounded\n");
    check_none("every weight");
}
END_TEST

/* Without a comparison nobody knows the error. */
START_TEST(not_verified)
{
    report.n_weights_rounded = 3;
    run.verify = 0;
    print(0);
    check_line("\nrounded       3 of 18432 weights, WITHOUT calibration\n");
    check_line("\nverified      no (--no-verify)\n");
    print(1);
    check_line("\"rounding_error\": null");
    check_line("\"scales_zero\": 0");
    run.verify = 1;
    run.dry_run = 1;
    run.out_path = NULL;
    print(0);
    check_line("\nrounded       3 of 18432 weights, WITHOUT calibration\n");
    check_line("\nwritten       nothing (--dry-run)\n");
    check_none("verified");
    check_none("free");
    print(1);
    check_line("\"rounding_error\": null");
    check_line("\"warnings\": null");
    check_line("\"bytes_per_second\": null");
    check_line("\"bytes_free\": null");
}
END_TEST

START_TEST(little_space)
{
    run.dry_run = 1;
    run.out_path = test_path("none.safetensors");
    report.bytes_out = 0;
    print(0);
    check_line("\nfree          ");
    check_none("NOT ENOUGH");
    report.bytes_out = UINT64_MAX;
    print(0);
    check_line(", which is NOT ENOUGH\n");
}
END_TEST

START_TEST(other_forms)
{
    report.n_experts = 32;
    report.first_expert = 32;
    report.code = W4MOE_CODE_E2M1;
    report.scale_dtype = W4MOE_F8_E8M0;
    report.bias_dtype = W4MOE_BF16;
    print(0);
    check_line("\nexperts       32 to 63 of 128, 8 per token\n");
    check_line("\ncodes         E2M1\n");
    check_line("\nbias          BF16\n");
    report.n_experts = 1;
    report.code = W4MOE_CODE_INT4;
    report.offset_dtype = W4MOE_F32;
    print(0);
    check_line("\nexperts       32 of 128, 8 per token\n");
    check_line("\noffsets       F32\n");
    print(1);
    check_line("\"experts\": 1");
    check_line("\"first_expert\": 32");
    check_line("\"experts_total\": 128");
    check_line("\"offset_dtype\": \"F32\"");
    check_line("\"bias_dtype\": \"BF16\"");
}
END_TEST

START_TEST(findings)
{
    report.n_scales_not_finite = 1;
    report.n_scales_zero = 2;
    report.n_scales_denormal = 3;
    report.n_uniform = 4;
    report.n_duplicates = 5000000000;
    print(0);
    check_line("\nwarnings      1 scales NaN or infinite, 2 scales 0, 3 scales "
               "denormal, 4 matrices of one code, 5000000000 duplicate "
               "experts\n");
    print(1);
    check_line("\"scales_not_finite\": 1");
    check_line("\"scales_zero\": 2");
    check_line("\"scales_denormal\": 3");
    check_line("\"uniform\": 4");
    check_line("\"duplicates\": 5000000000");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("report");
    TCase *tc = tcase_create("report");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, nothing_rounded);
    tcase_add_test(tc, all_rounded);
    tcase_add_test(tc, some_rounded);
    tcase_add_test(tc, not_verified);
    tcase_add_test(tc, little_space);
    tcase_add_test(tc, other_forms);
    tcase_add_test(tc, findings);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
