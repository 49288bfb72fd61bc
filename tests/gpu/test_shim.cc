/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The shim that runs kernels on the processor: what it computes, and that it
 * finds the mistakes that it is there to find. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/half.h"
#include "shim.h"
#include "shim_args.h"
#include "test_random.h"

enum { N = SHIM_TEST_THREADS };

static const gpu_shim_layout layouts[] = {
        GPU_SHIM_GFX11, GPU_SHIM_GFX12, GPU_SHIM_NVIDIA};
enum { N_LAYOUTS = sizeof(layouts) / sizeof(layouts[0]), N_SEEDS = 6 };

static const gpu_shim_kernel *
kernel_named(const char *name, gpu_shim_layout layout = GPU_SHIM_GFX11)
{
    const gpu_shim_kernel *kernel = gpu_shim_find(layout, name);
    ck_assert_msg(kernel != nullptr, "%s", name);
    return kernel;
}

static int
launch(const char *name, std::vector<uint32_t> &out,
        const std::vector<uint32_t> &in, uint32_t n, unsigned grid = 1)
{
    shim_test_args args = {out.data(), in.data(), n};
    return gpu_shim_launch(kernel_named(name), grid, 1, N, &args, sizeof(args));
}

static std::vector<uint32_t>
numbers(size_t n)
{
    std::vector<uint32_t> list(n);
    struct test_random random = {n};
    for (uint32_t &x : list) {
        x = (uint32_t)test_random(&random);
    }
    return list;
}

static bool
sums_right(const char *name)
{
    const unsigned grid = 5;
    std::vector<uint32_t> in = numbers(grid * N);
    std::vector<uint32_t> out(grid);
    ck_assert_msg(
            launch(name, out, in, 0, grid) == 0, "%s", gpu_shim_message());
    for (unsigned b = 0; b < grid; b++) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < N; i++) {
            sum += in[b * N + i];
        }
        if (out[b] != sum) {
            return false;
        }
    }
    return true;
}

START_TEST(test_sum)
{
    gpu_shim_seed((uint64_t)_i);
    ck_assert(sums_right("shim_sum"));
}
END_TEST

/* Whether a process that runs body() is ended by a sanitizer or a signal, or
 * body() returns false. */
static bool
ends_badly(bool (*body)(int), int i)
{
    fflush(nullptr);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool good = freopen("/dev/null", "w", stderr) == nullptr || body(i);
        exit(good ? 0 : 3);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static bool
sum_survives(int)
{
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        gpu_shim_seed(seed);
        if (!sums_right("shim_sum_no_barrier")) {
            return false;
        }
    }
    return true;
}

START_TEST(test_forgotten_barrier)
{
    ck_assert(ends_badly(sum_survives, 0));
}
END_TEST

/* Without a barrier between them: no order is right for both of a pair. */
static bool
exchange_survives(int i)
{
    uint32_t partner = 1u << i % 7;
    std::vector<uint32_t> in = numbers(N);
    std::vector<uint32_t> out(N);
    gpu_shim_seed((uint64_t)(i / 7));
    bool good = launch("shim_turn_no_barrier", out, in, partner) == 0;
    for (unsigned t = 0; t < N; t++) {
        good = good && out[t] == in[t ^ partner];
    }
    return good;
}

START_TEST(test_forgotten_barrier_of_exchange)
{
    ck_assert(ends_badly(exchange_survives, _i));
}
END_TEST

START_TEST(test_order)
{
    std::vector<uint32_t> out(N, 0);
    gpu_shim_seed((uint64_t)_i);
    ck_assert_int_eq(launch("shim_count", out, {}, 0), 0);
    std::vector<bool> seen(N, false);
    unsigned n_ascending = 0;
    unsigned n_descending = 0;
    for (unsigned i = 0; i < N; i++) {
        ck_assert_uint_lt(out[i], N);
        ck_assert(!seen[out[i]]);
        seen[out[i]] = true;
        n_ascending += out[i] == i;
        n_descending += out[i] == N - 1 - i;
    }
    ck_assert(_i == 0 ? n_ascending == N : n_ascending < N / 4);
    ck_assert(_i == 1 ? n_descending == N : n_descending < N / 4);
}
END_TEST

START_TEST(test_fresh_memory)
{
    std::vector<uint32_t> out(3 * N, 0);
    ck_assert_int_eq(launch("shim_fresh", out, {}, 0, 3), 0);
    for (uint32_t x : out) {
        ck_assert_uint_eq(x, 0xFFFFFFFFu);
    }
}
END_TEST

START_TEST(test_wave)
{
    const uint32_t lane = 21;
    std::vector<uint32_t> in = numbers(N + 4);
    std::vector<uint32_t> out(8 * N);
    gpu_shim_seed((uint64_t)_i);
    /* Aligned, as kernels ask for it. */
    alignas(16) uint32_t aligned[N];
    memcpy(aligned, in.data(), sizeof(aligned));
    shim_test_args args = {out.data(), aligned, lane};
    int rc = gpu_shim_launch(
            kernel_named("shim_wave"), 1, 1, N, &args, sizeof(args));
    ck_assert_msg(rc == 0, "%s", gpu_shim_message());
    for (unsigned t = 0; t < N; t++) {
        uint32_t ballot = 0;
        for (unsigned l = 0; l < 32; l++) {
            ballot |= (uint32_t)(in[t / 32 * 32 + l] % 3 == 0) << l;
        }
        uint32_t expected[8] = {in[t ^ 1], in[t ^ 16], in[t ^ 31],
                in[t / 32 * 32 + lane], ballot, t / 32, in[3], in[2] ^ in[1]};
        for (unsigned i = 0; i < 8; i++) {
            ck_assert_uint_eq(out[8 * t + i], expected[i]);
        }
    }
}
END_TEST

START_TEST(test_one_wave)
{
    std::vector<uint32_t> out(N);
    gpu_shim_seed((uint64_t)_i);
    ck_assert_int_eq(launch("shim_one_wave", out, {}, 5), 0);
    for (unsigned t = 0; t < N; t++) {
        ck_assert_uint_eq(out[t], t / 32 == 1 ? 31 : 0);
    }
}
END_TEST

/* A kernel, and what its failure must say. */
struct bad_kernel {
    const char *name;
    const char *words[3];
};

static const bad_kernel bad_kernels[] = {
        {"shim_bad_return", {"a barrier", "thread 70 has returned"}},
        {"shim_bad_branches", {"a barrier", "while thread"}},
        {"shim_bad_half_wave", {"gpu_ballot", "a barrier"}},
        {"shim_bad_lane_returns", {"gpu_ballot", "thread 33 has returned"}},
        {"shim_bad_operations", {"gpu_ballot", "gpu_broadcast"}},
        {"shim_bad_uniform", {"gpu_uniform", "another value", "thread 95"}},
        {"shim_bad_uniform_load", {"gpu_uniform_load4", "another value"}},
        {"shim_bad_broadcast", {"gpu_broadcast", "another number"}},
        {"shim_bad_alignment", {"gpu_load4", "aligned"}},
        {"shim_bad_write", {"gpu_write2", "aligned"}},
        {"shim_bad_load_of_shared", {"gpu_read4", "shared"}},
        {"shim_bad_count", {"gpu_count", "shared"}},
        {"shim_too_much_shared", {"65540 bytes", "65536"}},
};

START_TEST(test_bad_kernel)
{
    const bad_kernel &bad = bad_kernels[_i];
    alignas(16) static uint32_t in[N];
    alignas(16) static uint32_t out[N];
    shim_test_args args = {out, in, 0};
    gpu_shim_seed(0);
    ck_assert_int_eq(gpu_shim_launch(kernel_named(bad.name), 2, 1, N, &args,
                             sizeof(args)),
            -1);
    const char *message = gpu_shim_message();
    ck_assert_msg(strstr(message, bad.name) != nullptr &&
                          strstr(message, "block (0, 0)") != nullptr,
            "%s", message);
    for (const char *words : bad.words) {
        ck_assert_msg(words == nullptr || strstr(message, words) != nullptr,
                "%s", message);
    }
    /* The next one is not harmed. */
    ck_assert(sums_right("shim_sum"));
    ck_assert_str_eq(gpu_shim_message(), "");
}
END_TEST

START_TEST(test_refused)
{
    shim_test_args args = {};
    const gpu_shim_kernel *sum = kernel_named("shim_sum");
    ck_assert_int_eq(gpu_shim_launch(sum, 1, 1, 64, &args, sizeof(args)), -1);
    ck_assert_int_eq(
            gpu_shim_launch(sum, 1, 1, N, &args, sizeof(args) - 1), -1);
    ck_assert_int_eq(gpu_shim_launch(sum, 0, 1, N, &args, sizeof(args)), -1);
    ck_assert_int_eq(gpu_shim_launch(sum, 1, 0, N, &args, sizeof(args)), -1);
    ck_assert_ptr_null(gpu_shim_find(GPU_SHIM_GFX11, "shim_none"));
}
END_TEST

/* A byte beside an array of 6: the address sanitizer or a forbidden page ends
 * the process, or the launch fails. */
static const int places_beside[] = {6, 7, 9, 16, 4000, -1, -3000, -5000};
enum { N_BESIDE = sizeof(places_beside) / sizeof(places_beside[0]) };

static bool
beside_survives(int i)
{
    std::vector<uint32_t> none;
    return launch("shim_beside", none, none, (uint32_t)places_beside[i]) == 0;
}

START_TEST(test_beside)
{
    ck_assert(ends_badly(beside_survives, _i));
}
END_TEST

START_TEST(test_within)
{
    std::vector<uint32_t> none;
    ck_assert_int_eq(launch("shim_beside", none, none, 5), 0);
}
END_TEST

/* ------------------------------------------------------------ arithmetic */

/* Exact numbers in units of 2^-48, which a product of two fp16 is a multiple
 * of; a b + c has 82 bits. */
__extension__ typedef __int128 exact;

/* An fp16, infinity as the next power of two, in units of 2^-24. */
static exact
units(unsigned bits)
{
    unsigned magnitude = bits & 0x7FFFu;
    float value = magnitude == 0x7C00u ? 65536.0f
                                       : w4_float_of_f16((uint16_t)magnitude);
    exact n = (exact)((double)value * 0x1p24);
    return (bits & 0x8000u) != 0 ? -n : n;
}

/* The fp16 nearest to a number, by the definition. */
static unsigned
model_f16(exact x)
{
    exact magnitude = x < 0 ? -x : x;
    unsigned best = 0;
    exact best_error = magnitude;
    for (unsigned bits = 1; bits <= 0x7C00u; bits++) {
        exact error = units(bits) * (1 << 24) - magnitude;
        error = error < 0 ? -error : error;
        if (error < best_error || (error == best_error && bits % 2 == 0)) {
            best = bits;
            best_error = error;
        }
    }
    return (x < 0 ? 0x8000u : 0) | best;
}

static unsigned
model_fma(uint32_t a, uint32_t b, uint32_t c)
{
    return model_f16(units(a & 0xFFFFu) * units(b & 0xFFFFu) +
                     units(c & 0xFFFFu) * (1 << 24));
}

static uint32_t
finite_f16(struct test_random *random)
{
    uint32_t bits = (uint32_t)test_random(random) & 0xFFFFu;
    return (bits & 0x7C00u) == 0x7C00u ? bits & 0xBFFFu : bits;
}

/* Random patterns, and sums next to the middle of two fp16. */
START_TEST(test_fma_f16)
{
    const uint32_t n = 400;
    struct test_random random = {7};
    std::vector<uint32_t> in(3 * n);
    for (uint32_t &x : in) {
        x = finite_f16(&random) | finite_f16(&random) << 16;
    }
    const uint32_t hard[][3] = {
            {0x1001, 0x1001, 0x3C00}, /* 1 + 2^-22 .. */
            {0x0001, 0x0001, 0x3C00}, /* 1 + 2^-48 */
            {0x0001, 0x8001, 0x7BFF}, /* 65504 - 2^-48 */
            {0x1000, 0x3C00, 0x3C01}, /* a tie: 1 + 2^-10 + 2^-11 */
            {0x1001, 0x3BFE, 0x3C01}, /* next to it */
            {0x7BFF, 0x7BFF, 0xFBFF}, /* infinite */
            {0x7BFF, 0x3C00, 0x4B80}, /* 65504 + 15 */
            {0x7BFF, 0x3C00, 0x4C00}, /* 65504 + 16, a tie */
            {0x0001, 0x3800, 0x0000}, /* half of the smallest, a tie */
            {0x0001, 0x3801, 0x0000},
            {0x0003, 0x3800, 0x0002},
    };
    for (const auto &h : hard) {
        for (unsigned j = 0; j < 3; j++) {
            in.push_back(h[j] | h[j] << 16);
        }
    }
    uint32_t total = (uint32_t)(in.size() / 3);
    std::vector<uint32_t> out(total);
    ck_assert_int_eq(launch("shim_fma_f16", out, in, total), 0);
    for (uint32_t i = 0; i < total; i++) {
        const uint32_t *x = &in[3 * i];
        for (unsigned shift = 0; shift < 32; shift += 16) {
            unsigned got = out[i] >> shift & 0xFFFFu;
            unsigned expected =
                    model_fma(x[0] >> shift, x[1] >> shift, x[2] >> shift);
            /* The sign of zero is not the model's. */
            ck_assert_msg(got == expected || ((got | expected) & 0x7FFFu) == 0,
                    "%x * %x + %x = %x, not %x", x[0] >> shift, x[1] >> shift,
                    x[2] >> shift, got, expected);
        }
    }
}
END_TEST

static double
pair_value(bool f16, uint32_t pair, unsigned i)
{
    uint16_t bits = (uint16_t)(pair >> 16 * i);
    return (double)(f16 ? w4_float_of_f16(bits) : w4_float_of_bf16(bits));
}

START_TEST(test_words)
{
    std::vector<uint32_t> in(4 * N);
    std::vector<uint32_t> out(4 * N);
    struct test_random random = {3};
    for (unsigned i = 0; i < 4 * N; i++) {
        uint32_t r = (uint32_t)test_random(&random);
        /* Numbers of about 1 in either type. */
        in[i] = i % 4 == 3 ? r & 0x07070707u : (r & 0x83FF83FFu) | 0x38003C00u;
    }
    ck_assert_int_eq(launch("shim_words", out, in, 0), 0);
    for (unsigned t = 0; t < N; t++) {
        const uint32_t *x = &in[4 * t];
        for (unsigned f16 = 0; f16 < 2; f16++) {
            double c = (double)w4_float_of_bits(x[2]);
            double low = pair_value(f16, x[0], 0) * pair_value(f16, x[1], 0);
            double high = pair_value(f16, x[0], 1) * pair_value(f16, x[1], 1);
            double got = (double)w4_float_of_bits(out[4 * t + f16]);
            double bound = 0x1p-22 * (fabs(c) + fabs(low) + fabs(high));
            ck_assert(fabs(got - (c + low + high)) <= bound);
        }
        uint32_t perm = 0;
        for (unsigned j = 0; j < 4; j++) {
            unsigned from = x[3] >> 8 * j & 7;
            uint32_t word = from < 4 ? x[1] : x[0];
            perm |= (word >> 8 * (from % 4) & 0xFFu) << 8 * j;
        }
        ck_assert_uint_eq(out[4 * t + 2], perm);
        ck_assert_uint_eq(out[4 * t + 3], (x[0] & x[1]) | x[2]);
    }
}
END_TEST

/* -------------------------------------------------------------- matrices */

struct mma_problem {
    uint16_t a[16 * 32];
    uint16_t b[32 * 32];
    float c[16 * 32];
    double expected[16 * 32];
    double bound[16 * 32];
};

static void
make_problem(mma_problem *m, bool f16, uint64_t seed)
{
    struct test_random random = {seed};
    uint16_t (*half)(float) = f16 ? w4_f16_of_float : w4_bf16_of_float;
    auto number = [&] {
        return (float)((double)test_random_below(&random, 20001) / 1e4 - 1);
    };
    for (uint16_t &x : m->a) {
        x = half(number());
    }
    for (uint16_t &x : m->b) {
        x = half(number());
    }
    for (float &x : m->c) {
        x = number();
    }
    for (unsigned i = 0; i < 16 * 32; i++) {
        double sum = (double)m->c[i];
        double size = fabs(sum);
        for (unsigned k = 0; k < 32; k++) {
            double x = pair_value(f16, m->a[i / 32 * 32 + k], 0) *
                       pair_value(f16, m->b[k * 32 + i % 32], 0);
            sum += x;
            size += fabs(x);
        }
        m->expected[i] = sum;
        m->bound[i] = size * 0x1p-22;
    }
}

static int
launch_mma(gpu_shim_layout layout, mma_problem *m, bool f16, uint32_t wrong)
{
    shim_mma_args args = {m->c, m->a, m->b, f16, wrong};
    return gpu_shim_launch(
            kernel_named("shim_mma", layout), 1, 1, 32, &args, sizeof(args));
}

static unsigned
n_wrong(const mma_problem *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 16 * 32; i++) {
        n += !(fabs((double)m->c[i] - m->expected[i]) <= m->bound[i]);
    }
    return n;
}

START_TEST(test_mma)
{
    static mma_problem m;
    for (unsigned f16 = 0; f16 < 2; f16++) {
        gpu_shim_seed((uint64_t)_i);
        make_problem(&m, f16, (uint64_t)_i);
        int rc = launch_mma(layouts[_i % N_LAYOUTS], &m, f16, 0);
        ck_assert_msg(rc == 0, "%s", gpu_shim_message());
        ck_assert_uint_eq(n_wrong(&m), 0);
    }
}
END_TEST

/* A lane that brings something else changes the result, or is found out by the
 * lane that must bring the same. */
START_TEST(test_mma_wrong_lane)
{
    static mma_problem m;
    gpu_shim_seed(0);
    make_problem(&m, false, 1);
    int rc = launch_mma(layouts[_i], &m, false, 9);
    if (layouts[_i] == GPU_SHIM_GFX11) {
        ck_assert_int_eq(rc, -1);
        ck_assert_msg(strstr(gpu_shim_message(), "another row") != nullptr,
                "%s", gpu_shim_message());
    } else {
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_ne(n_wrong(&m), 0);
    }
}
END_TEST

START_TEST(test_layout_promises)
{
    std::vector<uint32_t> out(N);
    shim_test_args args = {out.data(), nullptr, 0};
    ck_assert_int_eq(gpu_shim_launch(kernel_named("shim_layout", layouts[_i]),
                             1, 1, N, &args, sizeof(args)),
            0);
    for (uint32_t good : out) {
        ck_assert_uint_eq(good, 1);
    }
}
END_TEST

/* ------------------------------------------------------------------ copies */

static bool
copies_right(const char *name, uint64_t seed)
{
    uint32_t partner = 1u << seed % 5;
    std::vector<uint32_t> in = numbers(4 * N);
    std::vector<uint32_t> out(4 * N);
    shim_test_args args = {out.data(), in.data(), partner};
    gpu_shim_seed(seed);
    ck_assert_int_eq(gpu_shim_launch(kernel_named(name, GPU_SHIM_NVIDIA), 1, 1,
                             N, &args, sizeof(args)),
            0);
    bool good = true;
    for (unsigned i = 0; i < 4 * N; i++) {
        unsigned t = i / 4 ^ partner;
        uint32_t expected = t % 32 == 31 ? 0 : in[4 * t + i % 4];
        good = good && out[i] == expected;
    }
    return good;
}

START_TEST(test_copies)
{
    ck_assert(copies_right("shim_copy", (uint64_t)_i));
}
END_TEST

START_TEST(test_copies_not_waited_for)
{
    ck_assert(!copies_right("shim_copy_no_wait", (uint64_t)_i));
}
END_TEST

START_TEST(test_copies_without_barrier)
{
    unsigned n_right = 0;
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        n_right += copies_right("shim_copy_no_barrier", seed);
    }
    ck_assert_uint_lt(n_right, N_SEEDS);
}
END_TEST

/* ----------------------------------------------------- several at a time */

static void *
sum_many(void *wrong)
{
    for (unsigned i = 0; i < 20; i++) {
        std::vector<uint32_t> in = numbers(N);
        std::vector<uint32_t> out(1);
        shim_test_args args = {out.data(), in.data(), 0};
        const gpu_shim_kernel *sum = gpu_shim_find(GPU_SHIM_GFX12, "shim_sum");
        int rc = gpu_shim_launch(sum, 1, 1, N, &args, sizeof(args));
        uint32_t expected = 0;
        for (uint32_t x : in) {
            expected += x;
        }
        *(bool *)wrong = *(bool *)wrong || rc != 0 || out[0] != expected;
    }
    return nullptr;
}

START_TEST(test_os_threads)
{
    enum { N_THREADS = 4 };
    pthread_t threads[N_THREADS];
    bool wrong[N_THREADS] = {};
    gpu_shim_seed(3);
    for (unsigned i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(
                pthread_create(&threads[i], nullptr, sum_many, &wrong[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], nullptr);
        ck_assert(!wrong[i]);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gpu shim");
    TCase *tc = tcase_create("shim");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, test_sum, 0, N_SEEDS);
    tcase_add_test(tc, test_forgotten_barrier);
    tcase_add_loop_test(tc, test_forgotten_barrier_of_exchange, 0, 7 * N_SEEDS);
    tcase_add_loop_test(tc, test_order, 0, N_SEEDS);
    tcase_add_test(tc, test_fresh_memory);
    tcase_add_loop_test(tc, test_wave, 0, N_SEEDS);
    tcase_add_loop_test(tc, test_one_wave, 0, N_SEEDS);
    tcase_add_loop_test(tc, test_bad_kernel, 0,
            sizeof(bad_kernels) / sizeof(bad_kernels[0]));
    tcase_add_test(tc, test_refused);
    tcase_add_loop_test(tc, test_beside, 0, N_BESIDE);
    tcase_add_test(tc, test_within);
    tcase_add_test(tc, test_fma_f16);
    tcase_add_test(tc, test_words);
    tcase_add_loop_test(tc, test_mma, 0, 3 * N_LAYOUTS);
    tcase_add_loop_test(tc, test_mma_wrong_lane, 0, N_LAYOUTS);
    tcase_add_loop_test(tc, test_layout_promises, 0, N_LAYOUTS);
    tcase_add_loop_test(tc, test_copies, 0, N_SEEDS);
    tcase_add_loop_test(tc, test_copies_not_waited_for, 0, N_SEEDS);
    tcase_add_test(tc, test_copies_without_barrier);
    tcase_add_test(tc, test_os_threads);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
