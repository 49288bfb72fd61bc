/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Memory and copies. */
#include "fake_runtime.h"

#include <algorithm>
#include <stdlib.h>
#include <string.h>

namespace
{

hipError_t
check_side(const void *address, size_t size, bool device, const char *side)
{
    if (fake_state().memory.covers(address) != device) {
        return fake_error(hipErrorInvalidValue,
                std::string("copy: ") + side + " is " + (device ? "not " : "") +
                        "device memory");
    }
    if (device && !fake_state().memory.contains(address, size)) {
        return fake_error(hipErrorInvalidValue,
                std::string("copy: ") + side + " is not within one allocation");
    }
    return hipSuccess;
}

hipError_t
check_copy(const void *to, const void *from, size_t size, hipMemcpyKind kind)
{
    bool to_device =
            kind == hipMemcpyHostToDevice || kind == hipMemcpyDeviceToDevice ||
            (kind == hipMemcpyDefault && fake_state().memory.covers(to));
    bool from_device =
            kind == hipMemcpyDeviceToHost || kind == hipMemcpyDeviceToDevice ||
            (kind == hipMemcpyDefault && fake_state().memory.covers(from));
    hipError_t error = check_side(to, size, to_device, "the destination");
    return error != hipSuccess
                   ? error
                   : check_side(from, size, from_device, "the source");
}

hipError_t
copy(void *to, const void *from, size_t size, hipMemcpyKind kind,
        hipStream_t stream)
{
    if (size == 0) {
        return hipSuccess;
    }
    hipError_t error = check_copy(to, from, size, kind);
    if (error != hipSuccess) {
        return error;
    }
    return fake_enqueue(stream, [=] {
        fake_memory::opened open(fake_state().memory);
        memmove(to, from, size);
    });
}

hipError_t
set(void *to, int value, size_t size, hipStream_t stream)
{
    if (size == 0) {
        return hipSuccess;
    }
    hipError_t error = check_side(to, size, true, "the destination");
    if (error != hipSuccess) {
        return error;
    }
    return fake_enqueue(stream, [=] {
        fake_memory::opened open(fake_state().memory);
        memset(to, value, size);
    });
}

} // namespace

hipError_t
hipMalloc(void **pointer, size_t size)
{
    return fake_run(__func__, [&] {
        runtime &r = fake_state();
        if (fake_spoils_capture()) {
            return hipErrorStreamCaptureUnsupported;
        }
        size_t used = r.memory.size_on(fake_device);
        void *address = nullptr;
        if (size > 0) {
            address = size <= r.memory_size && used <= r.memory_size - size
                              ? r.memory.allocate(size, fake_device)
                              : nullptr;
            if (address == nullptr) {
                return hipErrorOutOfMemory;
            }
        }
        *pointer = address;
        return hipSuccess;
    });
}

hipError_t
hipFree(void *pointer)
{
    return fake_run(__func__, [&] {
        if (pointer == nullptr) {
            return hipSuccess;
        }
        hipError_t error =
                fake_synchronize([] { fake_drain_device(fake_device, true); });
        if (error == hipErrorStreamCaptureUnsupported) {
            return error;
        }
        bool intact = fake_state().memory.intact(pointer);
        if (!fake_state().memory.release(pointer)) {
            return fake_error(hipErrorInvalidValue, "hipFree: no allocation");
        }
        return intact ? error
                      : fake_error(hipErrorIllegalAddress,
                                "hipFree: written beside the allocation");
    });
}

hipError_t
hipHostMalloc(void **pointer, size_t size, unsigned int flags)
{
    (void)flags;
    return fake_run(__func__, [&] {
        if (fake_spoils_capture()) {
            return hipErrorStreamCaptureUnsupported;
        }
        void *address = nullptr;
        if (posix_memalign(&address, 4096, size) != 0) {
            return hipErrorOutOfMemory;
        }
        memset(address, 0xFF, size);
        fake_state().host_blocks.push_back(address);
        *pointer = address;
        return hipSuccess;
    });
}

hipError_t
hipHostFree(void *pointer)
{
    return fake_run(__func__, [&] {
        if (pointer == nullptr) {
            return hipSuccess;
        }
        hipError_t error =
                fake_synchronize([] { fake_drain_device(fake_device, true); });
        std::vector<void *> &blocks = fake_state().host_blocks;
        auto place = std::find(blocks.begin(), blocks.end(), pointer);
        if (place == blocks.end()) {
            return fake_error(
                    hipErrorInvalidValue, "hipHostFree: no allocation");
        }
        if (error != hipErrorStreamCaptureUnsupported) {
            blocks.erase(place);
            free(pointer);
        }
        return error;
    });
}

hipError_t
hipMemGetInfo(size_t *available, size_t *total)
{
    return fake_run(__func__, [&] {
        runtime &r = fake_state();
        *total = r.memory_size;
        *available = r.memory_size - r.memory.size_on(fake_device);
        return hipSuccess;
    });
}

hipError_t
hipMemcpy(void *to, const void *from, size_t size, hipMemcpyKind kind)
{
    return fake_run(
            __func__, [&] { return copy(to, from, size, kind, nullptr); });
}

hipError_t
hipMemcpyAsync(void *to, const void *from, size_t size, hipMemcpyKind kind,
        hipStream_t stream)
{
    return fake_run(
            __func__, [&] { return copy(to, from, size, kind, stream); });
}

hipError_t
hipMemset(void *to, int value, size_t size)
{
    return fake_run(__func__, [&] { return set(to, value, size, nullptr); });
}

hipError_t
hipMemsetAsync(void *to, int value, size_t size, hipStream_t stream)
{
    return fake_run(__func__, [&] { return set(to, value, size, stream); });
}
