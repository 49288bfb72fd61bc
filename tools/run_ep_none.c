/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* moe-run --ep without MPI: see run_ep.h. */
#include "common.h"
#include "run_ep.h"

int
run_ep_begin(struct run_ep **ep_p)
{
    *ep_p = NULL;
    return tool_error("--ep: this moe-run was built without MPI");
}

void
run_ep_end(struct run_ep *ep)
{
    (void)ep;
}

int
run_ep_is_first(const struct run_ep *ep)
{
    (void)ep;
    return 1;
}

int
run_ep_agree(const struct run_ep *ep, int code)
{
    (void)ep;
    return code;
}

int
run_ep_load(struct run_ep *ep, struct run_state *s, int code)
{
    (void)ep;
    (void)s;
    return code;
}

int
run_ep_prepare(struct run_ep *ep, const struct run_state *s)
{
    (void)ep;
    (void)s;
    return TOOL_ERROR;
}

int
run_ep_forward(struct run_ep *ep, const struct run_state *s,
        const w4moe_forward_args *args)
{
    (void)ep;
    (void)s;
    (void)args;
    return TOOL_ERROR;
}

void
run_ep_print(const struct run_ep *ep)
{
    (void)ep;
}
