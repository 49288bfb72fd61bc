/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "format/st_fused.h"

#include "io/text.h"

w4moe_status
w4_fused_resolve(struct w4_err *err, struct w4_weight *weights,
        const struct w4_fused_parts *fused,
        const struct w4_model_config *config)
{
    (void)weights;
    (void)config;
    for (int part = 0; part < W4_N_PARTS; part++) {
        const struct w4_tensor *tensor = fused->gate_up.tensors[part];
        tensor = tensor != NULL ? tensor : fused->down.tensors[part];
        if (tensor != NULL) {
            return w4_fail(err, W4MOE_UNSUPPORTED,
                    "tensor \"%s\": all experts in one tensor",
                    w4_show_string(tensor->name).text);
        }
    }
    return W4MOE_OK;
}
