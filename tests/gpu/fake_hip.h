/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The HIP runtime without a GPU: its functions, as far as
 * hip/hip_runtime_api.h declares them, with kernels that run in the shim.
 *
 * It is stricter than a GPU:
 * - Device memory is forbidden to the host: touching it is a segmentation
 *   fault, as is a kernel that leaves an allocation by more than 256 bytes; the
 *   address sanitizer finds every byte. It begins as 0xFF bytes.
 * - A stream's work waits until something synchronises with it: results that
 *   were not waited for are not there.
 * - Copies must lie within one allocation.
 * - Whatever cannot be captured fails while a stream is being captured.
 *
 * After a kernel that breaks a rule of the shim every launch, copy and
 * synchronisation fails with hipErrorLaunchFailure, until a reset;
 * fake_hip_message() has why.
 */
#ifndef FAKE_HIP_H
#define FAKE_HIP_H

#include "hip/hip_runtime_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Before the name of an architecture: a code object for it, which has all
 * kernels of that layout in the program. gfx11* and gfx12* have the layouts of
 * these, sm_* NVIDIA's. */
#define FAKE_HIP_IMAGE "fake code object for "

/** So many devices of an architecture; at the start what the environment's
 * W4MOE_FAKE_HIP_DEVICES and W4MOE_FAKE_HIP_ARCH say, or one gfx1100. */
void fake_hip_devices(int n_devices, const char *arch);

/** Memory and compute units of each; 1 GiB and 48 at the start. */
void fake_hip_device_size(size_t n_bytes, int n_compute_units);

/** Calls of a function since the last reset. */
unsigned fake_hip_count(const char *function);

/** The nth call of a function from now on (1: the next) returns `error` and
 * does nothing. 0: none. */
void fake_hip_fail(const char *function, unsigned nth, hipError_t error);

/** Why a kernel or a copy failed; "" if none did. */
const char *fake_hip_message(void);

/** Allocations, modules, streams and graphs that are not freed. */
size_t fake_hip_live(void);

/** Whether nothing was written beside an allocation that lives. hipFree() of
 * such a one fails, too. */
int fake_hip_intact(void);

/** Opens device memory to the host, or closes it again, as often: for what
 * reads and writes it beside the runtime, such as MPI. */
void fake_hip_open(int opens);

/** Whether it is an address of device memory. */
int fake_hip_covers(const void *address);

/** Whether this thread is in a function of the runtime, which allocates as it
 * likes. */
int fake_hip_inside(void);

/** Forgets counts, failures and messages, nothing else. */
void fake_hip_reset(void);

#ifdef __cplusplus
}
#endif

#endif
