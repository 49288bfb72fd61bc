/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What looks wrong in weights although it can be converted: quantisers fail
 * quietly, and who notices last is blamed.
 */
#ifndef W4_FORMAT_FINDINGS_H
#define W4_FORMAT_FINDINGS_H

#include "base/ctx.h"
#include "format/matrix.h"

enum w4_finding {
    /** Scales that are NaN or infinite. */
    W4_FINDING_NOT_FINITE,
    W4_FINDING_ZERO,
    W4_FINDING_DENORMAL,
    /** Matrices of an expert whose codes are all the same. */
    W4_FINDING_UNIFORM,
    /** Experts with the codes of another one of the layer. */
    W4_FINDING_DUPLICATE,
    W4_N_FINDINGS
};

/** Findings of one expert, and of all; zeros are none. */
struct w4_findings {
    uint64_t counts[W4_N_FINDINGS];
    /** Hash of the codes of the expert, the caller's to set. */
    uint64_t hash;
};

/** Looks at an expert that has been packed; w13 and w2 are descriptors of one
 * expert. Out: *findings, but for duplicates. */
extern void w4_findings_of_expert(struct w4_findings *findings,
        const w4moe_matrix *w13, const w4moe_matrix *w2);

/** Finds the duplicates among the experts of a layer: of those with equal
 * hashes each but the first. Returns OK or NOMEM. */
extern w4moe_status w4_findings_of_layer(
        struct w4_err *err, struct w4_findings *experts, size_t n);

/** Adds an expert's findings to those of all, and logs the first of each kind
 * with its place. */
extern void w4_findings_add(struct w4_err *err, struct w4_findings *all,
        const struct w4_findings *one, uint32_t layer, size_t expert);

/** Logs how many there are of each kind, if more than one. */
extern void w4_findings_sum(struct w4_err *err, const struct w4_findings *all);

#endif
