/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The tensors of a safetensors checkpoint that together are a weight, and how
 * a scheme makes a weight of them.
 */
#ifndef W4_FORMAT_PARTS_H
#define W4_FORMAT_PARTS_H

#include "format/model_config.h"
#include "format/weight.h"
#include "io/safetensors.h"

/** Parts of a weight, of whatever scheme, by the end of a tensor's name. */
enum w4_part {
    /** The codes, or the weight itself: a weight has one of these. */
    W4_PART_WEIGHT,
    W4_PART_PACKED,
    W4_PART_QWEIGHT,
    W4_PART_BLOCKS,
    /** What the codes need. */
    W4_PART_WEIGHT_SCALE,
    W4_PART_SCALE_INV,
    W4_PART_SCALES,
    W4_PART_SCALE,
    W4_PART_ZERO_POINT,
    W4_PART_QZEROS,
    W4_PART_G_IDX,
    W4_PART_SHAPE,
    W4_PART_BIAS,
    W4_N_PARTS
};

struct w4_parts {
    const struct w4_tensor *tensors[W4_N_PARTS];
};

/**
 * Makes a weight of its parts: checks types and shapes, and that there is no
 * part that the scheme does not know.
 *
 * In/out: weight: n_out, n_in, row_first, row_step and tensor_rows are set;
 *     the rest is to be filled in.
 * Returns: OK; FORMAT (a type or shape, with the tensor's name and both);
 *     UNSUPPORTED (a variant, by its name).
 */
typedef w4moe_status w4_resolve_fn(struct w4_err *err, struct w4_weight *weight,
        const struct w4_parts *parts, const struct w4_model_config *config);

/** The schemes: each looks at the parts that it is named after. */
extern w4_resolve_fn w4_ct_resolve;
/** These two only if there are scales. */
extern w4_resolve_fn w4_gptq_resolve;
extern w4_resolve_fn w4_awq_resolve;
extern w4_resolve_fn w4_mxfp4_resolve;
/** WEIGHT of BF16, F16 or F32. */
extern w4_resolve_fn w4_float_resolve;
/** WEIGHT of F8_E4M3 with WEIGHT_SCALE_INV. */
extern w4_resolve_fn w4_fp8_resolve;

/** Makes a weight by the scheme that its parts tell. */
extern w4_resolve_fn w4_parts_resolve;

/* What the functions above share. */

/** A part that must be there. Returns OK or FORMAT (its name's beginning is
 * that of the codes). */
extern w4moe_status w4_parts_need(struct w4_err *err,
        const struct w4_parts *parts, enum w4_part codes, enum w4_part part);

/** Refuses every part but those of a set (bits 1 << part) by its name. */
extern w4moe_status w4_parts_only(struct w4_err *err,
        const struct w4_parts *parts, unsigned allowed, const char *scheme);

/** Checks the type (NONE: any that the caller has looked at) and shape of a
 * tensor of rank 1 (columns is 1) or 2. Returns OK or FORMAT. */
extern w4moe_status w4_tensor_check(struct w4_err *err,
        const struct w4_tensor *tensor, w4moe_dtype dtype, uint64_t rows,
        uint64_t columns);

/** Whether a tensor's type is BF16, F16 or F32. */
extern int w4_tensor_is_float(const struct w4_tensor *tensor);

/** Whether a tensor's type is that of MXFP4 codes: bytes, or F4. */
extern int w4_tensor_is_mxfp4(const struct w4_tensor *tensor);

/** Whether a tensor's type is one that E8M0 scales have: F8_E8M0 or U8. */
extern int w4_tensor_is_e8m0(const struct w4_tensor *tensor);

/** The group length of a weight of n_in columns in n_groups groups: the one of
 * those that the config mentions that fits, since a number of groups does not
 * tell it (the last may be short). tensor is for the text. Returns OK or
 * FORMAT (none fits, or two). */
extern w4moe_status w4_group_size_pick(struct w4_err *err, size_t *group_size,
        const struct w4_model_config *config, const struct w4_tensor *tensor,
        size_t n_in, uint64_t n_groups);

/** Takes a g_idx [n_in] if it orders anything: neither one with a -1 nor
 * column i in group i / group_size. Returns OK or FORMAT (a group that is
 * not, or of another size than group_size). */
extern w4moe_status w4_g_idx_take(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *g_idx);

/** Takes the bias, [tensor_rows], if there is one. Returns OK or FORMAT. */
extern w4moe_status w4_bias_take(struct w4_err *err, struct w4_weight *weight,
        const struct w4_tensor *bias);

#endif
