/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fake_module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Another name makes a library that is no module. */
#ifndef FAKE_SYMBOL
#define FAKE_SYMBOL w4moe_backend_module
#endif

static int
is(const char *kind)
{
    const char *set = getenv("FAKE_KIND");
    return set != NULL && strcmp(set, kind) == 0;
}

static w4moe_status
fake_open(
        const w4moe_ctx *ctx, void **state_p, const w4moe_ctx_options *options)
{
    if (is("open fails")) {
        return w4_fail(w4_ctx_err(ctx), W4MOE_DEVICE, "the fan is missing");
    }
    if (is("open fails silently")) {
        return W4MOE_DEVICE;
    }
    w4_log(w4_ctx_err(ctx), W4MOE_LOG_INFO, "fake: opened");
    w4moe_status status = fake_shared.cpu->open(ctx, state_p, options);
    fake_shared.n_open += status == W4MOE_OK;
    return status;
}

static void
fake_close(void *state)
{
    fake_shared.n_open--;
    fake_shared.cpu->close(state);
}

static int
fake_describe(const w4moe_ctx *ctx, char *text, size_t size)
{
    (void)ctx;
    if (is("long description")) {
        return snprintf(text, size, "backend hip: %9000d\n", 1);
    }
    return snprintf(text, size, "backend hip: in use, fake\n");
}

static w4moe_status
fake_layer_open(w4moe_layer *layer, unsigned flags)
{
    if (is("layer_open fails")) {
        return w4_fail(w4_ctx_err(layer->ctx), W4MOE_INVALID, "no upload");
    }
    w4moe_status status = fake_shared.cpu->layer_open(layer, flags);
    fake_shared.n_layers += status == W4MOE_OK;
    return status;
}

static void
fake_layer_close(w4moe_layer *layer)
{
    fake_shared.n_layers--;
    fake_shared.cpu->layer_close(layer);
}

static w4moe_status
fake_workspace_open(w4moe_workspace *ws, const w4moe_layer *layer)
{
    if (is("workspace_open fails")) {
        return w4_fail(w4_ctx_err(ws->ctx), W4MOE_NOMEM, "the device is full");
    }
    w4moe_status status = fake_shared.cpu->workspace_open(ws, layer);
    fake_shared.n_workspaces += status == W4MOE_OK;
    return status;
}

static void
fake_workspace_close(w4moe_workspace *ws)
{
    fake_shared.n_workspaces--;
    fake_shared.cpu->workspace_close(ws);
}

static w4moe_status
fake_forward(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    fake_shared.n_forwards++;
    if (is("writes nothing")) {
        return W4MOE_OK;
    }
    if (is("forward fails")) {
        return w4_fail(w4_ctx_err(layer->ctx), W4MOE_DEVICE, "no launch");
    }
    if (is("needs device pointers") && (args->flags & W4MOE_HOST_IO) == 0) {
        return w4_fail(w4_ctx_err(layer->ctx), W4MOE_DEVICE, "host pointers");
    }
    w4moe_status status = fake_shared.cpu->forward(layer, ws, args);
    uint16_t *out = args->out;
    size_t last = args->n_tokens * args->out_stride - 1;
    if (is("one bit is wrong for many tokens") && args->n_tokens > 32) {
        out[last] ^= 1;
    }
    if (is("one bit is wrong for one token") && args->n_tokens == 1) {
        out[0] ^= 1;
    }
    if (is("a NaN")) {
        out[last / 2] = 0x7FC0;
    }
    return status;
}

static uint64_t
fake_gemm_workspace(const w4moe_gemm_args *args)
{
    return fake_shared.cpu->gemm_workspace(args);
}

static w4moe_status
fake_gemm(const w4moe_ctx *ctx, const w4moe_gemm_args *args)
{
    fake_shared.n_gemms++;
    return fake_shared.cpu->gemm(ctx, args);
}

static w4moe_status
fake_activate(const w4moe_ctx *ctx, void *out, size_t out_stride,
        const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
        size_t n_out, const w4moe_activation *activation)
{
    fake_shared.n_activates++;
    return fake_shared.cpu->activate(ctx, out, out_stride, in, in_stride, dtype,
            n_rows, n_out, activation);
}

/* Takes one function out of ops. */
static void
spoil(struct w4_backend_ops *ops)
{
    ops->open = is("no open") ? NULL : ops->open;
    ops->close = is("no close") ? NULL : ops->close;
    ops->describe = is("no describe") ? NULL : ops->describe;
    ops->layer_open = is("no layer_open") ? NULL : ops->layer_open;
    ops->layer_close = is("no layer_close") ? NULL : ops->layer_close;
    ops->workspace_size = is("no workspace_size") ? NULL : ops->workspace_size;
    ops->workspace_open = is("no workspace_open") ? NULL : ops->workspace_open;
    ops->workspace_close =
            is("no workspace_close") ? NULL : ops->workspace_close;
    ops->forward = is("no forward") ? NULL : ops->forward;
    ops->gemm_workspace = is("no gemm_workspace") ? NULL : ops->gemm_workspace;
    ops->gemm = is("no gemm") ? NULL : ops->gemm;
    ops->activate = is("no activate") ? NULL : ops->activate;
    ops->choose = is("no choose") ? NULL : ops->choose;
    ops->combine = is("no combine") ? NULL : ops->combine;
    ops->memory_alloc = is("no memory_alloc") ? NULL : ops->memory_alloc;
    ops->memory_free = is("no memory_free") ? NULL : ops->memory_free;
    ops->memory_copy = is("no memory_copy") ? NULL : ops->memory_copy;
    ops->name = is("other name of ops") ? "cuda" : ops->name;
    ops->name = is("no name of ops") ? NULL : ops->name;
}

extern const struct w4_backend_module *FAKE_SYMBOL(void)
        __attribute__((visibility("default")));

const struct w4_backend_module *
FAKE_SYMBOL(void)
{
    static struct w4_backend_ops ops;
    static struct w4_backend_module module;
    fake_shared.n_asked++;
    ops = (struct w4_backend_ops){
            .name = "hip",
            .open = fake_open,
            .close = fake_close,
            .describe = fake_describe,
            .layer_open = fake_layer_open,
            .layer_close = fake_layer_close,
            .workspace_size = fake_shared.cpu->workspace_size,
            .workspace_open = fake_workspace_open,
            .workspace_close = fake_workspace_close,
            .forward = fake_forward,
            .gemm_workspace = fake_gemm_workspace,
            .gemm = fake_gemm,
            .activate = fake_activate,
            .choose = fake_shared.cpu->choose,
            .combine = fake_shared.cpu->combine,
            .memory_alloc = fake_shared.cpu->memory_alloc,
            .memory_free = fake_shared.cpu->memory_free,
            .memory_copy = fake_shared.cpu->memory_copy,
    };
    spoil(&ops);
    module = (struct w4_backend_module){
            .abi = is("other interface") ? W4_BACKEND_ABI + 1 : W4_BACKEND_ABI,
            .name = is("other name") ? "cuda"
                    : is("no name")  ? NULL
                                     : "hip",
            .ops = is("no ops") ? NULL : &ops,
    };
    if (is("other interface")) {
        /* What an older library must not look at. */
        module.name = (const char *)1;
        module.ops = (const struct w4_backend_ops *)1;
    }
    return is("no description") ? NULL : &module;
}
