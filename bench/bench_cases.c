/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * bench_cases: times the cases that tests/kernel/test_variants.c compares, with
 * every variant of the CPU kernels that this processor runs.
 *
 * One thread, and the same weights in every call, so that those of small cases
 * come from the caches: for the speed of a layer use moe-bench(1).
 */
#include <check.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_inputs.h"
#include "case_run.h"
#include "common.h"
#include "contexts.h"

const char tool_name[] = "bench_cases";

static const char help[] =
        "Usage: bench_cases [OPTION]... [FILTER]...\n"
        "Times the kernel tests' cases, or those whose name contains a "
        "FILTER,\n"
        "with every variant of the CPU kernels. For each it prints the median\n"
        "of the calls' times in microseconds, and how many times faster than\n"
        "ref that is.\n"
        "\n"
        "      --list   print the names of the cases\n"
        "      --help   print this text\n"
        "\n"
        "Exit status: 0 done, 1 error, 2 wrong command line.\n";

enum { CALLS_MIN = 5, CALLS_MAX = 1000 };

/* Seconds of a case after which no more than CALLS_MIN calls are made. */
static const double enough = 0.1;

/* A context of each variant. */
static struct context_variants variants;
static w4moe_ctx *by_variant[CONTEXT_VARIANTS_MAX];

/* Times of the calls of one case. */
static double seconds[CONTEXT_VARIANTS_MAX][CALLS_MAX];

/* The command's FILTERs, NULL at the end. */
static char **filters;

static int
is_chosen(const struct kernel_case *what)
{
    int chosen = filters[0] == NULL;
    for (size_t i = 0; filters[i] != NULL && !chosen; i++) {
        chosen = strstr(what->name, filters[i]) != NULL;
    }
    return chosen;
}

/* One call of every variant, in turn, so that what disturbs the machine
 * disturbs all of them. Returns the time of all. */
static double
time_calls(struct case_run *runs, size_t i)
{
    double sum = 0;
    for (size_t v = 0; v < variants.n; v++) {
        double start = tool_seconds();
        w4moe_status status = case_call(&runs[v]);
        seconds[v][i] = tool_seconds() - start;
        sum += seconds[v][i];
        ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(runs[v].ctx));
    }
    return sum;
}

/* Fills `seconds`; returns the number of calls. */
static size_t
time_case(const struct case_place *place)
{
    struct case_run runs[CONTEXT_VARIANTS_MAX];
    for (size_t v = 0; v < variants.n; v++) {
        case_open(&runs[v], by_variant[v], place);
    }
    /* The first round is for the caches. */
    time_calls(runs, 0);
    double sum = 0;
    size_t n = 0;
    for (; n < CALLS_MAX && (n < CALLS_MIN || sum < enough); n++) {
        sum += time_calls(runs, n);
    }
    for (size_t v = 0; v < variants.n; v++) {
        free(case_close(&runs[v]));
    }
    return n;
}

static void
bench_case(const struct kernel_case *what)
{
    struct case_problem p;
    struct case_place place;
    inputs_make(&p, what, &input_classes[0]);
    case_place(&place, &p, by_variant[0], FENCE_END);
    size_t n_calls = time_case(&place);
    double ref = tool_median(seconds[0], n_calls);
    for (size_t v = 0; v < variants.n; v++) {
        double median = tool_median(seconds[v], n_calls);
        printf("%-28s %-12s %12.1f %8.2f\n", what->name, variants.names[v],
                1e6 * median, ref / median);
    }
    fflush(stdout);
    case_place_free(&place);
    case_free(&p);
}

START_TEST(chosen_cases)
{
    context_list(&variants);
    for (size_t v = 0; v < variants.n; v++) {
        by_variant[v] = context_make(variants.names[v], 1, 0);
    }
    printf("%-28s %-12s %12s %8s\n", "case", "variant", "median us", "x ref");
    for (size_t c = 0; c < n_kernel_cases; c++) {
        if (is_chosen(&kernel_cases[c])) {
            bench_case(&kernel_cases[c]);
        }
    }
    for (size_t v = 0; v < variants.n; v++) {
        w4moe_ctx_destroy(by_variant[v]);
    }
}
END_TEST

/* What it shares with the tests says through Check what went wrong, so it runs
 * as a test, too. */
static int
bench(void)
{
    int code = TOOL_OK;
    TCase *tc = tcase_create("cases");
    tcase_add_test(tc, chosen_cases);
    Suite *suite = suite_create("bench");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    if (srunner_ntests_failed(runner) != 0) {
        TestResult **failures = srunner_failures(runner);
        code = tool_error("%s", tr_msg(failures[0]));
        free(failures);
    }
    srunner_free(runner);
    return code;
}

static void
list_cases(void)
{
    for (size_t c = 0; c < n_kernel_cases; c++) {
        if (is_chosen(&kernel_cases[c])) {
            puts(kernel_cases[c].name);
        }
    }
}

static int
run(int argc, char **argv)
{
    enum { OPT_LIST = 256, OPT_HELP };
    static const struct option long_options[] = {
            {"list", no_argument, NULL, OPT_LIST},
            {"help", no_argument, NULL, OPT_HELP},
            {NULL, 0, NULL, 0},
    };
    int list = 0;
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_LIST:
            list = 1;
            break;
        case OPT_HELP:
            return tool_help(help);
        default:
            return tool_option_error(c, argv);
        }
    }
    filters = argv + optind;
    if (list) {
        list_cases();
        return TOOL_OK;
    }
    return bench();
}

int
main(int argc, char **argv)
{
    return tool_finish(run(argc, argv));
}
