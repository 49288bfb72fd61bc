/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The functions of HIP that the host side uses, over the CUDA driver: for
 * --with-hip-platform=nvidia.
 *
 * HIP has a current device for each thread, the driver a current context: here
 * it is the device's primary one, which other users of the device share.
 */
#ifndef W4_HIP_CUDA_AS_HIP_H
#define W4_HIP_CUDA_AS_HIP_H

#include <cuda.h>
#include <stddef.h>
#include <stdio.h>

typedef CUresult hipError_t;
typedef CUmodule hipModule_t;
typedef CUfunction hipFunction_t;
typedef CUstream hipStream_t;
typedef CUgraph hipGraph_t;
typedef CUgraphExec hipGraphExec_t;

#define hipSuccess CUDA_SUCCESS
#define hipErrorNotFound CUDA_ERROR_NOT_FOUND
#define hipErrorOutOfMemory CUDA_ERROR_OUT_OF_MEMORY

typedef enum hipMemcpyKind {
    hipMemcpyHostToDevice,
    hipMemcpyDeviceToHost,
    hipMemcpyDeviceToDevice,
    /** As the addresses say. */
    hipMemcpyDefault
} hipMemcpyKind;

typedef struct hipDeviceProp_t {
    char name[256];
    /** "sm_90" */
    char gcnArchName[256];
    int multiProcessorCount;
    int warpSize;
} hipDeviceProp_t;

static inline const char *
hipGetErrorName(hipError_t error)
{
    const char *name = NULL;
    return cuGetErrorName(error, &name) == CUDA_SUCCESS ? name : "unknown";
}

static inline const char *
hipGetErrorString(hipError_t error)
{
    const char *text = NULL;
    return cuGetErrorString(error, &text) == CUDA_SUCCESS ? text : "unknown";
}

/** The driver keeps no last error. */
static inline hipError_t
hipGetLastError(void)
{
    return hipSuccess;
}

static inline hipError_t
hipGetDeviceCount(int *count)
{
    hipError_t error = cuInit(0);
    return error == hipSuccess ? cuDeviceGetCount(count) : error;
}

/** -1 if the thread has no context yet. */
static inline hipError_t
hipGetDevice(int *device)
{
    CUcontext context = NULL;
    hipError_t error = cuCtxGetCurrent(&context);
    if (error == hipSuccess && context == NULL) {
        *device = -1;
        return hipSuccess;
    }
    return error == hipSuccess ? cuCtxGetDevice(device) : error;
}

static inline hipError_t
hipSetDevice(int device)
{
    if (device < 0) {
        /* Back to none: the one that is there does no harm. */
        return hipSuccess;
    }
    CUcontext context = NULL;
    hipError_t error = cuDevicePrimaryCtxRetain(&context, device);
    return error == hipSuccess ? cuCtxSetCurrent(context) : error;
}

static inline hipError_t
hipGetDeviceProperties(hipDeviceProp_t *properties, int device)
{
    int major = 0;
    int minor = 0;
    hipError_t error =
            cuDeviceGetName(properties->name, sizeof(properties->name), device);
    if (error == hipSuccess) {
        error = cuDeviceGetAttribute(&properties->multiProcessorCount,
                CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    }
    if (error == hipSuccess) {
        error = cuDeviceGetAttribute(
                &properties->warpSize, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device);
    }
    if (error == hipSuccess) {
        error = cuDeviceGetAttribute(
                &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    }
    if (error == hipSuccess) {
        error = cuDeviceGetAttribute(
                &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    }
    snprintf(properties->gcnArchName, sizeof(properties->gcnArchName),
            "sm_%d%d", major, minor);
    return error;
}

static inline hipError_t
hipDeviceSynchronize(void)
{
    return cuCtxSynchronize();
}

static inline hipError_t
hipMalloc(void **p, size_t size)
{
    CUdeviceptr address = 0;
    hipError_t error = cuMemAlloc(&address, size);
    if (error == hipSuccess) {
        *p = (void *)address;
    }
    return error;
}

static inline hipError_t
hipFree(void *p)
{
    return cuMemFree((CUdeviceptr)p);
}

#define hipHostMallocDefault 0

static inline hipError_t
hipHostMalloc(void **p, size_t size, unsigned flags)
{
    return cuMemHostAlloc(p, size, flags);
}

static inline hipError_t
hipHostFree(void *p)
{
    return cuMemFreeHost(p);
}

static inline hipError_t
hipMemcpy(void *to, const void *from, size_t size, hipMemcpyKind kind)
{
    switch (kind) {
    case hipMemcpyHostToDevice:
        return cuMemcpyHtoD((CUdeviceptr)to, from, size);
    case hipMemcpyDeviceToHost:
        return cuMemcpyDtoH(to, (CUdeviceptr)from, size);
    case hipMemcpyDeviceToDevice:
        return cuMemcpyDtoD((CUdeviceptr)to, (CUdeviceptr)from, size);
    case hipMemcpyDefault:
        return cuMemcpy((CUdeviceptr)to, (CUdeviceptr)from, size);
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static inline hipError_t
hipMemcpyAsync(void *to, const void *from, size_t size, hipMemcpyKind kind,
        hipStream_t stream)
{
    switch (kind) {
    case hipMemcpyHostToDevice:
        return cuMemcpyHtoDAsync((CUdeviceptr)to, from, size, stream);
    case hipMemcpyDeviceToHost:
        return cuMemcpyDtoHAsync(to, (CUdeviceptr)from, size, stream);
    case hipMemcpyDeviceToDevice:
        return cuMemcpyDtoDAsync(
                (CUdeviceptr)to, (CUdeviceptr)from, size, stream);
    case hipMemcpyDefault:
        return cuMemcpyAsync((CUdeviceptr)to, (CUdeviceptr)from, size, stream);
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static inline hipError_t
hipModuleLoadData(hipModule_t *module, const void *image)
{
    return cuModuleLoadData(module, image);
}

static inline hipError_t
hipModuleUnload(hipModule_t module)
{
    return cuModuleUnload(module);
}

static inline hipError_t
hipModuleGetFunction(
        hipFunction_t *function, hipModule_t module, const char *name)
{
    return cuModuleGetFunction(function, module, name);
}

static inline hipError_t
hipModuleLaunchKernel(hipFunction_t function, unsigned x, unsigned y,
        unsigned z, unsigned threads_x, unsigned threads_y, unsigned threads_z,
        unsigned shared, hipStream_t stream, void **arguments, void **extra)
{
    return cuLaunchKernel(function, x, y, z, threads_x, threads_y, threads_z,
            shared, stream, arguments, extra);
}

static inline hipError_t
hipStreamCreate(hipStream_t *stream)
{
    return cuStreamCreate(stream, CU_STREAM_NON_BLOCKING);
}

#define hipStreamNonBlocking CU_STREAM_NON_BLOCKING

static inline hipError_t
hipStreamCreateWithFlags(hipStream_t *stream, unsigned flags)
{
    return cuStreamCreate(stream, flags);
}

static inline hipError_t
hipStreamDestroy(hipStream_t stream)
{
    return cuStreamDestroy(stream);
}

static inline hipError_t
hipStreamSynchronize(hipStream_t stream)
{
    return cuStreamSynchronize(stream);
}

#define hipStreamCaptureModeGlobal CU_STREAM_CAPTURE_MODE_GLOBAL

static inline hipError_t
hipStreamBeginCapture(hipStream_t stream, CUstreamCaptureMode mode)
{
    return cuStreamBeginCapture(stream, mode);
}

static inline hipError_t
hipStreamEndCapture(hipStream_t stream, hipGraph_t *graph)
{
    return cuStreamEndCapture(stream, graph);
}

static inline hipError_t
hipGraphInstantiate(hipGraphExec_t *exec, hipGraph_t graph, void *error_node,
        char *log, size_t log_size)
{
    (void)error_node;
    (void)log;
    (void)log_size;
    return cuGraphInstantiate(exec, graph, 0);
}

static inline hipError_t
hipGraphLaunch(hipGraphExec_t exec, hipStream_t stream)
{
    return cuGraphLaunch(exec, stream);
}

static inline hipError_t
hipGraphExecDestroy(hipGraphExec_t exec)
{
    return cuGraphExecDestroy(exec);
}

static inline hipError_t
hipGraphDestroy(hipGraph_t graph)
{
    return cuGraphDestroy(graph);
}

#endif
