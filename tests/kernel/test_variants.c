/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every variant of the CPU kernels that this processor runs, on every case of
 * the table (case_table.h) with every class of numbers (case_inputs.h).
 *
 * Of each result: it is NaN, infinite or finite where the oracle's is; it keeps
 * the accuracy contract; nothing beside its rows is written; no input is read
 * beyond its ends or written. Where sums are exact, it has the reference's
 * bytes. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "case_inputs.h"
#include "case_run.h"
#include "contexts.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
        __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* A context of each variant and number of threads. */
static struct context_variants variants;
static w4moe_ctx *by_variant[CONTEXT_VARIANTS_MAX][N_CONTEXTS];

/* What is running, for the message of a crash. */
static const struct case_problem *running;

static struct sigaction before[2];

/* Says where, and lets the next handler have it. */
static void
on_fault(int number)
{
    static const char text[] = ": an array was read beyond its ends, or an "
                               "input written\n";
    if (running != NULL) {
        ssize_t n =
                write(STDERR_FILENO, running->label, strlen(running->label));
        n += write(STDERR_FILENO, text, sizeof(text) - 1);
        (void)n;
    }
    sigaction(number, &before[number == SIGBUS], NULL);
}

static void
setup(void)
{
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
    context_list(&variants);
    for (size_t v = 0; v < variants.n; v++) {
        for (int i = 0; i < N_CONTEXTS; i++) {
            by_variant[v][i] =
                    context_make(variants.names[v], context_threads[i], 0);
        }
    }
}

static void
teardown(void)
{
    for (size_t v = 0; v < variants.n; v++) {
        for (int i = 0; i < N_CONTEXTS; i++) {
            w4moe_ctx_destroy(by_variant[v][i]);
        }
    }
}

/* A problem's results from one variant, with the i-th number of threads. */
static void *
results(struct case_problem *p, const struct case_place *place,
        const char *inputs, size_t variant, int i)
{
    case_label(p, inputs, variants.names[variant], context_threads[i]);
    running = p;
    void *out = case_results(by_variant[variant][i], place);
    running = NULL;
    return out;
}

static void
check_same(const struct case_problem *p, const void *out, const void *other,
        const char *whose)
{
    const uint16_t *a = out;
    const uint16_t *b = other;
    for (size_t i = 0; i < p->out_rows * p->out_columns; i++) {
        if (a[i] != b[i]) {
            ck_abort_msg("%s: result %zu of row %zu is %#x, %s is %#x",
                    p->label, i % p->out_columns, i / p->out_columns,
                    (unsigned)a[i], whose, (unsigned)b[i]);
        }
    }
}

/* Whether a variant takes subnormal activations as 0. What it makes of them is
 * tiny, but not what the contract says. */
static int
drops_tiny(const char *variant, w4moe_dtype dtype)
{
    /* VDPBF16PS does; fp16 has no number that is subnormal in bf16. */
    return strcmp(variant, "avx512bf16") == 0 && dtype == W4MOE_BF16;
}

static void
check_finite(const struct case_problem *p, const void *out)
{
    for (size_t i = 0; i < p->out_rows * p->out_columns; i++) {
        double v = oracle_load(out, p->what->dtype, i);
        ck_assert_msg(isfinite(v), "%s: result %zu of row %zu is %g", p->label,
                i % p->out_columns, i / p->out_columns, v);
    }
}

/* One case with one class of numbers. */
static void
check_inputs(const struct kernel_case *what, const struct input_class *inputs)
{
    struct case_problem p;
    struct case_place place;
    struct case_expected expected;
    int n_threads = inputs == &input_classes[0] ? N_CONTEXTS : 1;
    inputs_make(&p, what, inputs);
    case_place(&place, &p, by_variant[0][0], inputs->side);
    case_expect(&expected, &p);
    void *ref = NULL;
    for (size_t v = 0; v < variants.n; v++) {
        void *out = results(&p, &place, inputs->name, v, 0);
        if (inputs->tiny && drops_tiny(variants.names[v], what->dtype)) {
            check_finite(&p, out);
        } else {
            case_judge(&p, &expected, out);
        }
        if (inputs->exact && v > 0) {
            check_same(&p, out, ref, "the reference's");
        }
        for (int i = 1; i < n_threads; i++) {
            void *other = results(&p, &place, inputs->name, v, i);
            check_same(&p, other, out, "with one thread it");
            free(other);
        }
        if (v == 0) {
            ref = out;
        } else {
            free(out);
        }
    }
    free(ref);
    case_expected_free(&expected);
    case_place_free(&place);
    case_free(&p);
}

START_TEST(every_class_of_numbers)
{
    const struct kernel_case *what = &kernel_cases[_i];
    if (what->large && SANITIZED) {
        return;
    }
    for (size_t i = 0; i < n_input_classes; i++) {
        if (inputs_fit(&input_classes[i], what)) {
            check_inputs(what, &input_classes[i]);
        }
    }
}
END_TEST

/* Poisoned rows: the middle one by its last element, and the last one, if
 * there are some between, as a whole. */
static int
is_poisoned(const struct case_problem *p, size_t row)
{
    return row == p->n_rows / 2 || (p->n_rows > 3 && row == p->n_rows - 1);
}

static void
poison(struct case_problem *p)
{
    size_t n_in = p->what->n_in;
    for (size_t row = 0; row < p->n_rows; row++) {
        int whole = row == p->n_rows - 1 && p->n_rows > 3;
        for (size_t i = whole ? 0 : n_in - 1; i < n_in; i++) {
            if (is_poisoned(p, row)) {
                p->a[row * n_in + i] = (double)NAN;
            }
        }
    }
    case_store(p);
}

/* Whether a poisoned row goes into a row of results. */
static int
is_spoiled(const struct case_problem *p, size_t out_row)
{
    for (size_t row = 0; row < p->n_rows; row++) {
        if (is_poisoned(p, row) && case_depends(p, out_row, row)) {
            return 1;
        }
    }
    return 0;
}

static void
check_spoiled(const struct case_problem *p, const uint16_t *out,
        const uint16_t *clean)
{
    for (size_t i = 0; i < p->out_rows * p->out_columns; i++) {
        size_t row = i / p->out_columns;
        double v = oracle_load(out, p->what->dtype, i);
        if (is_spoiled(p, row) ? !isnan(v) : out[i] != clean[i]) {
            ck_abort_msg("%s: result %zu of row %zu is %g, %s", p->label,
                    i % p->out_columns, row, v,
                    is_spoiled(p, row) ? "of an input with NaN"
                                       : "changed by NaN in another row");
        }
    }
}

START_TEST(nan_stays_in_its_row)
{
    const struct kernel_case *what = &kernel_cases[_i];
    if (what->large && SANITIZED) {
        return;
    }
    struct case_problem p;
    struct case_place place;
    void *clean[CONTEXT_VARIANTS_MAX];
    case_make(&p, what, 0);
    case_place(&place, &p, by_variant[0][0], FENCE_END);
    for (size_t v = 0; v < variants.n; v++) {
        clean[v] = results(&p, &place, "random", v, 0);
    }
    case_place_free(&place);
    poison(&p);
    case_place(&place, &p, by_variant[0][0], FENCE_BEGIN);
    for (size_t v = 0; v < variants.n; v++) {
        void *out = results(&p, &place, "nan", v, 0);
        check_spoiled(&p, out, clean[v]);
        free(out);
        free(clean[v]);
    }
    case_place_free(&place);
    case_free(&p);
}
END_TEST

/* All cases; or, for machines that are slow, each n-th from that of a number
 * on. */
static void
add_cases(TCase *tc, const TTest *test, int first)
{
    const char *text = getenv("W4MOE_TEST_EVERY");
    int step = text != NULL ? atoi(text) : 0;
    step = step > 0 ? step : 1;
    for (int i = first % step; i < (int)n_kernel_cases; i += step) {
        tcase_add_loop_test(tc, test, i, i + 1);
    }
}

int
main(void)
{
    TCase *tc = tcase_create("variants");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    add_cases(tc, every_class_of_numbers, 0);
    add_cases(tc, nan_stays_in_its_row, 2);
    Suite *suite = suite_create("variants");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
