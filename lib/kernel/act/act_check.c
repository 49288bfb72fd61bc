/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Checks of an activation's parameters. */
#include <math.h>

#include "base/abi.h"
#include "kernel/kernel.h"

static void
fill_defaults(w4moe_activation *act)
{
    int oai = act->kind == W4MOE_ACT_SWIGLUOAI;
    int uninterleave = act->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE;
    if ((oai || act->kind == W4MOE_ACT_SWIGLUSTEP) && act->limit == 0.0f) {
        act->limit = 7.0f;
    }
    if ((oai || uninterleave) && act->alpha == 0.0f) {
        act->alpha = 1.702f;
    }
}

w4moe_status
w4_activation_check(struct w4_err *err, w4moe_activation *own,
        const w4moe_activation *callers)
{
    w4moe_activation act;
    w4moe_status status = w4_struct_in(
            err, &act, sizeof(act), sizeof(act), callers, "w4moe_activation");
    if (status != W4MOE_OK) {
        return status;
    }
    const char *name = w4moe_activation_name(act.kind);
    if (name == NULL) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "activation kind %d is not known", (int)act.kind);
    }
    if (act.reserved != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "activation %s: the reserved field is %u", name,
                (unsigned)act.reserved);
    }
    if (!isfinite(act.limit) || act.limit < 0.0f || !isfinite(act.alpha) ||
            !isfinite(act.beta) || !isfinite(act.linear_beta) ||
            act.linear_beta < 0.0f) {
        return w4_fail(err, W4MOE_INVALID,
                "activation %s: limit %g, alpha %g, beta %g, linear_beta %g",
                name, (double)act.limit, (double)act.alpha, (double)act.beta,
                (double)act.linear_beta);
    }
    if (act.kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE && act.limit == 0.0f) {
        return w4_fail(err, W4MOE_INVALID, "activation %s needs a limit", name);
    }
    if (act.kind == W4MOE_ACT_SITU && act.beta == 0.0f) {
        return w4_fail(err, W4MOE_INVALID, "activation %s needs beta", name);
    }
    fill_defaults(&act);
    *own = act;
    return W4MOE_OK;
}
