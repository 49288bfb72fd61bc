/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The HIP backend's host side: what its files share.
 *
 * Plain C over HIP's runtime and module functions. Device code is compiled
 * apart (kernels/) and embedded as code objects, one for each architecture and
 * source file.
 */
#ifndef W4_HIP_GPU_H
#define W4_HIP_GPU_H

#include "hip_api.h"
#include "kernels/params.h"
#include "runtime/backend.h"

/** A code object: what kernels/NAME.hip became for an architecture. */
struct w4_gpu_image {
    const char *arch;
    const char *name;
    const void *data;
};

extern const struct w4_gpu_image w4_gpu_images[];
extern const size_t w4_gpu_n_images;

/** Kernels that exist for each type of activations and each code. */
enum w4_gpu_family {
    W4_GPU_DOT1,
    W4_GPU_DOT2,
    W4_GPU_DOT4,
    W4_GPU_DOT8,
    W4_GPU_DOT1_GATHER,
    W4_GPU_DOT4_GATHER,
    W4_GPU_DOT1_ANY,
    W4_GPU_TOKEN,
    W4_GPU_TOKEN_GATHER,
    W4_GPU_TOKEN_ANY,
    W4_GPU_MMA16,
    W4_GPU_MMA32,
    W4_GPU_MMA64,
    W4_GPU_SPLIT1,
    W4_GPU_SPLIT8,
    W4_GPU_SPLIT_TOKEN,
    W4_GPU_FAMILIES
};

/** Of a family: rows of a block, threads of a workgroup, workgroups that share
 * a tile (of a narrow one the last may have nothing to do), and whether every
 * architecture has it. */
struct w4_gpu_family_info {
    uint32_t rows;
    unsigned threads;
    unsigned pieces;
    int everywhere;
};

extern const struct w4_gpu_family_info w4_gpu_families[W4_GPU_FAMILIES];

/** Code objects of an architecture, at most; alignment of arrays. */
enum { W4_GPU_MODULES_MAX = 16, W4_GPU_ALIGN = 256 };

/** The backend of a context. */
struct w4_gpu {
    int device;
    char arch[64];
    char name[256];
    int n_units;
    hipModule_t modules[W4_GPU_MODULES_MAX];
    int n_modules;
    /** By type (bf16, fp16), code (int4, e2m1), family; NULL where the
     * architecture has none. */
    hipFunction_t gemm[2][2][W4_GPU_FAMILIES];
    hipFunction_t logits;
    hipFunction_t route;
    hipFunction_t count;
    hipFunction_t align;
    hipFunction_t spread;
    hipFunction_t reduce;
    hipFunction_t combine;
    hipFunction_t activate;
    hipFunction_t clear;
};

static inline const struct w4_gpu *
w4_gpu_of(const w4moe_ctx *ctx)
{
    return ctx->backend->state;
}

/** Records a failure of the HIP function `call`; returns OK, NOMEM or DEVICE.
 */
extern w4moe_status w4_gpu_check(
        struct w4_err *err, hipError_t error, const char *call);

/** Makes the backend's device the thread's; *before is what to give back to
 * w4_gpu_leave(). */
extern w4moe_status w4_gpu_enter(
        struct w4_err *err, const struct w4_gpu *gpu, int *before);
extern void w4_gpu_leave(const struct w4_gpu *gpu, int before);

/** Device memory that counts towards the context's limit. */
extern w4moe_status w4_gpu_alloc(
        const w4moe_ctx *ctx, void **p, uint64_t size, const char *what);
extern void w4_gpu_free(const w4moe_ctx *ctx, void *p, uint64_t size);

/** Host memory that the device copies from and to by itself; it counts, too. */
extern w4moe_status w4_gpu_alloc_pinned(
        const w4moe_ctx *ctx, void **p, uint64_t size, const char *what);
extern void w4_gpu_free_pinned(const w4moe_ctx *ctx, void *p, uint64_t size);

/** Workgroups of a grid in y, at most. */
enum { W4_GPU_GRID_Y = 65535 };

/** Starts a kernel on a grid of x * y workgroups; the argument is a struct. */
extern w4moe_status w4_gpu_launch(struct w4_err *err, hipFunction_t function,
        uint64_t x, uint64_t y, unsigned threads, void *argument,
        hipStream_t stream);

/* --------------------------------------------------------------- transfers */

/** Bytes of pinned memory that are of use. */
enum { W4_GPU_PINNED_MAX = 4 << 20 };

/** Rows in host memory, in bytes. */
struct w4_gpu_rows {
    char *first;
    uint64_t n;
    uint64_t n_bytes;
    uint64_t stride;
};

/** Copies in a stream through pinned memory, of which n_used bytes may be on
 * their way to the device. */
struct w4_gpu_transfer {
    struct w4_err *err;
    hipStream_t stream;
    char *pinned;
    uint64_t size;
    uint64_t n_used;
};

/** Rows to the device, packed. They may change after the call; the pinned
 * memory is free when the stream has done its work. */
extern w4moe_status w4_gpu_put(struct w4_gpu_transfer *t, void *device,
        const struct w4_gpu_rows *rows);

/** Packed rows from the device, for which this waits. */
extern w4moe_status w4_gpu_get(struct w4_gpu_transfer *t,
        const struct w4_gpu_rows *rows, const void *device);

/* ---------------------------------------------------------------- matrices */

/** A matrix for the kernels: sizes and places. `m` has device pointers.
 * Returns OK or UNSUPPORTED (too large). */
extern w4moe_status w4_gpu_matrix_set(struct w4_err *err,
        struct w4_gpu_matrix *gpu, const w4moe_matrix *m, const char *name);

/** Whether groups and K are multiples of 32. */
extern int w4_gpu_matrix_chunked(const w4moe_matrix *m);

extern struct w4_gpu_divisor w4_gpu_divisor(uint32_t d);

extern void w4_gpu_activation_set(
        struct w4_gpu_activation *gpu, const w4moe_activation *activation);

/** The two matrices of experts. */
struct w4_gpu_experts {
    struct w4_gpu_matrix w13;
    struct w4_gpu_matrix w2;
};

/** Layers: struct w4moe_layer's `device`. */
struct w4_gpu_layer {
    struct w4_gpu_experts routed;
    /** Not set without. */
    struct w4_gpu_experts shared;
    /** With its arrays in device memory. */
    w4moe_router router;
    const void *shared_gate;
    void *memory;
};

/** Arrays for the slots of routed or of shared experts: places in a workspace,
 * in bytes. */
struct w4_gpu_slots {
    uint64_t sorted_slots;
    uint64_t expert_ids;
    uint64_t n_padded;
    uint64_t activated;
    uint64_t sums;
};

/** A workspace: struct w4moe_workspace's `memory`. */
struct w4_gpu_workspace {
    /** Where its arrays stand, in bytes from `device`. Copies of host memory,
     * as far as a call's arguments are that: */
    uint64_t ids;
    uint64_t weights;
    uint64_t x;
    uint64_t out;
    uint64_t logits;
    uint64_t expert_map;
    uint64_t counts;
    /** Others. What scores are compared by, and the shared experts' factors: */
    uint64_t keys;
    uint64_t gates;
    struct w4_gpu_slots routed;
    struct w4_gpu_slots shared;
    uint64_t n_bytes;
    /** Experts whose logits are staged or made, and whose scores are kept, at
     * most. */
    uint64_t staged_experts;
    char *device;
    /** Pinned host memory that copies go through. */
    char *pinned;
    uint64_t n_pinned;
};

/* ------------------------------------------------------------------- plans */

/** What a product is made with. */
struct w4_gpu_product {
    enum w4_gpu_family family;
    /** Rows of a block. */
    uint32_t rows;
};

/** Rows per block for matrices that are multiplied for n_slots slots of
 * n_experts experts. `aligned`: rows begin at multiples of 16 bytes.
 * `invariant`: the same arithmetic whatever n_slots is. */
extern uint32_t w4_gpu_block_rows(const struct w4_gpu *gpu,
        const w4moe_matrix *const *matrices, int n_matrices, int aligned,
        w4moe_dtype dtype, uint64_t n_slots, int invariant);

/** The family for blocks of that many rows, a divisor of which may be used. */
extern struct w4_gpu_product w4_gpu_choose(const struct w4_gpu *gpu,
        const w4moe_matrix *m, int aligned, w4moe_dtype dtype, uint32_t rows);

/** The family that sums over a token's slots. */
extern enum w4_gpu_family w4_gpu_choose_token(const struct w4_gpu *gpu,
        const w4moe_matrix *m, int aligned, w4moe_dtype dtype);

/** Starts the kernel of a product for n_blocks blocks (or tokens). */
extern w4moe_status w4_gpu_multiply(const w4moe_ctx *ctx,
        enum w4_gpu_family family, const w4moe_matrix *m,
        struct w4_gpu_gemm *gemm, w4moe_dtype dtype, uint64_t n_blocks,
        hipStream_t stream);

/** Blocks that n_slots slots of n_experts experts make at most. */
extern uint64_t w4_gpu_blocks_max(
        uint64_t n_slots, uint64_t n_experts, uint32_t rows);

/* -------------------------------------------------------------- operations */

extern w4moe_status w4_gpu_layer_open(w4moe_layer *layer, unsigned flags);
extern void w4_gpu_layer_close(w4moe_layer *layer);
extern w4moe_status w4_gpu_workspace_size(
        const w4moe_workspace *ws, uint64_t *bytes);
extern w4moe_status w4_gpu_workspace_open(
        w4moe_workspace *ws, const w4moe_layer *layer);
extern void w4_gpu_workspace_close(w4moe_workspace *ws);
extern w4moe_status w4_gpu_forward(const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args);
extern w4moe_status w4_gpu_gemm(
        const w4moe_ctx *ctx, const w4moe_gemm_args *args);
extern uint64_t w4_gpu_gemm_workspace(const w4moe_gemm_args *args);
extern w4moe_status w4_gpu_activate(const w4moe_ctx *ctx, void *out,
        size_t out_stride, const void *in, size_t in_stride, w4moe_dtype dtype,
        size_t n_rows, size_t n_out, const w4moe_activation *activation);
extern w4moe_status w4_gpu_choose_experts(const w4moe_layer *layer,
        w4moe_workspace *ws, int32_t *ids, float *weights,
        const w4moe_forward_args *args);
extern w4moe_status w4_gpu_combine(
        const w4moe_ctx *ctx, const w4moe_combine_args *args);
extern w4moe_status w4_gpu_memory_alloc(const w4moe_ctx *ctx, void **memory_p,
        uint64_t n_bytes, w4moe_memory where);
extern void w4_gpu_memory_free(const w4moe_ctx *ctx, void *memory,
        uint64_t n_bytes, w4moe_memory where);
extern w4moe_status w4_gpu_memory_copy(const w4moe_ctx *ctx, void *to,
        const void *from, uint64_t n_bytes, void *stream);

#endif
