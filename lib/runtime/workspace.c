/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Workspaces: their sizes; what is inside is the backend's. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/size.h"
#include "runtime/backend.h"

/* Sets the sizes that a workspace is made for, and asks the backend. */
static w4moe_status
plan(const w4moe_layer *layer, w4moe_workspace *ws, size_t max_tokens,
        size_t top_k)
{
    struct w4_err *err = w4_ctx_err(layer->ctx);
    uint64_t n_slots;
    if (max_tokens == 0 || top_k == 0 || !w4_mul(&n_slots, max_tokens, top_k) ||
            n_slots > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "workspace for %zu tokens of %zu experts each (at least 1 of "
                "each, at most 2^31 - 1 slots)",
                max_tokens, top_k);
    }
    *ws = (w4moe_workspace){
            .ctx = layer->ctx,
            .max_tokens = max_tokens,
            .top_k = top_k,
            .n_experts = w4_layer_experts(layer),
            .n_experts_global = layer->n_experts_global,
            .hidden_size = w4_layer_hidden(layer),
            .intermediate_size = w4_layer_intermediate(layer),
            .n_shared = w4_layer_shared(layer),
            .shared_intermediate = w4_layer_shared_intermediate(layer),
            .n_logits =
                    layer->router.weight != NULL ? layer->n_experts_global : 0,
    };
    if (ws->n_shared > INT32_MAX / max_tokens) {
        return w4_fail(err, W4MOE_INVALID,
                "workspace for %zu tokens of %zu shared experts each (at most "
                "2^31 - 1 slots)",
                max_tokens, ws->n_shared);
    }
    return layer->ctx->backend->ops->workspace_size(ws, &ws->n_bytes);
}

w4moe_status
w4moe_workspace_size(const w4moe_layer *layer, uint64_t *n_bytes,
        size_t max_tokens, size_t top_k)
{
    if (layer == NULL || n_bytes == NULL) {
        return W4MOE_INVALID;
    }
    w4moe_workspace ws;
    w4moe_status status = plan(layer, &ws, max_tokens, top_k);
    if (status == W4MOE_OK) {
        *n_bytes = ws.n_bytes;
    }
    return status;
}

w4moe_status
w4moe_workspace_create(const w4moe_layer *layer, w4moe_workspace **ws_p,
        size_t max_tokens, size_t top_k)
{
    if (layer == NULL || ws_p == NULL) {
        return W4MOE_INVALID;
    }
    w4moe_workspace planned;
    w4moe_status status = plan(layer, &planned, max_tokens, top_k);
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_err *err = w4_ctx_err(layer->ctx);
    w4moe_workspace *ws = malloc(sizeof(*ws));
    if (ws == NULL) {
        return w4_fail(err, W4MOE_NOMEM, "no memory for a workspace");
    }
    *ws = planned;
    status = layer->ctx->backend->ops->workspace_open(ws, layer);
    if (status != W4MOE_OK) {
        free(ws);
        return status;
    }
    *ws_p = ws;
    return W4MOE_OK;
}

void
w4moe_workspace_destroy(w4moe_workspace *ws)
{
    if (ws != NULL) {
        ws->ctx->backend->ops->workspace_close(ws);
        free(ws);
    }
}
