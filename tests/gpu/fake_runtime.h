/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The state of the fake HIP runtime, and what its functions have in common.
 */
#ifndef FAKE_RUNTIME_H
#define FAKE_RUNTIME_H

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stddef.h>
#include <string>
#include <utility>
#include <vector>

#include "fake_hip.h"
#include "fake_memory.h"
#include "shim.h"

typedef std::vector<std::function<void()>> work_list;

struct ihipModuleSymbol_t {
    const gpu_shim_kernel *kernel;
    int device;
};

struct ihipModule_t {
    int device;
    gpu_shim_layout layout;
    std::vector<std::unique_ptr<ihipModuleSymbol_t>> functions;
};

struct ihipGraph {
    work_list work;
    int device;
};

struct hipGraphExec {
    work_list work;
    int device;
};

struct ihipStream_t {
    int device;
    bool blocking;
    work_list work;
    /* Not null while the stream is being captured. */
    std::unique_ptr<ihipGraph> capture;
    bool capture_is_invalid;
};

/* Things that handles stand for. */
template <class T> class owned
{
  public:
    T *add(std::unique_ptr<T> thing)
    {
        things.push_back(std::move(thing));
        return things.back().get();
    }

    bool has(const T *handle) const
    {
        return find(handle) != things.size();
    }

    bool remove(const T *handle)
    {
        size_t i = find(handle);
        if (i == things.size()) {
            return false;
        }
        things.erase(things.begin() + (ptrdiff_t)i);
        return true;
    }

    std::vector<std::unique_ptr<T>> things;

  private:
    size_t find(const T *handle) const
    {
        size_t i = 0;
        while (i < things.size() && things[i].get() != handle) {
            i++;
        }
        return i;
    }
};

struct function_record {
    unsigned n_calls = 0;
    /* Calls until the one that fails; 0: none will. */
    unsigned fail_after = 0;
    hipError_t error = hipSuccess;
};

struct runtime {
    std::recursive_mutex mutex;
    int n_devices = 1;
    std::string arch = "gfx1100";
    size_t memory_size = (size_t)1 << 30;
    int n_compute_units = 48;

    fake_memory memory;
    std::vector<void *> host_blocks;
    owned<ihipModule_t> modules;
    owned<ihipStream_t> streams;
    owned<ihipGraph> graphs;
    owned<hipGraphExec> execs;

    std::map<std::string, function_record> functions;
    /* Of work that ran: stays until a reset. */
    hipError_t work_error = hipSuccess;
    std::string message;

    runtime();
};

/** All of it; functions of the runtime hold its lock. */
runtime &fake_state();

/** What hipSetDevice() and hipGetLastError() are about. */
extern thread_local int fake_device;
extern thread_local hipError_t fake_last_error;

/** While it lives, the thread is inside the runtime. */
struct fake_inside {
    fake_inside();
    ~fake_inside();
    fake_inside(const fake_inside &) = delete;
    fake_inside &operator=(const fake_inside &) = delete;
};

hipError_t fake_run_inside(
        const char *function, const std::function<hipError_t()> &body);

/** The body of a function of the runtime: counted, under the lock, and not run
 * if a test wants it to fail. */
template <class F>
hipError_t
fake_run(const char *function, const F &body)
{
    fake_inside inside;
    return fake_run_inside(function, body);
}

/** Returns the error, with a message. */
hipError_t fake_error(hipError_t error, const std::string &why);

/** Runs what waits in a stream; in those of a device. */
void fake_drain(ihipStream_t *stream);
void fake_drain_device(int device, bool with_non_blocking);

/** Whether a stream is being captured: what waits for the device, or allocates,
 * is not to be done then, and spoils the capture. */
bool fake_spoils_capture();

/** Work for a stream, or for the device's default stream, which waits for the
 * blocking ones. */
hipError_t fake_enqueue(hipStream_t stream, std::function<void()> piece);

/** Waits in a way, if that is allowed. */
hipError_t fake_synchronize(const std::function<void()> &wait);

gpu_shim_layout fake_layout_of(const std::string &arch);

#endif
