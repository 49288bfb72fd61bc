/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The tests themselves: kernels with a fault (mutants.cc), which the shim, a
 * forbidden page or a comparison must find. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../hip/kernels/params.h"
#include "align_case.h"
#include "fake_hip.h"
#include "hip_context.h"
#include "hip_device.h"
#include "hip_kernels.h"

static w4moe_ctx *cpu;

static void
setup(void)
{
    ck_assert_int_eq(hip_context_try(&cpu, "cpu", 0, 0), W4MOE_OK);
    hip_kernels_load("gfx1100");
}

static void
teardown(void)
{
    hip_device_order(0);
    hip_kernels_unload();
    w4moe_ctx_destroy(cpu);
}

/* Whether a kernel does well, in a process of its own, which a wild one may
 * end. */
static int
is_good_apart(int (*is_good)(const char *, void *), const char *kernel, void *c)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int good =
                freopen("/dev/null", "w", stderr) != NULL && is_good(kernel, c);
        _exit(good ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
is_aligned(const char *kernel, void *c)
{
    return align_is_good(cpu, kernel, c);
}

/* Without its barriers the kernel is wrong in most orders of threads, and with
 * them right in all. */
START_TEST(without_barriers)
{
    static struct align_case c = {
            .n_slots = 300, .n_experts = 8, .n_global = 8, .block_size = 4};
    struct oracle_rng rng = {0x8080};
    int n_wrong = 0;
    align_draw(&c, &rng);
    for (uint64_t seed = 0; seed < 8; seed++) {
        hip_device_order(seed);
        ck_assert(is_good_apart(is_aligned, "w4_align", &c));
        n_wrong += !is_good_apart(is_aligned, "w4_align_no_barrier", &c);
    }
    ck_assert_int_ge(n_wrong, 4);
}
END_TEST

/* Routes two tokens; returns what the shim says of it. */
static const char *
route(const char *kernel)
{
    enum { TOKENS = 2, EXPERTS = 40, TOP_K = 3 };
    static char message[400];
    static float logits[TOKENS * EXPERTS];
    struct w4_gpu_route p = {
            .ids = hip_words(TOKENS * TOP_K),
            .weights = (float *)(void *)hip_words(TOKENS * TOP_K),
            .logits = hip_copy_of(logits, sizeof(logits)),
            .logits_type = W4MOE_F32,
            .n_tokens = TOKENS,
            .n_experts = EXPERTS,
            .top_k = TOP_K,
            .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
            .scale = 1,
    };
    (void)hip_kernel_try(kernel, 1, W4_GPU_THREADS, &p);
    snprintf(message, sizeof(message), "%s", fake_hip_message());
    fake_hip_reset();
    HIP_OK(hipFree(p.ids));
    HIP_OK(hipFree(p.weights));
    HIP_OK(hipFree((void *)(uintptr_t)p.logits));
    return message;
}

START_TEST(exchanges_between_lanes)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        hip_device_order(seed);
        ck_assert_str_eq(route("w4_route"), "");
        ck_assert_ptr_nonnull(
                strstr(route("w4_route_inactive"), "gpu_shuffle_xor"));
        ck_assert_ptr_nonnull(
                strstr(route("w4_route_wrong_lane"), "another mask"));
    }
}
END_TEST

/* The input ends where its page does. */
static int
is_activated(const char *kernel, void *unused)
{
    enum { ROWS = 2, WIDTH = 256 };
    static uint16_t numbers[ROWS * WIDTH];
    (void)unused;
    struct w4_gpu_activate p = {
            .out = hip_copy_of(numbers, sizeof(numbers)),
            .out_stride = WIDTH,
            .in = hip_copy_of(numbers, sizeof(numbers)),
            .in_stride = WIDTH,
            .n_columns = WIDTH,
            .type = W4MOE_BF16,
            .activation = {.kind = W4MOE_ACT_RELU2_NO_MUL},
    };
    hipError_t error = hip_kernel_try(kernel, ROWS, W4_GPU_THREADS, &p);
    HIP_OK(hipFree(p.out));
    HIP_OK(hipFree((void *)(uintptr_t)p.in));
    return error == hipSuccess;
}

START_TEST(reads_beyond_a_row)
{
    ck_assert(is_good_apart(is_activated, "w4_activate", NULL));
    ck_assert(!is_good_apart(is_activated, "w4_activate_beyond", NULL));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
            without_barriers, exchanges_between_lanes, reads_beyond_a_row};
    return hip_run_tests("hip mutants", tests, sizeof(tests) / sizeof(tests[0]),
            setup, teardown);
}
