/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Checkpoints of every scheme that is converted, each as small as it can be:
 * one layer of two experts, codes at random. For seeds.c. Shares nothing with
 * lib/format. What goes wrong here ends the test.
 */
#ifndef SEED_MODELS_H
#define SEED_MODELS_H

#include "mini_tensors.h"

/** How many there are. */
extern size_t seed_model_count(void);

/** Makes number i < seed_model_count(): tensors, and the text of config.json,
 * which is valid until the next call. Returns its label. */
extern const char *seed_model_make(
        size_t i, struct mini *mini, const char **config);

#endif
