/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Status values, number types and the context.
 *
 * Included by <w4moe.h>.
 */
#ifndef W4MOE_BASE_H
#define W4MOE_BASE_H

#include <stddef.h>
#include <stdint.h>

#include <w4moe/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(W4MOE_NO_MUST_CHECK)
#define W4MOE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define W4MOE_MUST_CHECK
#endif

/* ----------------------------------------------------------------- status */

/** How a call ended. */
typedef enum w4moe_status {
    /** Done; outputs are written. */
    W4MOE_OK = 0,

    /** The caller's arguments are wrong: a NULL, a size, an expert id out of
     * range. The same call will fail again. */
    W4MOE_INVALID = 1,

    /** The request is understood, but this build, backend or version does not
     * do it. The text names the thing. */
    W4MOE_UNSUPPORTED = 2,

    /** A file's content is wrong: damaged, incomplete, or of no known form. */
    W4MOE_FORMAT = 3,

    /** The operating system refused to open, read or write. */
    W4MOE_IO = 4,

    /** No memory, or the context's memory limit would be passed. The context
     * stays usable. */
    W4MOE_NOMEM = 5,

    /** A device or its driver failed. */
    W4MOE_DEVICE = 6,

    /** Data do not agree with what was expected of them: a hash, a
     * verification. */
    W4MOE_MISMATCH = 7,

    /** The caller's own callback asked to stop. */
    W4MOE_CANCELLED = 8
} w4moe_status;

/**
 * Name of a status.
 *
 * Returns: a constant string such as "invalid argument"; "unknown status" for
 * a value that is none of the enum.
 * Threads: any.
 */
extern W4MOE_API const char *w4moe_status_string(w4moe_status status);

/* ------------------------------------------------------------ number types */

/** Type of the elements of an array. The values never change. */
typedef enum w4moe_dtype {
    W4MOE_DTYPE_NONE = 0,
    W4MOE_F32 = 1,
    W4MOE_F16 = 2,
    W4MOE_BF16 = 3,
    W4MOE_F64 = 4,
    W4MOE_I8 = 5,
    W4MOE_U8 = 6,
    W4MOE_I16 = 7,
    W4MOE_U16 = 8,
    W4MOE_I32 = 9,
    W4MOE_U32 = 10,
    W4MOE_I64 = 11,
    W4MOE_U64 = 12,
    W4MOE_BOOL = 13,
    /** Exponent only, value 2^(byte - 127); 255 is NaN (OCP microscaling). */
    W4MOE_F8_E8M0 = 14,
    W4MOE_F8_E4M3 = 15,
    W4MOE_F8_E5M2 = 16
} w4moe_dtype;

/**
 * Bytes of one element.
 *
 * Returns: 1, 2, 4 or 8; 0 for W4MOE_DTYPE_NONE and unknown values.
 * Threads: any.
 */
extern W4MOE_API size_t w4moe_dtype_size(w4moe_dtype dtype);

/**
 * Name of a type as safetensors files spell it, for example "BF16".
 *
 * Returns: a constant string; "NONE" for W4MOE_DTYPE_NONE and unknown values.
 * Threads: any.
 */
extern W4MOE_API const char *w4moe_dtype_name(w4moe_dtype dtype);

/* ---------------------------------------------------------------- context */

/** A context: the chosen backend, its threads, and where errors go. Opaque.
 * It may be shared by threads through const pointers, and must outlive the
 * files and layers made with it. */
typedef struct w4moe_ctx w4moe_ctx;

/** Weight of a log line. */
typedef enum w4moe_log_level {
    W4MOE_LOG_ERROR = 1,
    W4MOE_LOG_WARNING = 2,
    W4MOE_LOG_INFO = 3
} w4moe_log_level;

/** Receives one line of text without newline. May be called by several
 * threads at once. `text` is valid during the call only. */
typedef void w4moe_log_fn(void *user, w4moe_log_level level, const char *text);

/** How to create a context. Zero in a field means its default. */
typedef struct w4moe_ctx_options {
    /** sizeof(w4moe_ctx_options). */
    size_t struct_size;

    /** "auto" (or NULL): the best backend present; "cpu"; "hip". An explicit
     * name that cannot be had is a failure, never replaced. */
    const char *backend;

    /** Index of the device among those of the backend; the CPU has only 0. */
    unsigned device;

    /** Threads of the CPU backend and of conversion; 0 means what OpenMP
     * would use (OMP_NUM_THREADS, else the processors this process may use).
     * At most 4096. */
    unsigned n_threads;

    /** Upper bound in bytes on the memory that objects of this context hold
     * (layers that own copies, workspaces, w4moe_memory_alloc()); 0 means
     * none. */
    uint64_t memory_limit;

    /** Receives log lines and the text of every failure; may be NULL. */
    w4moe_log_fn *log;
    /** Passed to `log`. */
    void *log_user;
} w4moe_ctx_options;

/**
 * Creates a context.
 *
 * The environment variable W4MOE_CPU, if set, names the CPU kernel variant to
 * use (see w4moe(7)); an unknown name is refused. W4MOE_BACKEND_DIR, if set,
 * names the folder of the modules of backends. Both are read here, once, and
 * ignored in set-user-id programs.
 *
 * Out: *ctx_p the context; release it with w4moe_ctx_destroy().
 * In: options may be NULL for all defaults.
 * Returns: W4MOE_OK; W4MOE_INVALID (struct_size, more than 4096 threads, no
 *     such device); W4MOE_UNSUPPORTED (backend or variant not here);
 *     W4MOE_DEVICE (a backend found no device, or it failed); W4MOE_NOMEM.
 *     There is no context yet to ask for the text: it goes to options->log.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_ctx_create(
        w4moe_ctx **ctx_p, const w4moe_ctx_options *options) W4MOE_MUST_CHECK;

/**
 * Releases a context. Its files, layers and workspaces must be gone already.
 *
 * In: ctx may be NULL.
 * Threads: no other thread may use the context.
 */
extern W4MOE_API void w4moe_ctx_destroy(w4moe_ctx *ctx);

/**
 * Text of the last failure that this thread met in this context: what was
 * wrong, with the values.
 *
 * Returns: a string without newline, "" if there was none. It stays valid
 *     until this thread's next failure or the end of the context; a context
 *     keeps the texts of the 32 threads that failed last.
 * Threads: any; each sees its own.
 */
extern W4MOE_API const char *w4moe_ctx_error(const w4moe_ctx *ctx);

/**
 * One paragraph about the context: backend, device, threads and kernel variant
 * in use, and why every other backend is not.
 *
 * Returns: a string that lives as long as the context; lines end in newline.
 * Threads: any.
 */
extern W4MOE_API const char *w4moe_ctx_describe(const w4moe_ctx *ctx);

/**
 * Records and logs a failure of this thread, as the library does with its own.
 * For code between a caller and this library, such as <w4moe/dlpack.h>, so
 * that w4moe_ctx_error() tells its failures, too.
 *
 * In: ctx may be NULL: nothing is recorded; text, one line, of which control
 *     characters become '?', cut at 511 bytes.
 * Returns: status. W4MOE_OK is not recorded.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_ctx_fail(const w4moe_ctx *ctx,
        w4moe_status status, const char *text) W4MOE_MUST_CHECK;

/* ----------------------------------------------------------------- memory */

/** Where memory is. On the CPU backend all three are the same. */
typedef enum w4moe_memory {
    W4MOE_MEMORY_HOST = 0,
    /** Host memory that the device copies from and to at its full speed. */
    W4MOE_MEMORY_PINNED = 1,
    W4MOE_MEMORY_DEVICE = 2
} w4moe_memory;

/**
 * Memory of a context, counted under its memory_limit: for buffers of callers,
 * and of libraries between them and this one.
 *
 * Out: *memory_p, aligned to 64 bytes, not set to anything; release it with
 *     w4moe_memory_free(). NULL if n_bytes is 0.
 * Returns: W4MOE_OK; W4MOE_INVALID; W4MOE_NOMEM; W4MOE_DEVICE.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_memory_alloc(const w4moe_ctx *ctx,
        void **memory_p, uint64_t n_bytes, w4moe_memory where) W4MOE_MUST_CHECK;

/**
 * Releases it.
 *
 * In: memory may be NULL; n_bytes and where as they were asked for.
 * Threads: any.
 */
extern W4MOE_API void w4moe_memory_free(const w4moe_ctx *ctx, void *memory,
        uint64_t n_bytes, w4moe_memory where);

/**
 * Copies between any of these kinds of memory, after what the stream has to do
 * already, and waits until it is done.
 *
 * In: from, n_bytes of it; must not overlap to; stream of the backend, NULL on
 *     the CPU.
 * Returns: W4MOE_OK; W4MOE_INVALID; W4MOE_DEVICE.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_memory_copy(const w4moe_ctx *ctx, void *to,
        const void *from, uint64_t n_bytes, void *stream) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
