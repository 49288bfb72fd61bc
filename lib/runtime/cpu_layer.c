/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Weights on the CPU: used where they are, or copied. */
#include <string.h>

#include "base/size.h"
#include "runtime/cpu_backend.h"

/* Memory for n arrays, each from a multiple of W4_MEM_ALIGN on. A huge page
 * belongs to the layer as a whole, and counts as a whole. */
static w4moe_status
own_memory(w4moe_layer *layer, const struct w4_array *arrays, int n, int huge)
{
    struct w4_mem *mem = w4_ctx_mem(layer->ctx);
    struct w4_err *err = w4_ctx_err(layer->ctx);
    uint64_t total = 0;
    int fits = 1;
    for (int i = 0; i < n && fits; i++) {
        uint64_t rounded;
        fits = w4_round_up(&rounded, arrays[i].size, W4_MEM_ALIGN) &&
               w4_add(&total, total, rounded);
    }
    if (!fits || (huge && !w4_round_up(&total, total, W4_MEM_HUGE_ALIGN))) {
        return w4_fail(err, W4MOE_NOMEM,
                "layer: its arrays are beyond the address space");
    }
    w4moe_status status =
            huge ? w4_mem_alloc_huge(mem, err, &layer->owned, total, "layer")
                 : w4_mem_alloc(mem, err, &layer->owned, total, "layer");
    if (status == W4MOE_OK) {
        layer->n_owned = total;
    }
    return status;
}

/* Moves the layer's arrays into memory of its own. */
static w4moe_status
copy_arrays(w4moe_layer *layer, int huge)
{
    struct w4_array arrays[W4_LAYER_ARRAYS];
    int n = w4_layer_arrays(arrays, layer);
    w4moe_status status = own_memory(layer, arrays, n, huge);
    if (status != W4MOE_OK) {
        return status;
    }
    char *next = layer->owned;
    for (int i = 0; i < n; i++) {
        memcpy(next, *arrays[i].place, (size_t)arrays[i].size);
        *arrays[i].place = next;
        next += (arrays[i].size + W4_MEM_ALIGN - 1) / W4_MEM_ALIGN *
                W4_MEM_ALIGN;
    }
    return W4MOE_OK;
}

static w4moe_status
prefault_arrays(w4moe_layer *layer)
{
    struct w4_array arrays[W4_LAYER_ARRAYS];
    int n = w4_layer_arrays(arrays, layer);
    w4moe_status status = W4MOE_OK;
    for (int i = 0; i < n && status == W4MOE_OK; i++) {
        status = w4_mem_prefault(w4_ctx_err(layer->ctx), *arrays[i].place,
                arrays[i].size, "layer");
    }
    return status;
}

w4moe_status
w4_cpu_layer_open(w4moe_layer *layer, unsigned flags)
{
    int huge = (flags & W4MOE_LAYER_HUGE_PAGES) != 0;
    if (huge || (flags & W4MOE_LAYER_COPY) != 0) {
        return copy_arrays(layer, huge);
    }
    /* Copying has read all pages already. */
    return (flags & W4MOE_LAYER_PREFAULT) != 0 ? prefault_arrays(layer)
                                               : W4MOE_OK;
}

void
w4_cpu_layer_close(w4moe_layer *layer)
{
    w4_mem_free(w4_ctx_mem(layer->ctx), layer->owned, layer->n_owned);
}
