/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "hip_kernels.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/gpu.h"
#include "../kernel/oracle.h"
#include "hip_context.h"
#include "hip_device.h"

enum { GUARD = 64, GUARD_BYTE = 0xA5 };

static hipModule_t modules[W4_GPU_MODULES_MAX];
static int n_modules;

void
hip_kernels_load(const char *arch)
{
    hipDeviceProp_t properties;
    hip_device_use(arch);
    HIP_OK(hipGetDeviceProperties(&properties, 0));
    /* Features may follow the name. */
    size_t n = strcspn(properties.gcnArchName, ":");
    n_modules = 0;
    for (size_t i = 0; i < w4_gpu_n_images; i++) {
        const struct w4_gpu_image *image = &w4_gpu_images[i];
        if (strncmp(image->arch, properties.gcnArchName, n) == 0 &&
                image->arch[n] == '\0') {
            ck_assert_int_lt(n_modules, W4_GPU_MODULES_MAX);
            HIP_OK(hipModuleLoadData(&modules[n_modules], image->data));
            n_modules++;
        }
    }
    ck_assert_msg(n_modules != 0, "no code for %s", properties.gcnArchName);
}

void
hip_kernels_unload(void)
{
    for (int i = 0; i < n_modules; i++) {
        HIP_OK(hipModuleUnload(modules[i]));
    }
    n_modules = 0;
    hip_device_end();
}

static hipFunction_t
find(const char *name)
{
    hipFunction_t function = NULL;
    hipError_t error = hipErrorNotFound;
    for (int i = 0; i < n_modules && error == hipErrorNotFound; i++) {
        error = hipModuleGetFunction(&function, modules[i], name);
    }
    hip_expect_ok(error, name);
    return function;
}

static hipError_t
run(const char *name, unsigned x, unsigned y, unsigned n_threads, void *args)
{
    void *params[] = {args};
    hipError_t error = hipModuleLaunchKernel(
            find(name), x, y, 1, n_threads, 1, 1, 0, NULL, params, NULL);
    return error == hipSuccess ? hipDeviceSynchronize() : error;
}

hipError_t
hip_kernel_try(
        const char *name, unsigned n_blocks, unsigned n_threads, void *args)
{
    return run(name, n_blocks, 1, n_threads, args);
}

void
hip_kernel_run(
        const char *name, unsigned n_blocks, unsigned n_threads, void *args)
{
    hip_expect_ok(run(name, n_blocks, 1, n_threads, args), name);
}

void
hip_kernel_run_grid(const char *name, unsigned x, unsigned y,
        unsigned n_threads, void *args)
{
    hip_expect_ok(run(name, x, y, n_threads, args), name);
}

int32_t *
hip_words(size_t n)
{
    size_t n_bytes = (n + GUARD) * 4;
    void *pattern = oracle_alloc(n_bytes, 1);
    memset(pattern, GUARD_BYTE, n_bytes);
    int32_t *p = hip_copy_of(pattern, n_bytes);
    free(pattern);
    return p;
}

int32_t *
hip_words_back(int32_t *device, size_t n)
{
    int32_t *host = oracle_alloc(n + GUARD, 4);
    HIP_OK(hipMemcpy(host, device, (n + GUARD) * 4, hipMemcpyDeviceToHost));
    HIP_OK(hipFree(device));
    return host;
}

int
hip_words_intact(const int32_t *words, size_t n, size_t n_used)
{
    const unsigned char *bytes = (const unsigned char *)words;
    for (size_t i = n_used * 4; i < (n + GUARD) * 4; i++) {
        if (bytes[i] != GUARD_BYTE) {
            return 0;
        }
    }
    return 1;
}
