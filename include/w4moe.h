/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * w4moe - fused mixture-of-experts layers with 4-bit weights (W4A16).
 *
 * This is the umbrella header and the only one to include, unless tensors come
 * by DLPack: then <w4moe/dlpack.h>, which includes it.
 *
 * THE WAY OF THE DATA
 *
 *   checkpoint folder --moe-convert--> container (w4moe-format(5))
 *   container --w4moe_file_open, w4moe_layer_load--> layer
 *   x, expert ids and weights --w4moe_forward--> out
 *
 * IN TEN LINES (errors not looked at here; a whole program is in README.md)
 *
 *   w4moe_ctx *ctx;
 *   w4moe_file *file;
 *   w4moe_layer *layer;
 *   w4moe_workspace *ws;
 *   w4moe_ctx_create(&ctx, NULL);
 *   w4moe_file_open(ctx, &file, "model.safetensors");
 *   w4moe_layer_load(ctx, &layer, file, 0, 0);
 *   w4moe_workspace_create(layer, &ws, max_tokens, top_k);
 *   w4moe_forward(layer, ws, &args);
 *
 * RULES OF ARGUMENTS
 *
 *   1. First the context or the object that the function works on.
 *   2. Then outputs, then in/outs, then inputs, then scalars, then flags.
 *   3. A count follows its array.
 *   4. Pointers are not NULL unless the text says "may be NULL".
 *   5. A struct of options or arguments begins with `size_t struct_size`,
 *      which the caller sets to sizeof the struct. Clear the rest first:
 *      zero always means "default" or "absent".
 *
 * RULES OF RESULTS
 *
 *   A function that can fail returns w4moe_status. On success, and only then,
 *   it has written its outputs. w4moe_ctx_error() tells what was wrong, with
 *   the values. A caller's mistake (a NULL, a wrong size) is reported the same
 *   way as W4MOE_INVALID; the library never aborts and never prints.
 *
 * THREADS
 *
 *   A context, a file and a layer may be used by any number of threads at
 *   once through const pointers. A workspace belongs to one call at a time.
 *   Create and destroy are for one thread.
 *
 * LETTERS, here and in the man pages
 *
 *   T tokens of a call; H hidden size; I intermediate size of one expert;
 *   E experts held by a layer, E_global experts the router chooses from;
 *   k experts per token (top_k); a slot is one (token, choice) pair,
 *   slot = token * k + choice; K and N the input and output features of one
 *   matrix (w13: K = H, N = 2I; w2: K = I, N = H); g the length of a
 *   quantisation group along K, G = ceil(K / g) the number of groups.
 */
#ifndef W4MOE_H
#define W4MOE_H

#include <w4moe/version.h>
#include <w4moe/base.h>
#include <w4moe/format.h>
#include <w4moe/route.h>
#include <w4moe/kernel.h>
#include <w4moe/layer.h>

#endif
