/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A backend module for tests, which computes on the CPU under the name "hip",
 * and what it shares with the test program that loads it. What is wrong with it
 * is said by the environment variable FAKE_KIND; nothing if it is not set.
 */
#ifndef FAKE_MODULE_H
#define FAKE_MODULE_H

#include "runtime/backend.h"

/** The test program's; modules find it when they are loaded. */
struct fake_shared {
    const struct w4_backend_ops *cpu;
    /** Modules that were asked what they are. */
    int n_asked;
    /** Contexts, layers and workspaces that are open. */
    int n_open;
    int n_layers;
    int n_workspaces;
    /** Calls. */
    int n_forwards;
    int n_gemms;
    int n_activates;
};

extern struct fake_shared fake_shared __attribute__((visibility("default")));

#endif
