/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Devices, errors, streams and graphs. */
#include "fake_runtime.h"

#include <stdio.h>

namespace
{

struct error_name {
    hipError_t error;
    const char *name;
    const char *text;
};

const error_name error_names[] = {
        {hipSuccess, "hipSuccess", "no error"},
        {hipErrorInvalidValue, "hipErrorInvalidValue", "invalid argument"},
        {hipErrorOutOfMemory, "hipErrorOutOfMemory", "out of memory"},
        {hipErrorNotInitialized, "hipErrorNotInitialized",
                "initialization error"},
        {hipErrorInvalidConfiguration, "hipErrorInvalidConfiguration",
                "invalid configuration argument"},
        {hipErrorNoDevice, "hipErrorNoDevice", "no device is detected"},
        {hipErrorInvalidDevice, "hipErrorInvalidDevice",
                "invalid device ordinal"},
        {hipErrorInvalidImage, "hipErrorInvalidImage",
                "device kernel image is invalid"},
        {hipErrorNoBinaryForGpu, "hipErrorNoBinaryForGpu",
                "no kernel image is available for the device"},
        {hipErrorInvalidHandle, "hipErrorInvalidHandle",
                "invalid resource handle"},
        {hipErrorNotFound, "hipErrorNotFound", "named symbol not found"},
        {hipErrorNotReady, "hipErrorNotReady", "device not ready"},
        {hipErrorIllegalAddress, "hipErrorIllegalAddress",
                "an illegal memory access was encountered"},
        {hipErrorLaunchFailure, "hipErrorLaunchFailure",
                "unspecified launch failure"},
        {hipErrorNotSupported, "hipErrorNotSupported",
                "operation not supported"},
        {hipErrorStreamCaptureUnsupported, "hipErrorStreamCaptureUnsupported",
                "operation not permitted when stream is capturing"},
        {hipErrorStreamCaptureInvalidated, "hipErrorStreamCaptureInvalidated",
                "operation failed due to a previous error during capture"},
        {hipErrorUnknown, "hipErrorUnknown", "unknown error"},
};

const error_name &
name_of(hipError_t error)
{
    for (const error_name &e : error_names) {
        if (e.error == error) {
            return e;
        }
    }
    return error_names[sizeof(error_names) / sizeof(error_names[0]) - 1];
}

} // namespace

const char *
hipGetErrorName(hipError_t error)
{
    return name_of(error).name;
}

const char *
hipGetErrorString(hipError_t error)
{
    return name_of(error).text;
}

hipError_t
hipGetLastError(void)
{
    hipError_t error = fake_last_error;
    fake_last_error = hipSuccess;
    return error;
}

hipError_t
hipGetDeviceCount(int *count)
{
    *count = 0;
    return fake_run(__func__, [&] {
        *count = fake_state().n_devices;
        return hipSuccess;
    });
}

hipError_t
hipSetDevice(int device)
{
    return fake_run(__func__, [&] {
        if (device < 0 || device >= fake_state().n_devices) {
            return hipErrorInvalidDevice;
        }
        fake_device = device;
        return hipSuccess;
    });
}

hipError_t
hipGetDevice(int *device)
{
    return fake_run(__func__, [&] {
        *device = fake_device;
        return hipSuccess;
    });
}

hipError_t
hipGetDeviceProperties(hipDeviceProp_t *properties, int device)
{
    return fake_run(__func__, [&] {
        const runtime &r = fake_state();
        if (device < 0 || device >= r.n_devices) {
            return hipErrorInvalidDevice;
        }
        bool nvidia = fake_layout_of(r.arch) == GPU_SHIM_NVIDIA;
        hipDeviceProp_t p = {};
        snprintf(p.name, sizeof(p.name), "fake %s", r.arch.c_str());
        snprintf(p.gcnArchName, sizeof(p.gcnArchName), "%s", r.arch.c_str());
        p.totalGlobalMem = r.memory_size;
        p.sharedMemPerBlock = nvidia ? 48 * 1024 : 64 * 1024;
        p.warpSize = 32;
        p.maxThreadsPerBlock = GPU_SHIM_MAX_THREADS;
        p.major = fake_layout_of(r.arch) == GPU_SHIM_NVIDIA
                          ? 8
                          : (int)fake_layout_of(r.arch);
        p.multiProcessorCount = r.n_compute_units;
        *properties = p;
        return hipSuccess;
    });
}

static hipStream_t
new_stream(unsigned flags)
{
    auto s = std::make_unique<ihipStream_t>();
    s->device = fake_device;
    s->blocking = (flags & hipStreamNonBlocking) == 0;
    s->capture_is_invalid = false;
    return fake_state().streams.add(std::move(s));
}

hipError_t
hipStreamCreate(hipStream_t *stream)
{
    return fake_run(__func__, [&] {
        *stream = new_stream(hipStreamDefault);
        return hipSuccess;
    });
}

hipError_t
hipStreamCreateWithFlags(hipStream_t *stream, unsigned int flags)
{
    return fake_run(__func__, [&] {
        *stream = new_stream(flags);
        return hipSuccess;
    });
}

hipError_t
hipStreamDestroy(hipStream_t stream)
{
    return fake_run(__func__, [&] {
        if (!fake_state().streams.has(stream)) {
            return hipErrorInvalidHandle;
        }
        fake_drain(stream);
        fake_state().streams.remove(stream);
        return hipSuccess;
    });
}

hipError_t
hipStreamSynchronize(hipStream_t stream)
{
    return fake_run(__func__, [&] {
        if (stream != nullptr && !fake_state().streams.has(stream)) {
            return hipErrorInvalidHandle;
        }
        return fake_synchronize([&] {
            if (stream == nullptr) {
                fake_drain_device(fake_device, false);
            } else {
                fake_drain(stream);
            }
        });
    });
}

hipError_t
hipDeviceSynchronize(void)
{
    return fake_run(__func__, [] {
        return fake_synchronize([] { fake_drain_device(fake_device, true); });
    });
}

hipError_t
hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode)
{
    (void)mode;
    return fake_run(__func__, [&] {
        if (!fake_state().streams.has(stream) || stream->capture != nullptr) {
            return hipErrorInvalidHandle;
        }
        stream->capture = std::make_unique<ihipGraph>();
        stream->capture->device = stream->device;
        stream->capture_is_invalid = false;
        return hipSuccess;
    });
}

hipError_t
hipStreamEndCapture(hipStream_t stream, hipGraph_t *graph)
{
    return fake_run(__func__, [&] {
        if (!fake_state().streams.has(stream) || stream->capture == nullptr) {
            return hipErrorInvalidHandle;
        }
        std::unique_ptr<ihipGraph> captured = std::move(stream->capture);
        if (stream->capture_is_invalid) {
            return hipErrorStreamCaptureInvalidated;
        }
        *graph = fake_state().graphs.add(std::move(captured));
        return hipSuccess;
    });
}

hipError_t
hipGraphInstantiate(hipGraphExec_t *exec, hipGraph_t graph,
        hipGraphNode_t *error_node, char *log, size_t log_size)
{
    (void)error_node;
    (void)log;
    (void)log_size;
    return fake_run(__func__, [&] {
        if (!fake_state().graphs.has(graph)) {
            return hipErrorInvalidHandle;
        }
        auto e = std::make_unique<hipGraphExec>();
        e->work = graph->work;
        e->device = graph->device;
        *exec = fake_state().execs.add(std::move(e));
        return hipSuccess;
    });
}

hipError_t
hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream)
{
    return fake_run(__func__, [&] {
        if (!fake_state().execs.has(exec)) {
            return hipErrorInvalidHandle;
        }
        hipError_t error = hipSuccess;
        for (const auto &piece : exec->work) {
            error = error == hipSuccess ? fake_enqueue(stream, piece) : error;
        }
        return error;
    });
}

hipError_t
hipGraphExecDestroy(hipGraphExec_t exec)
{
    return fake_run(__func__, [&] {
        return fake_state().execs.remove(exec) ? hipSuccess
                                               : hipErrorInvalidHandle;
    });
}

hipError_t
hipGraphDestroy(hipGraph_t graph)
{
    return fake_run(__func__, [&] {
        return fake_state().graphs.remove(graph) ? hipSuccess
                                                 : hipErrorInvalidHandle;
    });
}
