/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The grammar of tensor names in safetensors checkpoints, by their end:
 *
 *   PREFIX layers.L. BLOCK experts.E. PROJECTION . PART
 *   PREFIX layers.L. BLOCK experts. FUSED            all experts in one tensor
 *   PREFIX layers.L. BLOCK (gate | router) . TENSOR
 *
 * PREFIX and BLOCK are any dotted words. Nothing is read from shapes. FUSED
 * is one of the forms that w4_name_forms lists.
 */
#ifndef W4_FORMAT_EXPERT_NAME_H
#define W4_FORMAT_EXPERT_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "format/parts.h"
#include "format/router_part.h"

/** The three weights of an expert. */
enum w4_projection { W4_GATE, W4_UP, W4_DOWN, W4_N_PROJECTIONS };

/** What a name means. */
enum w4_name_kind {
    /** Not part of a mixture-of-experts block: attention, norms, ... */
    W4_NAME_OTHER,
    /** A tensor of one expert; projection and part are set. */
    W4_NAME_EXPERT,
    /** Gate and up of all experts; part is set. */
    W4_NAME_GATE_UP,
    /** Down of all experts; part is set. */
    W4_NAME_DOWN,
    /** Among the experts, but of no known form. */
    W4_NAME_UNKNOWN,
    /** A tensor of the router; router is set. */
    W4_NAME_ROUTER,
    /** An expert of a multi-token-prediction layer, which is not converted. */
    W4_NAME_MTP
};

struct w4_name {
    enum w4_name_kind kind;
    /** What stands before "layers.": not NUL-terminated. */
    const char *prefix;
    size_t prefix_length;
    uint32_t layer;
    uint32_t expert;
    enum w4_projection projection;
    /** W4_N_PARTS: none that is known. */
    enum w4_part part;
    enum w4_router_part router;
    /** The rest, for example "weight_packed": what `part` was read from. */
    const char *tensor;
};

/** Parses a name; the result points into it. */
extern struct w4_name w4_name_parse(const char *name);

/** "gate", "up" or "down". */
extern const char *w4_projection_name(enum w4_projection projection);

/** The known forms that look most like a name, for a text about one that has
 * no known form: at most size bytes, NUL-terminated. */
extern void w4_name_nearest(char *out, size_t size, const char *name);

#endif
