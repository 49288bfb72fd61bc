/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What differs between the tests' two kinds of devices: those of fake_hip.h
 * (hip_device_fake.c) and a GPU with its runtime (hip_device_real.c).
 */
#ifndef HIP_DEVICE_H
#define HIP_DEVICE_H

#include <stdint.h>

/** Makes ready for tests. Returns 0 if there is no device, having said so. */
extern int hip_device_begin(void);

/** The module that contexts get from now on is the one to test. */
extern void hip_device_modules(void);

/** One device of that architecture becomes the thread's; a GPU has the
 * architecture that it has. */
extern void hip_device_use(const char *arch);

/** Threads and blocks run in an order that depends on the seed; in a GPU
 * nobody chooses it. */
extern void hip_device_order(uint64_t seed);

/** Fails the test if something is left on the device, or was not as it should
 * be, as far as that can be known. */
extern void hip_device_end(void);

/** What the device has to say of a failure; may be "". */
extern const char *hip_device_message(void);

#endif
