/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Moving weights from a source to a container that is being written, in two
 * phases that run over the plan with the context's threads: pack, compare and
 * write; read back and hash.
 */
#ifndef W4_FORMAT_TRANSFER_H
#define W4_FORMAT_TRANSFER_H

#include "format/findings.h"
#include "format/plan.h"

struct w4_transfer {
    const w4moe_ctx *ctx;
    const struct w4_source *source;
    const struct w4_plan *plan;
    struct w4_st_writer *writer;
    w4moe_progress_fn *progress;
    void *progress_user;
    /** Over all phases. */
    _Atomic uint64_t bytes_done;
    uint64_t bytes_total;
    int verify;
    size_t n_experts_verified;
    /** Hash of what was written of each entry, in pieces: [n_entries]
     * [n_experts], or of one piece in the first place. */
    uint64_t *pieces;
    /** Sums over the weights that were rounded: of squared errors, and of
     * squares. */
    double error;
    double total;
    /** Of all experts. */
    struct w4_findings findings;
};

/** Packs every expert, compares it with the checkpoint if `verify` is set, and
 * writes it; writes the routers. Returns OK, IO, NOMEM, FORMAT, MISMATCH or
 * CANCELLED. */
extern w4moe_status w4_transfer_pack(struct w4_transfer *transfer);

/** Reads the file back: what stands there must be what was packed. Sets the
 * hash of every tensor in the metadata. Returns OK, MISMATCH, IO, NOMEM or
 * CANCELLED. */
extern w4moe_status w4_transfer_check(struct w4_transfer *transfer);

/** The arrays of one expert in memory of their own, as descriptors of one
 * expert each. One for each thread. */
struct w4_expert_buffer {
    w4moe_matrix w13;
    w4moe_matrix w2;
    void *memory;
    struct w4_orders orders;
    struct w4_rows rows;
    /** Bytes of an expert's part of each array; 0 where absent. */
    uint64_t w13_bytes[W4_N_ARRAYS];
    uint64_t w2_bytes[W4_N_ARRAYS];
};

extern w4moe_status w4_expert_buffer_make(struct w4_err *err,
        struct w4_expert_buffer *buffer, const struct w4_source *source,
        const struct w4_plan_layer *layer);
extern void w4_expert_buffer_free(struct w4_expert_buffer *buffer);

/** Reports progress if this is the thread that started the conversion.
 * Returns OK or CANCELLED. */
extern w4moe_status w4_transfer_report(
        struct w4_transfer *transfer, const char *phase, uint32_t layer);

#endif
