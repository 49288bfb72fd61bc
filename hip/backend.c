/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The module's entry: choice of the device, its kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"

/* Without the features that may follow the name: "gfx90a:sramecc+". */
static void
copy_arch(char *to, size_t size, const char *name)
{
    size_t n = strcspn(name, ":");
    snprintf(to, size, "%.*s", (int)n, name);
}

static w4moe_status
find_device(struct w4_err *err, struct w4_gpu *gpu, unsigned wanted)
{
    int n = 0;
    hipError_t error = hipGetDeviceCount(&n);
    if (error != hipSuccess || n == 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend hip: no device (hipGetDeviceCount: %s, %d devices)",
                error == hipSuccess ? "success" : hipGetErrorName(error), n);
    }
    if (wanted >= (unsigned)n) {
        return w4_fail(err, W4MOE_INVALID,
                "backend hip has no device %u, only %d device%s", wanted, n,
                n == 1 ? "" : "s");
    }
    hipDeviceProp_t properties;
    w4moe_status status =
            w4_gpu_check(err, hipGetDeviceProperties(&properties, (int)wanted),
                    "hipGetDeviceProperties");
    if (status != W4MOE_OK) {
        return status;
    }
    gpu->device = (int)wanted;
    gpu->n_units = properties.multiProcessorCount;
    copy_arch(gpu->arch, sizeof(gpu->arch), properties.gcnArchName);
    snprintf(gpu->name, sizeof(gpu->name), "%s", properties.name);
    if (properties.warpSize != 32) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend hip: device %u (%s, %s) has waves of %d lanes, the "
                "kernels are for 32",
                wanted, gpu->name, gpu->arch, properties.warpSize);
    }
    return W4MOE_OK;
}

/* Writes the architectures of this build. */
static void
list_archs(char *text, size_t size)
{
    const char *last = "";
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < w4_gpu_n_images; i++) {
        const char *arch = w4_gpu_images[i].arch;
        if (strcmp(arch, last) != 0 && n < size) {
            n += (size_t)snprintf(
                    text + n, size - n, "%s%s", n != 0 ? " " : "", arch);
            last = arch;
        }
    }
}

static w4moe_status
load_modules(struct w4_err *err, struct w4_gpu *gpu)
{
    for (size_t i = 0; i < w4_gpu_n_images; i++) {
        const struct w4_gpu_image *image = &w4_gpu_images[i];
        if (strcmp(image->arch, gpu->arch) != 0 ||
                gpu->n_modules == W4_GPU_MODULES_MAX) {
            continue;
        }
        w4moe_status status = w4_gpu_check(err,
                hipModuleLoadData(&gpu->modules[gpu->n_modules], image->data),
                "hipModuleLoadData");
        if (status != W4MOE_OK) {
            return status;
        }
        gpu->n_modules++;
    }
    if (gpu->n_modules == 0) {
        char archs[256];
        list_archs(archs, sizeof(archs));
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "backend hip: device %d (%s) is %s, for which this build has "
                "no kernels; it has: %s",
                gpu->device, gpu->name, gpu->arch, archs);
    }
    return W4MOE_OK;
}

/* Sets *function to NULL if no module has it. */
static w4moe_status
find_function(struct w4_err *err, const struct w4_gpu *gpu,
        hipFunction_t *function, const char *name)
{
    hipError_t error = hipErrorNotFound;
    for (int i = 0; i < gpu->n_modules && error == hipErrorNotFound; i++) {
        error = hipModuleGetFunction(function, gpu->modules[i], name);
    }
    if (error == hipErrorNotFound) {
        (void)hipGetLastError();
        *function = NULL;
        return W4MOE_OK;
    }
    return w4_gpu_check(err, error, "hipModuleGetFunction");
}

static w4moe_status
find_needed(struct w4_err *err, const struct w4_gpu *gpu,
        hipFunction_t *function, const char *name)
{
    w4moe_status status = find_function(err, gpu, function, name);
    if (status == W4MOE_OK && *function == NULL) {
        status = w4_fail(err, W4MOE_DEVICE,
                "backend hip: the code for %s has no kernel %s", gpu->arch,
                name);
    }
    return status;
}

static w4moe_status
find_kernels(struct w4_err *err, struct w4_gpu *gpu)
{
    static const char *const families[W4_GPU_FAMILIES] = {"dot1", "dot2",
            "dot4", "dot8", "dot1_gather", "dot4_gather", "dot1_any", "token",
            "token_gather", "token_any", "mma16", "mma32", "mma64", "split1",
            "split8", "split_token"};
    static const char *const types[2] = {"bf16", "f16"};
    static const char *const codes[2] = {"int4", "e2m1"};
    w4moe_status status = W4MOE_OK;
    for (int i = 0; i < 4 * W4_GPU_FAMILIES && status == W4MOE_OK; i++) {
        int family = i / 4;
        char name[64];
        snprintf(name, sizeof(name), "w4_%s_%s_%s", families[family],
                types[i / 2 % 2], codes[i % 2]);
        hipFunction_t *function = &gpu->gemm[i / 2 % 2][i % 2][family];
        status = w4_gpu_families[family].everywhere
                         ? find_needed(err, gpu, function, name)
                         : find_function(err, gpu, function, name);
    }
    const struct {
        hipFunction_t *function;
        const char *name;
    } others[] = {{&gpu->logits, "w4_logits"}, {&gpu->route, "w4_route"},
            {&gpu->count, "w4_count"}, {&gpu->align, "w4_align"},
            {&gpu->spread, "w4_spread"}, {&gpu->reduce, "w4_reduce"},
            {&gpu->combine, "w4_combine"}, {&gpu->activate, "w4_activate"},
            {&gpu->clear, "w4_clear"}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (status == W4MOE_OK) {
            status = find_needed(err, gpu, others[i].function, others[i].name);
        }
    }
    return status;
}

static void
gpu_close(void *state)
{
    struct w4_gpu *gpu = state;
    for (int i = 0; i < gpu->n_modules; i++) {
        (void)hipModuleUnload(gpu->modules[i]);
    }
    free(gpu);
}

static w4moe_status
gpu_open(const w4moe_ctx *ctx, void **state_p, const w4moe_ctx_options *options)
{
    struct w4_err *err = w4_ctx_err(ctx);
    struct w4_gpu *gpu = calloc(1, sizeof(*gpu));
    if (gpu == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for backend hip");
    }
    w4moe_status status = find_device(err, gpu, options->device);
    int before = 0;
    if (status == W4MOE_OK) {
        status = w4_gpu_enter(err, gpu, &before);
    }
    if (status != W4MOE_OK) {
        free(gpu);
        return status;
    }
    status = load_modules(err, gpu);
    if (status == W4MOE_OK) {
        status = find_kernels(err, gpu);
    }
    w4_gpu_leave(gpu, before);
    if (status != W4MOE_OK) {
        gpu_close(gpu);
        return status;
    }
    *state_p = gpu;
    return W4MOE_OK;
}

static int
gpu_describe(const w4moe_ctx *ctx, char *text, size_t size)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    return snprintf(text, size,
            "backend hip: in use, device %d: %s (%s, %d compute units), "
            "kernels %s\n",
            gpu->device, gpu->name, gpu->arch, gpu->n_units,
            gpu->gemm[0][0][W4_GPU_SPLIT8] != NULL  ? "dot, split, mma"
            : gpu->gemm[0][0][W4_GPU_MMA64] != NULL ? "dot, mma"
                                                    : "dot");
}

static const struct w4_backend_ops ops = {
        .name = "hip",
        .open = gpu_open,
        .close = gpu_close,
        .describe = gpu_describe,
        .layer_open = w4_gpu_layer_open,
        .layer_close = w4_gpu_layer_close,
        .workspace_size = w4_gpu_workspace_size,
        .workspace_open = w4_gpu_workspace_open,
        .workspace_close = w4_gpu_workspace_close,
        .forward = w4_gpu_forward,
        .gemm_workspace = w4_gpu_gemm_workspace,
        .gemm = w4_gpu_gemm,
        .activate = w4_gpu_activate,
        .choose = w4_gpu_choose_experts,
        .combine = w4_gpu_combine,
        .memory_alloc = w4_gpu_memory_alloc,
        .memory_free = w4_gpu_memory_free,
        .memory_copy = w4_gpu_memory_copy,
};

extern W4MOE_API const struct w4_backend_module *w4moe_backend_module(void);

const struct w4_backend_module *
w4moe_backend_module(void)
{
    static const struct w4_backend_module module = {
            .abi = W4_BACKEND_ABI,
            .name = "hip",
            .ops = &ops,
    };
    return &module;
}
