/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The fake HIP runtime: that it works as the real one where that is defined,
 * and finds the mistakes that it is there to find. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_hip.h"
#include "shim_args.h"

enum { N = SHIM_TEST_THREADS, GRID = 3 };

static const char *const archs[] = {"gfx1100", "gfx1201", "sm_90"};
static const char *const images[] = {FAKE_HIP_IMAGE "gfx1100\n",
        FAKE_HIP_IMAGE "gfx1201\n", FAKE_HIP_IMAGE "sm_90\n"};

/* A device with a module, a stream, GRID * N numbers in and as many out. */
static hipModule_t module;
static hipStream_t stream;
static uint32_t *in;
static uint32_t *out;
static const size_t n_bytes = GRID * N * sizeof(uint32_t);
static uint32_t host_in[GRID * N];
static uint32_t host_out[GRID * N];

static void
ok(hipError_t error)
{
    ck_assert_msg(error == hipSuccess, "%s: %s", hipGetErrorName(error),
            fake_hip_message());
}

static void
set_up_arch(int arch)
{
    fake_hip_reset();
    fake_hip_devices(1, archs[arch]);
    ok(hipModuleLoadData(&module, images[arch]));
    ok(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    ok(hipMalloc((void **)&in, n_bytes));
    ok(hipMalloc((void **)&out, n_bytes));
    for (uint32_t i = 0; i < GRID * N; i++) {
        host_in[i] = i * i + 1;
        host_out[i] = 7;
    }
    ok(hipMemcpy(in, host_in, n_bytes, hipMemcpyHostToDevice));
}

static void
set_up(void)
{
    set_up_arch(0);
}

static void
tear_down(void)
{
    ck_assert(fake_hip_intact());
    fake_hip_reset();
    ok(hipFree(in));
    ok(hipFree(out));
    ok(hipStreamDestroy(stream));
    ok(hipModuleUnload(module));
    ck_assert_uint_eq(fake_hip_live(), 0);
}

static hipError_t
launch(const char *name, uint32_t *to, uint32_t n)
{
    hipFunction_t function;
    struct shim_test_args args = {to, in, n};
    void *params[] = {&args};
    hipError_t error = hipModuleGetFunction(&function, module, name);
    return error != hipSuccess ? error
                               : hipModuleLaunchKernel(function, GRID, 1, 1, N,
                                         1, 1, 0, stream, params, NULL);
}

static void
check_sums(const uint32_t *sums)
{
    for (uint32_t block = 0; block < GRID; block++) {
        uint32_t expected = 0;
        for (uint32_t i = 0; i < N; i++) {
            expected += host_in[block * N + i];
        }
        ck_assert_uint_eq(sums[block], expected);
    }
}

START_TEST(test_launch)
{
    tear_down();
    set_up_arch(_i);
    ok(launch("shim_sum", out, 0));
    ok(hipMemcpyAsync(host_out, out, n_bytes, hipMemcpyDeviceToHost, stream));
    /* Nothing has waited for it. */
    ck_assert_uint_eq(host_out[0], 7);
    ok(hipStreamSynchronize(stream));
    check_sums(host_out);
    /* Device memory begins as a pattern. */
    ck_assert_uint_eq(host_out[GRID], 0xFFFFFFFFu);
}
END_TEST

START_TEST(test_launch_extra)
{
    hipFunction_t function;
    struct shim_test_args args = {out, in, 0};
    size_t size = sizeof(args);
    void *extra[] = {HIP_LAUNCH_PARAM_BUFFER_POINTER, &args,
            HIP_LAUNCH_PARAM_BUFFER_SIZE, &size, HIP_LAUNCH_PARAM_END};
    ok(hipModuleGetFunction(&function, module, "shim_sum"));
    ok(hipModuleLaunchKernel(
            function, GRID, 1, 1, N, 1, 1, 0, stream, NULL, extra));
    ok(hipDeviceSynchronize());
    ok(hipMemcpy(host_out, out, n_bytes, hipMemcpyDeviceToHost));
    check_sums(host_out);
    size--;
    ck_assert_int_eq(hipModuleLaunchKernel(function, GRID, 1, 1, N, 1, 1, 0,
                             stream, NULL, extra),
            hipErrorInvalidValue);
}
END_TEST

/* The default stream waits for blocking streams, and for no other. */
START_TEST(test_default_stream)
{
    hipStream_t blocking;
    ok(hipStreamCreate(&blocking));
    ok(hipMemsetAsync(out, 1, 4, blocking));
    ok(hipMemsetAsync((char *)out + 4, 1, 4, stream));
    ok(hipMemcpy(host_out, out, 8, hipMemcpyDeviceToHost));
    ck_assert_uint_eq(host_out[0], 0x01010101u);
    ck_assert_uint_eq(host_out[1], 0xFFFFFFFFu);
    ok(hipDeviceSynchronize());
    ok(hipMemcpy(host_out, out, 8, hipMemcpyDefault));
    ck_assert_uint_eq(host_out[1], 0x01010101u);
    ok(hipStreamDestroy(blocking));
}
END_TEST

START_TEST(test_bad_kernel)
{
    ok(launch("shim_bad_uniform", out, 0));
    ck_assert_int_eq(hipStreamSynchronize(stream), hipErrorLaunchFailure);
    ck_assert_ptr_nonnull(strstr(fake_hip_message(), "shim_bad_uniform"));
    ck_assert_int_eq(launch("shim_sum", out, 0), hipErrorLaunchFailure);
    ck_assert_int_eq(hipGetLastError(), hipErrorLaunchFailure);
    ck_assert_int_eq(hipGetLastError(), hipSuccess);
}
END_TEST

START_TEST(test_refusals)
{
    hipModule_t other;
    hipFunction_t function;
    struct shim_test_args args = {out, in, 0};
    void *params[] = {&args};
    ck_assert_int_eq(
            hipModuleLoadData(&other, images[1]), hipErrorNoBinaryForGpu);
    ck_assert_int_eq(hipModuleLoadData(&other, "ELF"), hipErrorInvalidImage);
    ck_assert_int_eq(launch("shim_none", out, 0), hipErrorNotFound);
    ck_assert_int_eq(hipSetDevice(1), hipErrorInvalidDevice);
    ok(hipModuleGetFunction(&function, module, "shim_sum"));
    ck_assert_int_eq(hipModuleLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0,
                             stream, params, NULL),
            hipErrorInvalidConfiguration);
    ck_assert_int_eq(hipModuleLaunchKernel(function, 1, 65536, 1, N, 1, 1, 0,
                             stream, params, NULL),
            hipErrorInvalidConfiguration);
    ck_assert_int_eq(hipModuleLaunchKernel(
                             function, 1, 1, 1, N, 1, 1, 0, stream, NULL, NULL),
            hipErrorInvalidValue);
    ck_assert_int_eq(hipFree((char *)out + 256), hipErrorInvalidValue);
    ck_assert_int_eq(hipHostFree(host_out), hipErrorInvalidValue);
}
END_TEST

START_TEST(test_copies)
{
    ck_assert_int_eq(hipMemcpy(in, host_in, n_bytes + 1, hipMemcpyHostToDevice),
            hipErrorInvalidValue);
    ck_assert_int_eq(hipMemcpy(in, host_in, n_bytes, hipMemcpyDeviceToHost),
            hipErrorInvalidValue);
    ck_assert_int_eq(
            hipMemcpy(host_out, host_in, n_bytes, hipMemcpyDeviceToHost),
            hipErrorInvalidValue);
    ck_assert_int_eq(
            hipMemsetAsync(host_out, 0, 4, stream), hipErrorInvalidValue);
    ok(hipMemcpy(out, in, n_bytes, hipMemcpyDeviceToDevice));
    ok(hipMemcpy(host_out, out, n_bytes, hipMemcpyDeviceToHost));
    ck_assert_mem_eq(host_out, host_in, n_bytes);
}
END_TEST

START_TEST(test_memory)
{
    void *p = NULL;
    void *q = &p;
    size_t available;
    size_t total;
    fake_hip_device_size(2 * n_bytes + 1000, 10);
    ck_assert_int_eq(hipMalloc(&p, 1001), hipErrorOutOfMemory);
    ck_assert_ptr_null(p);
    ok(hipMalloc(&p, 999));
    ck_assert_uint_eq((uintptr_t)p % 256, 0);
    ok(hipMemGetInfo(&available, &total));
    ck_assert_uint_eq(available, 1);
    ck_assert_uint_eq(total, 2 * n_bytes + 1000);
    ok(hipMalloc(&q, 0));
    ck_assert_ptr_null(q);
    ok(hipFree(p));
    ck_assert_int_eq(hipFree(p), hipErrorInvalidValue);
    ok(hipHostMalloc(&p, 100, hipHostMallocDefault));
    memset(p, 0, 100);
    ck_assert_uint_eq(fake_hip_live(), 5);
    ok(hipHostFree(p));
    fake_hip_device_size((size_t)1 << 30, 48);
}
END_TEST

START_TEST(test_injected_failure)
{
    void *p;
    unsigned n = fake_hip_count("hipMalloc");
    fake_hip_fail("hipMalloc", 2, hipErrorOutOfMemory);
    ok(hipMalloc(&p, 16));
    ok(hipFree(p));
    ck_assert_int_eq(hipMalloc(&p, 16), hipErrorOutOfMemory);
    ok(hipMalloc(&p, 16));
    ok(hipFree(p));
    ck_assert_uint_eq(fake_hip_count("hipMalloc"), n + 3);
    ck_assert_uint_eq(fake_hip_count("hipFree"), 2);
}
END_TEST

START_TEST(test_devices)
{
    hipDeviceProp_t properties;
    hipStream_t other;
    hipFunction_t function;
    struct shim_test_args args = {out, in, 0};
    void *params[] = {&args};
    int n;
    fake_hip_devices(2, "gfx1100");
    ok(hipGetDeviceCount(&n));
    ck_assert_int_eq(n, 2);
    ok(hipGetDeviceProperties(&properties, 1));
    ck_assert_str_eq(properties.gcnArchName, "gfx1100");
    ck_assert_int_eq(properties.warpSize, 32);
    ok(hipSetDevice(1));
    ok(hipGetDevice(&n));
    ck_assert_int_eq(n, 1);
    ok(hipStreamCreate(&other));
    ok(hipModuleGetFunction(&function, module, "shim_sum"));
    ck_assert_int_eq(hipModuleLaunchKernel(function, 1, 1, 1, N, 1, 1, 0, other,
                             params, NULL),
            hipErrorInvalidHandle);
    ok(hipStreamDestroy(other));
    ok(hipSetDevice(0));
    fake_hip_devices(0, "gfx1100");
    ck_assert_int_eq(hipGetDeviceCount(&n), hipErrorNoDevice);
    ck_assert_int_eq(n, 0);
    fake_hip_devices(1, "gfx1100");
}
END_TEST

START_TEST(test_graph)
{
    hipGraph_t graph;
    hipGraphExec_t exec;
    ok(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal));
    ok(launch("shim_sum", out, 0));
    ok(hipStreamEndCapture(stream, &graph));
    ok(hipGraphInstantiate(&exec, graph, NULL, NULL, 0));
    ok(hipGraphDestroy(graph));
    for (int i = 0; i < 2; i++) {
        host_in[5]++;
        ok(hipMemcpy(in, host_in, n_bytes, hipMemcpyHostToDevice));
        ok(hipGraphLaunch(exec, stream));
        ok(hipStreamSynchronize(stream));
        ok(hipMemcpy(host_out, out, n_bytes, hipMemcpyDeviceToHost));
        check_sums(host_out);
    }
    ok(hipGraphExecDestroy(exec));
}
END_TEST

START_TEST(test_spoilt_capture)
{
    hipGraph_t graph;
    void *p;
    for (int i = 0; i < 4; i++) {
        ok(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal));
        hipError_t error = i == 0   ? hipMalloc(&p, 16)
                           : i == 1 ? hipStreamSynchronize(stream)
                           : i == 2 ? hipDeviceSynchronize()
                                    : hipMemcpy(host_out, out, n_bytes,
                                              hipMemcpyDeviceToHost);
        ck_assert_int_eq(error, hipErrorStreamCaptureUnsupported);
        ck_assert_int_eq(hipStreamEndCapture(stream, &graph),
                hipErrorStreamCaptureInvalidated);
    }
}
END_TEST

/* Each must end its process, or fail. */
static int
touch_device_memory(void)
{
    *(volatile uint32_t *)out = 1;
    return 0;
}

static int
touch_fresh_memory(void)
{
    void *fresh;
    ok(hipMalloc(&fresh, 64));
    *(volatile uint32_t *)fresh = 1;
    return 0;
}

static int
touch_freed_memory(void)
{
    ok(hipFree(out));
    ok(launch("shim_count", out, 0));
    return hipStreamSynchronize(stream) != hipSuccess;
}

static int
write_beyond_pages(void)
{
    ok(launch("shim_count", out + (GRID - 1) * N, 1));
    return hipStreamSynchronize(stream) != hipSuccess;
}

/* N - 1 numbers do not fill the alignment. */
static int
write_one_beyond(void)
{
    void *small;
    ok(hipMalloc(&small, (N - 1) * sizeof(uint32_t)));
    ok(launch("shim_count", small, 0));
    ok(hipStreamSynchronize(stream));
    return hipFree(small) != hipSuccess;
}

static int (*const mistakes[])(void) = {touch_device_memory, touch_fresh_memory,
        touch_freed_memory, write_beyond_pages, write_one_beyond};

START_TEST(test_mistake)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int failed = 1;
        if (freopen("/dev/null", "w", stderr) != NULL) {
            failed = mistakes[_i]();
        }
        _exit(failed ? 3 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fake hip");
    TCase *tc = tcase_create("fake hip");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_launch, 0, 3);
    tcase_add_test(tc, test_launch_extra);
    tcase_add_test(tc, test_default_stream);
    tcase_add_test(tc, test_bad_kernel);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_copies);
    tcase_add_test(tc, test_memory);
    tcase_add_test(tc, test_injected_failure);
    tcase_add_test(tc, test_devices);
    tcase_add_test(tc, test_graph);
    tcase_add_test(tc, test_spoilt_capture);
    tcase_add_loop_test(
            tc, test_mistake, 0, sizeof(mistakes) / sizeof(mistakes[0]));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
