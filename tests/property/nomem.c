/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "nomem.h"

#include <check.h>

#include "../kernel/alloc_count.h"

static char somewhere;
void *const nomem_untouched = &somewhere;

void
nomem_pointer(struct nomem_result *result, w4moe_status status, const void *p)
{
    result->is_touched |= status != W4MOE_OK && p != nomem_untouched;
}

/* FNV-1a. */
void
nomem_hash(struct nomem_result *result, const void *p, size_t n)
{
    const unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++) {
        result->hash = (result->hash ^ bytes[i]) * UINT64_C(0x00000100000001B3);
    }
}

/* One run, in which the n-th allocation fails (0: none). Returns: whether one
 * has failed. */
static int
run_once(const struct nomem_scenario *scenario, struct nomem_result *result,
        w4moe_status *status, unsigned n, int all_later)
{
    *result = (struct nomem_result){.hash = UINT64_C(0xCBF29CE484222325)};
    long before = alloc_live();
    if (n != 0) {
        alloc_fail_begin(n, all_later);
    }
    *status = scenario->run(result);
    int failed = n != 0 && alloc_fail_end();
    long after = alloc_live();
    ck_assert_msg(after == before || n == 0,
            "%s: %ld blocks of memory after allocation %u%s has failed, %ld "
            "before",
            scenario->name, after, n, all_later ? " and all later" : "",
            before);
    ck_assert_msg(!result->is_touched,
            "%s: outputs of a call that failed were written, allocation %u",
            scenario->name, n);
    if (scenario->after != NULL) {
        scenario->after(result, *status);
    }
    return failed;
}

static void
check_all(const struct nomem_scenario *scenario, uint64_t hash, int all_later)
{
    struct nomem_result result;
    w4moe_status status;
    for (unsigned n = 1; run_once(scenario, &result, &status, n, all_later);
            n++) {
        ck_assert_msg(status == W4MOE_NOMEM ||
                              (status == W4MOE_OK && result.hash == hash),
                "%s: status %s%s after allocation %u%s has failed",
                scenario->name, w4moe_status_string(status),
                status == W4MOE_OK ? " with another result" : "", n,
                all_later ? " and all later" : "");
    }
    ck_assert_msg(status == W4MOE_OK && result.hash == hash,
            "%s: status %s%s with nothing failing", scenario->name,
            w4moe_status_string(status),
            result.hash == hash ? "" : ", another result");
}

void
nomem_check(const struct nomem_scenario *scenario)
{
    struct nomem_result result;
    w4moe_status status;
    /* Libraries keep some memory for the next time, for example the stacks of
     * threads. */
    run_once(scenario, &result, &status, 0, 0);
    ck_assert_msg(status == W4MOE_OK, "%s: status %s undisturbed",
            scenario->name, w4moe_status_string(status));
    check_all(scenario, result.hash, 0);
    check_all(scenario, result.hash, 1);
}
