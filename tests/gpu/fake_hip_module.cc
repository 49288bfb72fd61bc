/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Modules and launches. */
#include "fake_runtime.h"

#include <string.h>

namespace
{

hipError_t
load_module(hipModule_t *module, const void *image)
{
    const char *text = (const char *)image;
    size_t prefix = strlen(FAKE_HIP_IMAGE);
    if (strncmp(text, FAKE_HIP_IMAGE, prefix) != 0) {
        return hipErrorInvalidImage;
    }
    std::string arch(text + prefix, strcspn(text + prefix, "\n"));
    /* Without the features that may follow: "gfx90a:sramecc+". */
    const std::string &device = fake_state().arch;
    if (arch != device.substr(0, device.find(':'))) {
        return hipErrorNoBinaryForGpu;
    }
    auto m = std::make_unique<ihipModule_t>();
    m->device = fake_device;
    m->layout = fake_layout_of(arch);
    *module = fake_state().modules.add(std::move(m));
    return hipSuccess;
}

bool
is_function(hipFunction_t function)
{
    for (auto &module : fake_state().modules.things) {
        for (auto &f : module->functions) {
            if (f.get() == function) {
                return true;
            }
        }
    }
    return false;
}

/* The one argument, a struct, in either of the two ways; NULL if it is not
 * there. */
const void *
argument_of(const gpu_shim_kernel *kernel, void **params, void **extra)
{
    if (extra == nullptr) {
        return params != nullptr ? params[0] : nullptr;
    }
    const void *buffer = nullptr;
    size_t size = 0;
    for (; *extra != HIP_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == HIP_LAUNCH_PARAM_BUFFER_POINTER) {
            buffer = extra[1];
        } else if (*extra == HIP_LAUNCH_PARAM_BUFFER_SIZE) {
            size = *(const size_t *)extra[1];
        } else {
            return nullptr;
        }
    }
    return params == nullptr && size == kernel->args_size ? buffer : nullptr;
}

hipError_t
launch(hipFunction_t function, unsigned grid_x, unsigned grid_y,
        unsigned n_threads, hipStream_t stream, const void *argument)
{
    const gpu_shim_kernel *kernel = function->kernel;
    const char *bytes = (const char *)argument;
    int device = stream != nullptr && fake_state().streams.has(stream)
                         ? stream->device
                         : fake_device;
    if (device != function->device) {
        return fake_error(hipErrorInvalidHandle,
                std::string(kernel->name) + ": of another device");
    }
    std::vector<char> args(bytes, bytes + kernel->args_size);
    return fake_enqueue(stream, [=] {
        fake_memory::opened open(fake_state().memory);
        if (gpu_shim_launch(kernel, grid_x, grid_y, n_threads, args.data(),
                    args.size()) != 0) {
            fake_state().work_error = hipErrorLaunchFailure;
            fake_state().message = gpu_shim_message();
        }
    });
}

} // namespace

hipError_t
hipModuleLoadData(hipModule_t *module, const void *image)
{
    return fake_run(__func__, [&] { return load_module(module, image); });
}

hipError_t
hipModuleUnload(hipModule_t module)
{
    return fake_run(__func__, [&] {
        if (!fake_state().modules.has(module)) {
            return hipErrorInvalidHandle;
        }
        fake_drain_device(module->device, true);
        fake_state().modules.remove(module);
        return hipSuccess;
    });
}

hipError_t
hipModuleGetFunction(
        hipFunction_t *function, hipModule_t module, const char *name)
{
    return fake_run(__func__, [&] {
        if (!fake_state().modules.has(module)) {
            return hipErrorInvalidHandle;
        }
        const gpu_shim_kernel *kernel = gpu_shim_find(module->layout, name);
        if (kernel == nullptr) {
            /* No mistake of the caller's, who may ask. */
            return hipErrorNotFound;
        }
        auto f = std::make_unique<ihipModuleSymbol_t>();
        f->kernel = kernel;
        f->device = module->device;
        *function = f.get();
        module->functions.push_back(std::move(f));
        return hipSuccess;
    });
}

hipError_t
hipModuleLaunchKernel(hipFunction_t function, unsigned int grid_x,
        unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
        unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
        hipStream_t stream, void **params, void **extra)
{
    return fake_run(__func__, [&] {
        if (!is_function(function)) {
            return hipErrorInvalidHandle;
        }
        const gpu_shim_kernel *kernel = function->kernel;
        const void *argument = argument_of(kernel, params, extra);
        if (argument == nullptr || shared_bytes != 0) {
            return fake_error(hipErrorInvalidValue,
                    std::string(kernel->name) +
                            ": arguments are not one struct of its size");
        }
        if (grid_x == 0 || grid_y == 0 || grid_y > 65535 || grid_z != 1 ||
                block_x != kernel->n_threads || block_y != 1 || block_z != 1) {
            return fake_error(hipErrorInvalidConfiguration,
                    std::string(kernel->name) + ": a grid of " +
                            std::to_string(grid_x) + " x " +
                            std::to_string(grid_y) + " x " +
                            std::to_string(grid_z) + " blocks of " +
                            std::to_string(block_x));
        }
        return launch(function, grid_x, grid_y, block_x, stream, argument);
    });
}
