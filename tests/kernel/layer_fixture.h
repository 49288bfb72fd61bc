/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A layer of 4 experts (H 80, I 72) and a call of 5 tokens of 2 experts, for
 * tests that change one thing at a time and see it refused.
 */
#ifndef LAYER_FIXTURE_H
#define LAYER_FIXTURE_H

#include "forward_case.h"

struct layer_fixture {
    w4moe_ctx *ctx;
    struct forward_problem problem;
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_layer *layer;
    w4moe_workspace *ws;
    /** How `layer` was made, and a call of it into `out`. */
    w4moe_layer_desc desc;
    w4moe_forward_args args;
    uint16_t out[5 * 80];
    uint16_t out_before[5 * 80];
};

extern struct layer_fixture fixture;

/** For tcase_add_checked_fixture(). */
extern void layer_setup(void);
extern void layer_teardown(void);

/** Fails the test unless the text of the last failure contains `text`. */
extern void layer_expect_text(const char *text);

#endif
