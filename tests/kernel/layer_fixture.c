/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "layer_fixture.h"

#include <check.h>
#include <string.h>

#include "contexts.h"

struct layer_fixture fixture;

void
layer_setup(void)
{
    struct layer_fixture *f = &fixture;
    struct forward_case what = {
            .seed = 0x2000,
            .n_experts = 4,
            .hidden = 80,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = 4,
            .dtype = W4MOE_BF16,
            .n_tokens = 5,
            .top_k = 2,
    };
    f->ctx = context_make(NULL, 2, 0);
    forward_make(&f->problem, &what);
    f->layer = forward_layer(
            f->ctx, &f->problem, &f->w13, &f->w2, W4MOE_ORDER_TILE, 0);
    ck_assert_int_eq(w4moe_workspace_create(f->layer, &f->ws, 5, 2), W4MOE_OK);
    memset(f->out, 0xA5, sizeof(f->out));
    memcpy(f->out_before, f->out, sizeof(f->out));
    f->args = f->problem.args;
    f->args.out = f->out;
    f->desc = (w4moe_layer_desc){
            .struct_size = sizeof(f->desc),
            .w13 = &f->w13,
            .w2 = &f->w2,
            .activation = f->problem.activation,
    };
}

void
layer_teardown(void)
{
    w4moe_workspace_destroy(fixture.ws);
    w4moe_layer_destroy(fixture.layer);
    oracle_pack_free(&fixture.w13);
    oracle_pack_free(&fixture.w2);
    forward_free(&fixture.problem);
    w4moe_ctx_destroy(fixture.ctx);
}

void
layer_expect_text(const char *text)
{
    const char *got = w4moe_ctx_error(fixture.ctx);
    ck_assert_msg(strstr(got, text) != NULL, "\"%s\" has no \"%s\"", got, text);
}
