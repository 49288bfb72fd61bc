/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fake_runtime.h"

#include <stdlib.h>
#include <string.h>

thread_local int fake_device = 0;
thread_local hipError_t fake_last_error = hipSuccess;

runtime::runtime()
{
    const char *n = getenv("W4MOE_FAKE_HIP_DEVICES");
    const char *name = getenv("W4MOE_FAKE_HIP_ARCH");
    n_devices = n != nullptr ? atoi(n) : n_devices;
    arch = name != nullptr ? name : arch;
}

runtime &
fake_state()
{
    static runtime the_runtime;
    return the_runtime;
}

namespace
{

/* A call of a function of the runtime: counts it, holds the lock. */
class call
{
  public:
    explicit call(const char *name) : lock(fake_state().mutex)
    {
        function_record &f = fake_state().functions[name];
        f.n_calls++;
        if (f.fail_after > 0 && --f.fail_after == 0) {
            injected = f.error;
        } else if (fake_state().n_devices == 0) {
            injected = hipErrorNoDevice;
        }
    }

    /* Whether it goes no further. */
    bool fails() const
    {
        return injected != hipSuccess;
    }

    hipError_t result(hipError_t error)
    {
        error = fails() ? injected : error;
        fake_last_error = error != hipSuccess ? error : fake_last_error;
        return error;
    }

  private:
    std::lock_guard<std::recursive_mutex> lock;
    hipError_t injected = hipSuccess;
};

} // namespace

/* How deep this thread is in functions of the runtime. */
static thread_local int depth = 0;

fake_inside::fake_inside()
{
    depth++;
}

fake_inside::~fake_inside()
{
    depth--;
}

int
fake_hip_inside(void)
{
    return depth != 0;
}

hipError_t
fake_run_inside(const char *function, const std::function<hipError_t()> &body)
{
    call c(function);
    return c.result(c.fails() ? hipSuccess : body());
}

hipError_t
fake_error(hipError_t error, const std::string &why)
{
    fake_state().message = why;
    return error;
}

void
fake_drain(ihipStream_t *stream)
{
    work_list work;
    work.swap(stream->work);
    for (const auto &piece : work) {
        if (fake_state().work_error == hipSuccess) {
            piece();
        }
    }
}

void
fake_drain_device(int device, bool with_non_blocking)
{
    for (auto &stream : fake_state().streams.things) {
        if (stream->device == device &&
                (stream->blocking || with_non_blocking)) {
            fake_drain(stream.get());
        }
    }
}

bool
fake_spoils_capture()
{
    bool found = false;
    for (auto &stream : fake_state().streams.things) {
        if (stream->capture != nullptr) {
            stream->capture_is_invalid = true;
            found = true;
        }
    }
    return found;
}

hipError_t
fake_enqueue(hipStream_t stream, std::function<void()> piece)
{
    if (stream == nullptr) {
        if (fake_spoils_capture()) {
            return hipErrorStreamCaptureUnsupported;
        }
        fake_drain_device(fake_device, false);
        if (fake_state().work_error == hipSuccess) {
            piece();
        }
        return fake_state().work_error;
    }
    if (!fake_state().streams.has(stream)) {
        return hipErrorInvalidHandle;
    }
    work_list &work =
            stream->capture != nullptr ? stream->capture->work : stream->work;
    work.push_back(std::move(piece));
    return fake_state().work_error;
}

hipError_t
fake_synchronize(const std::function<void()> &wait)
{
    if (fake_spoils_capture()) {
        return hipErrorStreamCaptureUnsupported;
    }
    wait();
    return fake_state().work_error;
}

static bool
begins_with(const std::string &text, const char *prefix)
{
    return text.compare(0, strlen(prefix), prefix) == 0;
}

gpu_shim_layout
fake_layout_of(const std::string &arch)
{
    return begins_with(arch, "gfx11")   ? GPU_SHIM_GFX11
           : begins_with(arch, "gfx12") ? GPU_SHIM_GFX12
                                        : GPU_SHIM_NVIDIA;
}

/* ------------------------------------------------------------ for the tests */

typedef std::lock_guard<std::recursive_mutex> locked;

void
fake_hip_devices(int n_devices, const char *arch)
{
    locked lock(fake_state().mutex);
    fake_state().n_devices = n_devices;
    fake_state().arch = arch;
    fake_device = 0;
}

void
fake_hip_device_size(size_t n_bytes, int n_compute_units)
{
    locked lock(fake_state().mutex);
    fake_state().memory_size = n_bytes;
    fake_state().n_compute_units = n_compute_units;
}

unsigned
fake_hip_count(const char *function)
{
    locked lock(fake_state().mutex);
    return fake_state().functions[function].n_calls;
}

void
fake_hip_fail(const char *function, unsigned nth, hipError_t error)
{
    locked lock(fake_state().mutex);
    fake_state().functions[function].fail_after = nth;
    fake_state().functions[function].error = error;
}

const char *
fake_hip_message(void)
{
    locked lock(fake_state().mutex);
    return fake_state().message.c_str();
}

size_t
fake_hip_live(void)
{
    locked lock(fake_state().mutex);
    runtime &r = fake_state();
    return r.memory.size() + r.host_blocks.size() + r.modules.things.size() +
           r.streams.things.size() + r.graphs.things.size() +
           r.execs.things.size();
}

int
fake_hip_intact(void)
{
    locked lock(fake_state().mutex);
    return fake_state().memory.intact();
}

void
fake_hip_open(int opens)
{
    static std::vector<std::unique_ptr<fake_memory::opened>> all;
    locked lock(fake_state().mutex);
    if (opens) {
        all.emplace_back(new fake_memory::opened(fake_state().memory));
    } else {
        all.pop_back();
    }
}

int
fake_hip_covers(const void *address)
{
    locked lock(fake_state().mutex);
    return fake_state().memory.covers(address);
}

void
fake_hip_reset(void)
{
    locked lock(fake_state().mutex);
    fake_state().functions.clear();
    fake_state().work_error = hipSuccess;
    fake_state().message.clear();
    fake_last_error = hipSuccess;
}
