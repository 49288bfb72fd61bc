/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The forward call with DLPack tensors, as PyTorch, JAX, CuPy, NumPy and others
 * exchange them: no copies, and every shape, type, device and stride checked.
 *
 * Not included by <w4moe.h>: it needs <dlpack/dlpack.h>, of version 0.6 or
 * newer (Debian: libdlpack-dev). Everything here is inline, over the plain
 * interface. Of its functions only w4moe_forward_dlpack() is for callers.
 *
 * Only DLTensor is used. It is inside a DLManagedTensor, or, from DLPack 1.0
 * on, a DLManagedTensorVersioned, as `dl_tensor`; who releases those is between
 * their producer and the caller. A DLTensor does not tell whether it may be
 * written: of a DLManagedTensorVersioned that is to be an output, look at
 * DLPACK_FLAG_BITMASK_READ_ONLY in its flags first.
 */
#ifndef W4MOE_DLPACK_H
#define W4MOE_DLPACK_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <dlpack/dlpack.h>
#include <w4moe.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Arguments of w4moe_forward_dlpack(). Zero means default or absent. Tensors
 * are packed (strides NULL or those of a packed one) unless rows may have a
 * stride; a dimension of 1 may have any. Data begin at data + byte_offset,
 * aligned to their type. */
typedef struct w4moe_dlpack_args {
    /** sizeof(w4moe_dlpack_args). */
    size_t struct_size;

    /** Output, [T][H], of the type of x; rows may have a stride of H or more.
     * May be x itself if W4MOE_ACCUMULATE is not set. */
    const DLTensor *out;
    /** Hidden states, [T][H], bfloat16 or float16; rows may have a stride of H
     * or more. T and the type of the activations are its. */
    const DLTensor *x;

    /** Experts and weights by slot, [T][k] each, int32 and float32, or both
     * NULL to have them chosen by the layer's router. */
    const DLTensor *ids;
    const DLTensor *weights;
    /** [T][n_experts_global], float32, float16 or bfloat16; NULL: see
     * w4moe_forward_args. */
    const DLTensor *router_logits;
    /** [n_experts_global], int32; NULL: see w4moe_forward_args. With a map
     * n_experts_global is its length, else the layer's. */
    const DLTensor *expert_map;
    /** Output, [n_experts_global], int32; NULL: not wanted. */
    const DLTensor *expert_counts;

    /** k; 0 if ids are given, which have it. */
    size_t top_k;
    /** Flags of w4moe_forward(), or-ed. */
    unsigned flags;
    /** Must be 0. */
    uint32_t reserved;
    /** Stream of the backend; the CPU backend has none: NULL. Whatever wrote
     * the tensors must be done, or in this stream. */
    void *stream;
} w4moe_dlpack_args;

/**
 * w4moe_forward() with DLPack tensors.
 *
 * Devices: for the CPU backend, and for any with W4MOE_HOST_IO, tensors are of
 * kDLCPU, with W4MOE_HOST_IO also of kDLCUDAHost and kDLROCMHost; else all of
 * them are of kDLROCM, or all of kDLCUDA, on the device of the layer's context.
 *
 * Out: what args->out and args->expert_counts point to. They overlap no other
 *     tensor, but out may be x.
 * In/out: ws, made for at least these sizes.
 * Returns: as w4moe_forward(); W4MOE_INVALID (shapes, strides, devices,
 *     alignment, tensors that overlap); W4MOE_UNSUPPORTED (a type of elements:
 *     PyTorch's topk() makes int64, which is not taken as ids). The text, with
 *     the tensor's name and values, is in w4moe_ctx_error() of the layer's
 *     context.
 * Threads: any, each with its own workspace and out. Allocates nothing.
 */
static inline w4moe_status w4moe_forward_dlpack(const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_dlpack_args *args) W4MOE_MUST_CHECK;

/* -------------------------------------------------------- not for callers */

/** The tensors of a call. */
enum {
    W4MOE_DLPACK_OUT,
    W4MOE_DLPACK_X,
    W4MOE_DLPACK_IDS,
    W4MOE_DLPACK_WEIGHTS,
    W4MOE_DLPACK_LOGITS,
    W4MOE_DLPACK_MAP,
    W4MOE_DLPACK_COUNTS,
    W4MOE_DLPACK_TENSORS
};

/** What a tensor must be, whatever the layer. */
struct w4moe_dlpack_kind {
    const char *name;
    /** 1 or 2. */
    int ndim;
    /** Not 0: rows may have a stride. */
    int strided;
    /** Of 1 << w4moe_dtype, or-ed; and in words. */
    unsigned dtypes;
    const char *types;
};

/** A tensor as rows in memory; one of one dimension is one row. Cleared: it is
 * not given. */
struct w4moe_dlpack_rows {
    void *data;
    w4moe_dtype dtype;
    size_t n_rows;
    size_t n_columns;
    /** Distance of rows in elements. */
    size_t stride;
    /** From the first element to behind the last. */
    size_t n_bytes;
};

/** A call while its tensors are looked at. */
struct w4moe_dlpack_call {
    w4moe_layer_info info;
    unsigned flags;
    /** Of x. */
    DLDevice device;
    struct w4moe_dlpack_rows rows[W4MOE_DLPACK_TENSORS];
};

static inline const struct w4moe_dlpack_kind *
w4moe_dlpack_kind_of(int which)
{
    enum {
        F32 = 1 << W4MOE_F32,
        HALVES = 1 << W4MOE_BF16 | 1 << W4MOE_F16,
        I32 = 1 << W4MOE_I32
    };
    static const struct w4moe_dlpack_kind kinds[W4MOE_DLPACK_TENSORS] = {
            {"out", 2, 1, HALVES, "bfloat16 or float16"},
            {"x", 2, 1, HALVES, "bfloat16 or float16"},
            {"ids", 2, 0, I32, "int32"},
            {"weights", 2, 0, F32, "float32"},
            {"router_logits", 2, 0, F32 | HALVES,
                    "float32, float16 or bfloat16"},
            {"expert_map", 1, 0, I32, "int32"},
            {"expert_counts", 1, 0, I32, "int32"},
    };
    return &kinds[which];
}

/** Records a failure in the layer's context. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline w4moe_status
w4moe_dlpack_fail(const struct w4moe_dlpack_call *call, w4moe_status status,
        const char *format, ...)
{
    char text[384];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    return w4moe_ctx_fail(call->info.ctx, status, text);
}

/* ------------------------------------------------------------------ types */

static inline w4moe_dtype
w4moe_dlpack_dtype(DLDataType type)
{
    int code = type.code;
    if (type.lanes != 1) {
        return W4MOE_DTYPE_NONE;
    }
    if (code == kDLBfloat && type.bits == 16) {
        return W4MOE_BF16;
    }
    if (code == kDLFloat && type.bits == 16) {
        return W4MOE_F16;
    }
    if (code == kDLFloat && type.bits == 32) {
        return W4MOE_F32;
    }
    return code == kDLInt && type.bits == 32 ? W4MOE_I32 : W4MOE_DTYPE_NONE;
}

/** Writes "float16", or "float32 x 4" of 4 lanes. */
static inline const char *
w4moe_dlpack_type_text(char text[64], DLDataType type)
{
    static const char *const codes[] = {
            "int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
    char code[32] = "";
    char lanes[16] = "";
    if (type.code >= sizeof(codes) / sizeof(codes[0])) {
        snprintf(code, sizeof(code), "type code %d, bits ", (int)type.code);
    }
    if (type.lanes != 1) {
        snprintf(lanes, sizeof(lanes), " x %d", (int)type.lanes);
    }
    snprintf(text, 64, "%s%d%s", code[0] != '\0' ? code : codes[type.code],
            (int)type.bits, lanes);
    return text;
}

static inline w4moe_status
w4moe_dlpack_check_type(
        struct w4moe_dlpack_call *call, int which, const DLTensor *tensor)
{
    const struct w4moe_dlpack_kind *kind = w4moe_dlpack_kind_of(which);
    struct w4moe_dlpack_rows *rows = &call->rows[which];
    DLDataType type = tensor->dtype;
    char text[64];
    rows->dtype = w4moe_dlpack_dtype(type);
    if ((kind->dtypes & 1u << rows->dtype) == 0) {
        int is_int64 = type.code == kDLInt && type.bits == 64;
        return w4moe_dlpack_fail(call, W4MOE_UNSUPPORTED,
                "forward: %s: elements are %s, not %s%s", kind->name,
                w4moe_dlpack_type_text(text, type), kind->types,
                which == W4MOE_DLPACK_IDS && is_int64
                        ? " (of PyTorch's topk() pass ids.to(torch.int32))"
                        : "");
    }
    if (which == W4MOE_DLPACK_OUT &&
            rows->dtype != call->rows[W4MOE_DLPACK_X].dtype) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: out: elements are %s, those of x are %s",
                w4moe_dtype_name(rows->dtype),
                w4moe_dtype_name(call->rows[W4MOE_DLPACK_X].dtype));
    }
    return W4MOE_OK;
}

/* ---------------------------------------------------------------- devices */

/** Writes "CUDA:0", or by its number a kind that has no name here. */
static inline const char *
w4moe_dlpack_device_text(char text[48], DLDevice device)
{
    int type = (int)device.device_type;
    const char *name = type == kDLCPU        ? "CPU"
                       : type == kDLCUDA     ? "CUDA"
                       : type == kDLCUDAHost ? "CUDAHost"
                       : type == kDLROCM     ? "ROCM"
                       : type == kDLROCMHost ? "ROCMHost"
                                             : NULL;
    if (name != NULL) {
        snprintf(text, 48, "%s:%d", name, (int)device.device_id);
    } else {
        snprintf(text, 48, "device type %d:%d", type, (int)device.device_id);
    }
    return text;
}

static inline w4moe_status
w4moe_dlpack_check_device(
        const struct w4moe_dlpack_call *call, const char *name, DLDevice device)
{
    int type = (int)device.device_type;
    int host_io = (call->flags & W4MOE_HOST_IO) != 0;
    int host = host_io || strcmp(call->info.backend, "cpu") == 0;
    int pinned = type == kDLCUDAHost || type == kDLROCMHost;
    int gpu = type == kDLROCM || type == kDLCUDA;
    char text[48];
    char text_of_x[48];
    w4moe_dlpack_device_text(text, device);
    if (host ? type != kDLCPU && !(pinned && host_io) : !gpu) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: it is on %s; backend %s takes tensors on %s",
                name, text, call->info.backend,
                !host     ? "ROCM or CUDA, on CPU with W4MOE_HOST_IO"
                : host_io ? "CPU, CUDAHost and ROCMHost with W4MOE_HOST_IO"
                          : "CPU, on CUDAHost and ROCMHost with W4MOE_HOST_IO");
    }
    if (!host && type != (int)call->device.device_type) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: it is on %s, x on %s", name, text,
                w4moe_dlpack_device_text(text_of_x, call->device));
    }
    if (!host && (int64_t)device.device_id != (int64_t)call->info.device) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: it is on %s, the layer on device %u", name, text,
                call->info.device);
    }
    return W4MOE_OK;
}

/* ------------------------------------------------------- shapes and memory */

/** Writes "[n]" or "[n_rows][n]"; a negative number is "any". */
static inline const char *
w4moe_dlpack_shape_text(char text[64], int ndim, int64_t n_rows, int64_t n)
{
    char numbers[2][24] = {"any", "any"};
    if (n_rows >= 0) {
        snprintf(numbers[0], sizeof(numbers[0]), "%lld", (long long)n_rows);
    }
    if (n >= 0) {
        snprintf(numbers[1], sizeof(numbers[1]), "%lld", (long long)n);
    }
    snprintf(text, 64, ndim == 2 ? "[%s][%s]" : "%.0s[%s]", numbers[0],
            numbers[1]);
    return text;
}

/** Takes the shape; n_rows and n_columns are what it must be, -1 for any. */
static inline w4moe_status
w4moe_dlpack_check_shape(struct w4moe_dlpack_call *call, int which,
        const DLTensor *tensor, int64_t n_rows, int64_t n_columns)
{
    const struct w4moe_dlpack_kind *kind = w4moe_dlpack_kind_of(which);
    struct w4moe_dlpack_rows *rows = &call->rows[which];
    if (tensor->ndim != kind->ndim) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: %d dimensions, not %d", kind->name,
                (int)tensor->ndim, kind->ndim);
    }
    int64_t got_rows = kind->ndim == 2 ? tensor->shape[0] : 1;
    int64_t got_columns = tensor->shape[kind->ndim - 1];
    int64_t least = got_rows < got_columns ? got_rows : got_columns;
    int64_t most = got_rows < got_columns ? got_columns : got_rows;
    if (least < 0 || (uint64_t)most > (uint64_t)PTRDIFF_MAX) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: a dimension of %lld", kind->name,
                (long long)(least < 0 ? least : most));
    }
    if ((n_rows >= 0 && got_rows != n_rows) ||
            (n_columns >= 0 && got_columns != n_columns)) {
        char got[64];
        char wanted[64];
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: the shape is %s, not %s", kind->name,
                w4moe_dlpack_shape_text(got, kind->ndim, got_rows, got_columns),
                w4moe_dlpack_shape_text(wanted, kind->ndim, n_rows, n_columns));
    }
    rows->n_rows = (size_t)got_rows;
    rows->n_columns = (size_t)got_columns;
    return W4MOE_OK;
}

/** Takes the strides of a tensor whose shape and type are known. */
static inline w4moe_status
w4moe_dlpack_check_strides(
        struct w4moe_dlpack_call *call, int which, const DLTensor *tensor)
{
    const struct w4moe_dlpack_kind *kind = w4moe_dlpack_kind_of(which);
    struct w4moe_dlpack_rows *rows = &call->rows[which];
    const int64_t *strides = tensor->strides;
    int64_t n = (int64_t)rows->n_columns;
    rows->stride = rows->n_columns;
    if (rows->n_rows == 0 || n == 0) {
        return W4MOE_OK;
    }
    if (strides != NULL && n > 1 && strides[kind->ndim - 1] != 1) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: elements of a row are %lld apart, not 1",
                kind->name, (long long)strides[kind->ndim - 1]);
    }
    int64_t stride = strides != NULL && rows->n_rows > 1 ? strides[0] : n;
    if (stride < n || (!kind->strided && stride != n)) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: rows of %lld elements are %lld apart, %s",
                kind->name, (long long)n, (long long)stride,
                kind->strided ? "which is less" : "not packed");
    }
    if ((uint64_t)stride > (uint64_t)(PTRDIFF_MAX / 8) / rows->n_rows) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: %zu rows that are %lld elements apart: too large",
                kind->name, rows->n_rows, (long long)stride);
    }
    rows->stride = (size_t)stride;
    rows->n_bytes = ((rows->n_rows - 1) * rows->stride + rows->n_columns) *
                    w4moe_dtype_size(rows->dtype);
    return W4MOE_OK;
}

/** Takes the pointer of a tensor of which all else is known. */
static inline w4moe_status
w4moe_dlpack_check_data(
        struct w4moe_dlpack_call *call, int which, const DLTensor *tensor)
{
    const char *name = w4moe_dlpack_kind_of(which)->name;
    struct w4moe_dlpack_rows *rows = &call->rows[which];
    size_t size = w4moe_dtype_size(rows->dtype);
    if (rows->n_bytes == 0) {
        return W4MOE_OK;
    }
    if (tensor->data == NULL) {
        return w4moe_dlpack_fail(
                call, W4MOE_INVALID, "forward: %s: data is NULL", name);
    }
    rows->data = (char *)tensor->data + (size_t)tensor->byte_offset;
    if ((uintptr_t)rows->data % size != 0) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: %s: data with byte_offset %llu are not aligned to "
                "%zu bytes",
                name, (unsigned long long)tensor->byte_offset, size);
    }
    return W4MOE_OK;
}

/** All of a tensor, which may be NULL; the numbers as for
 * w4moe_dlpack_check_shape(). */
static inline w4moe_status
w4moe_dlpack_check(struct w4moe_dlpack_call *call, int which,
        const DLTensor *tensor, int64_t n_rows, int64_t n_columns)
{
    if (tensor == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = w4moe_dlpack_check_device(
            call, w4moe_dlpack_kind_of(which)->name, tensor->device);
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check_type(call, which, tensor);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check_shape(
                call, which, tensor, n_rows, n_columns);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check_strides(call, which, tensor);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check_data(call, which, tensor);
    }
    return status;
}

/* ---------------------------------------------------------------- overlap */

/** Whether two tensors share memory; with different strides, whether the
 * memory from their first to their last elements does. */
static inline int
w4moe_dlpack_overlap(
        const struct w4moe_dlpack_rows *a, const struct w4moe_dlpack_rows *b)
{
    uintptr_t a_begin = (uintptr_t)a->data;
    uintptr_t b_begin = (uintptr_t)b->data;
    size_t a_size = w4moe_dtype_size(a->dtype);
    size_t b_size = w4moe_dtype_size(b->dtype);
    size_t stride = a->stride * a_size;
    if (a->n_bytes == 0 || b->n_bytes == 0 || a_begin + a->n_bytes <= b_begin ||
            b_begin + b->n_bytes <= a_begin) {
        return 0;
    }
    if (b->stride * b_size != stride) {
        return 1;
    }
    /* Both may be columns of one array: rows of b begin so many bytes behind
     * those of a. */
    size_t distance =
            b_begin >= a_begin
                    ? (b_begin - a_begin) % stride
                    : (stride - (a_begin - b_begin) % stride) % stride;
    return distance < a->n_columns * a_size ||
           stride - distance < b->n_columns * b_size;
}

/** What is written must not be anything else's, but out may be x. */
static inline w4moe_status
w4moe_dlpack_check_overlap(const struct w4moe_dlpack_call *call)
{
    const struct w4moe_dlpack_rows *x = &call->rows[W4MOE_DLPACK_X];
    const struct w4moe_dlpack_rows *out = &call->rows[W4MOE_DLPACK_OUT];
    int in_place = out->data == x->data && out->stride == x->stride;
    if (in_place && x->n_bytes != 0 && (call->flags & W4MOE_ACCUMULATE) != 0) {
        return w4moe_dlpack_fail(call, W4MOE_INVALID,
                "forward: out is x, which it cannot be with W4MOE_ACCUMULATE");
    }
    for (int i = 0; i < W4MOE_DLPACK_TENSORS; i++) {
        int written = W4MOE_DLPACK_OUT;
        int overlap = i != written && !(i == W4MOE_DLPACK_X && in_place) &&
                      w4moe_dlpack_overlap(out, &call->rows[i]);
        if (!overlap && i != W4MOE_DLPACK_COUNTS) {
            written = W4MOE_DLPACK_COUNTS;
            overlap = w4moe_dlpack_overlap(
                    &call->rows[W4MOE_DLPACK_COUNTS], &call->rows[i]);
        }
        if (overlap) {
            return w4moe_dlpack_fail(call, W4MOE_INVALID,
                    "forward: %s overlaps %s",
                    w4moe_dlpack_kind_of(written)->name,
                    w4moe_dlpack_kind_of(i)->name);
        }
    }
    return W4MOE_OK;
}

/* --------------------------------------------------------------- the call */

/** Fills call->rows. */
static inline w4moe_status
w4moe_dlpack_check_all(
        struct w4moe_dlpack_call *call, const w4moe_dlpack_args *args)
{
    const struct w4moe_dlpack_rows *rows = call->rows;
    const int64_t any = -1;
    const int64_t hidden = (int64_t)call->info.hidden_size;
    const size_t most = PTRDIFF_MAX;
    const int64_t top_k = (int64_t)(args->top_k < most ? args->top_k : most);
    int64_t n_global = (int64_t)call->info.n_experts_global;
    w4moe_status status =
            w4moe_dlpack_check(call, W4MOE_DLPACK_X, args->x, any, hidden);
    const int64_t n_tokens = (int64_t)rows[W4MOE_DLPACK_X].n_rows;
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(
                call, W4MOE_DLPACK_OUT, args->out, n_tokens, hidden);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(call, W4MOE_DLPACK_IDS, args->ids, n_tokens,
                top_k != 0 ? top_k : any);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(call, W4MOE_DLPACK_WEIGHTS, args->weights,
                n_tokens,
                args->ids != NULL ? (int64_t)rows[W4MOE_DLPACK_IDS].n_columns
                                  : any);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(
                call, W4MOE_DLPACK_MAP, args->expert_map, 1, any);
    }
    if (args->expert_map != NULL) {
        n_global = (int64_t)rows[W4MOE_DLPACK_MAP].n_columns;
    }
    if (status == W4MOE_OK && n_global == 0) {
        status = w4moe_dlpack_fail(
                call, W4MOE_INVALID, "forward: expert_map: it is empty");
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(call, W4MOE_DLPACK_LOGITS,
                args->router_logits, n_tokens, n_global);
    }
    if (status == W4MOE_OK) {
        status = w4moe_dlpack_check(
                call, W4MOE_DLPACK_COUNTS, args->expert_counts, 1, n_global);
    }
    return status == W4MOE_OK ? w4moe_dlpack_check_overlap(call) : status;
}

/** The plain arguments of a call that was checked. */
static inline void
w4moe_dlpack_fill(w4moe_forward_args *plain,
        const struct w4moe_dlpack_call *call, const w4moe_dlpack_args *args)
{
    const struct w4moe_dlpack_rows *rows = call->rows;
    memset(plain, 0, sizeof(*plain));
    plain->struct_size = sizeof(*plain);
    plain->out = rows[W4MOE_DLPACK_OUT].data;
    plain->out_stride = rows[W4MOE_DLPACK_OUT].stride;
    plain->x = rows[W4MOE_DLPACK_X].data;
    plain->x_stride = rows[W4MOE_DLPACK_X].stride;
    plain->dtype = rows[W4MOE_DLPACK_X].dtype;
    plain->n_tokens = rows[W4MOE_DLPACK_X].n_rows;
    plain->top_k =
            args->ids != NULL ? rows[W4MOE_DLPACK_IDS].n_columns : args->top_k;
    plain->ids = (const int32_t *)rows[W4MOE_DLPACK_IDS].data;
    plain->weights = (const float *)rows[W4MOE_DLPACK_WEIGHTS].data;
    plain->router_logits = rows[W4MOE_DLPACK_LOGITS].data;
    plain->logits_dtype = rows[W4MOE_DLPACK_LOGITS].dtype;
    plain->expert_map = (const int32_t *)rows[W4MOE_DLPACK_MAP].data;
    plain->n_experts_global = rows[W4MOE_DLPACK_MAP].n_columns;
    plain->flags = args->flags;
    plain->stream = args->stream;
    plain->expert_counts = (int32_t *)rows[W4MOE_DLPACK_COUNTS].data;
}

static inline w4moe_status
w4moe_forward_dlpack(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_dlpack_args *args)
{
    struct w4moe_dlpack_call call;
    memset(&call, 0, sizeof(call));
    call.info.struct_size = sizeof(call.info);
    w4moe_status status = w4moe_layer_get_info(layer, &call.info);
    if (status != W4MOE_OK) {
        return status;
    }
    if (args == NULL || args->struct_size != sizeof(*args) ||
            args->reserved != 0) {
        return w4moe_dlpack_fail(&call, W4MOE_INVALID, "w4moe_dlpack_args: %s",
                args == NULL          ? "it is NULL"
                : args->reserved != 0 ? "reserved is not 0"
                                      : "struct_size is not its size");
    }
    if (args->out == NULL || args->x == NULL) {
        return w4moe_dlpack_fail(&call, W4MOE_INVALID, "forward: %s is NULL",
                args->out == NULL ? "out" : "x");
    }
    call.flags = args->flags;
    call.device = args->x->device;
    status = w4moe_dlpack_check_all(&call, args);
    if (status != W4MOE_OK) {
        return status;
    }
    w4moe_forward_args plain;
    w4moe_dlpack_fill(&plain, &call, args);
    return w4moe_forward(layer, ws, &plain);
}

#ifdef __cplusplus
}
#endif

#endif
