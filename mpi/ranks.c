/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "ranks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

/* Bytes of a text, as the library keeps them, and of options. */
enum { TEXT_MAX = 512, CHUNK_TOKENS_MAX = 65536 };

/* ----------------------------------------------------------------- failures */

w4moe_status
w4_mpi_fail(const w4moe_ctx *ctx, w4moe_status status, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return w4moe_ctx_fail(ctx, status, text);
}

w4moe_status
w4_mpi_check(const w4moe_ctx *ctx, int code, const char *call)
{
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length;
    if (code == MPI_SUCCESS) {
        return W4MOE_OK;
    }
    (void)MPI_Error_string(code, text, &length);
    return w4_mpi_fail(ctx, W4MOE_DEVICE, "%s: %s", call, text);
}

/* ---------------------------------------------------------------- agreement */

/* What the rank that failed tells the others. */
struct message {
    int32_t status;
    char text[TEXT_MAX];
};

/* Every rank gets the message of rank `from`. */
static w4moe_status
hear(const w4moe_mpi *mpi, int from, w4moe_status status)
{
    struct message message = {.status = (int32_t)status};
    int is_mine = mpi->rank == from;
    if (is_mine) {
        snprintf(message.text, sizeof(message.text), "%s",
                w4moe_ctx_error(mpi->ctx));
    }
    w4moe_status sent = w4_mpi_check(mpi->ctx,
            MPI_Bcast(&message, sizeof(message), MPI_BYTE, from, mpi->comm),
            "MPI_Bcast");
    if (sent != W4MOE_OK || status != W4MOE_OK) {
        /* A rank that failed itself has a text of its own. */
        return sent != W4MOE_OK ? sent : status;
    }
    message.text[sizeof(message.text) - 1] = '\0';
    return w4_mpi_fail(mpi->ctx, (w4moe_status)message.status,
            "rank %d: %.480s", from, message.text);
}

w4moe_status
w4moe_mpi_agree(const w4moe_mpi *mpi, w4moe_status status)
{
    if (mpi == NULL) {
        return W4MOE_INVALID;
    }
    /* Of equal values MPI_MAXLOC takes the lowest rank. */
    struct {
        int failed;
        int rank;
    } mine = {status != W4MOE_OK, mpi->rank}, first;
    w4moe_status sent = w4_mpi_check(mpi->ctx,
            MPI_Allreduce(&mine, &first, 1, MPI_2INT, MPI_MAXLOC, mpi->comm),
            "MPI_Allreduce");
    if (sent != W4MOE_OK || !first.failed) {
        return sent;
    }
    return hear(mpi, first.rank, status);
}

w4moe_status
w4_mpi_same(const w4moe_mpi *mpi, w4moe_status status, const uint64_t *values,
        const char *const *names, int n)
{
    uint64_t first[W4_MPI_VALUES_MAX];
    status = w4moe_mpi_agree(mpi, status);
    if (status != W4MOE_OK) {
        return status;
    }
    memcpy(first, values, (size_t)n * sizeof(first[0]));
    status = w4_mpi_check(mpi->ctx,
            MPI_Bcast(first, n, MPI_UINT64_T, 0, mpi->comm), "MPI_Bcast");
    if (status != W4MOE_OK) {
        return status;
    }
    for (int i = 0; i < n && status == W4MOE_OK; i++) {
        if (values[i] != first[i]) {
            status = w4_mpi_fail(mpi->ctx, W4MOE_INVALID,
                    "%s is %" PRIu64 ", on rank 0 %" PRIu64, names[i],
                    values[i], first[i]);
        }
    }
    return w4moe_mpi_agree(mpi, status);
}

/* ------------------------------------------------------------------ options */

w4moe_status
w4_mpi_struct_in(const w4moe_ctx *ctx, void *own, size_t size,
        const void *callers, const char *what)
{
    size_t n;
    if (callers == NULL) {
        return w4_mpi_fail(ctx, W4MOE_INVALID, "%s is NULL", what);
    }
    memcpy(&n, callers, sizeof(n));
    if (n < size) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "%s: struct_size %zu, at least %zu", what, n, size);
    }
    for (size_t i = size; i < n; i++) {
        if (((const char *)callers)[i] != 0) {
            return w4_mpi_fail(ctx, W4MOE_UNSUPPORTED,
                    "%s: a field that this version does not know, at byte %zu",
                    what, i);
        }
    }
    memcpy(own, callers, size);
    return W4MOE_OK;
}

static w4moe_status
take_options(const w4moe_ctx *ctx, w4moe_mpi_options *own,
        const w4moe_mpi_options *callers)
{
    *own = (w4moe_mpi_options){.struct_size = sizeof(*own)};
    if (callers == NULL) {
        return W4MOE_OK;
    }
    w4moe_status status = w4_mpi_struct_in(
            ctx, own, sizeof(*own), callers, "w4moe_mpi_options");
    if (status != W4MOE_OK) {
        return status;
    }
    if (own->chunk_tokens > CHUNK_TOKENS_MAX) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "w4moe_mpi_options: chunk_tokens %zu, at most %d",
                own->chunk_tokens, CHUNK_TOKENS_MAX);
    }
    if (own->progress != W4MOE_MPI_PROGRESS_AUTO &&
            own->progress != W4MOE_MPI_PROGRESS_NONE &&
            own->progress != W4MOE_MPI_PROGRESS_THREAD) {
        return w4_mpi_fail(ctx, W4MOE_INVALID, "w4moe_mpi_options: progress %d",
                (int)own->progress);
    }
    if (own->device_aware != W4MOE_MPI_DEVICE_AWARE_AUTO &&
            own->device_aware != W4MOE_MPI_DEVICE_AWARE_NO &&
            own->device_aware != W4MOE_MPI_DEVICE_AWARE_YES) {
        return w4_mpi_fail(ctx, W4MOE_INVALID,
                "w4moe_mpi_options: device_aware %d", (int)own->device_aware);
    }
    return W4MOE_OK;
}

static w4moe_status
make_progress(w4moe_mpi *mpi, w4moe_mpi_progress progress)
{
    int level;
    (void)MPI_Query_thread(&level);
    int can = level == MPI_THREAD_SERIALIZED || level == MPI_THREAD_MULTIPLE;
    if (progress == W4MOE_MPI_PROGRESS_THREAD && !can) {
        return w4_mpi_fail(mpi->ctx, W4MOE_UNSUPPORTED,
                "mpi_create: progress by a thread, but MPI was initialised "
                "without MPI_THREAD_SERIALIZED");
    }
    if (progress == W4MOE_MPI_PROGRESS_NONE || !can ||
            (progress == W4MOE_MPI_PROGRESS_AUTO && mpi->n_ranks == 1)) {
        return W4MOE_OK;
    }
    return w4_mpi_progress_create(mpi->ctx, &mpi->progress);
}

static w4moe_status
check_arguments(const w4moe_ctx *ctx, w4moe_mpi *const *mpi_p, MPI_Comm comm)
{
    int begun = 0;
    int ended = 0;
    int inter = 0;
    if (ctx == NULL || mpi_p == NULL) {
        return w4moe_ctx_fail(
                ctx, W4MOE_INVALID, "mpi_create: ctx or mpi_p is NULL");
    }
    (void)MPI_Initialized(&begun);
    (void)MPI_Finalized(&ended);
    if (!begun || ended || comm == MPI_COMM_NULL) {
        return w4_mpi_fail(ctx, W4MOE_INVALID, "mpi_create: %s",
                !begun  ? "MPI is not initialised"
                : ended ? "MPI is finalised"
                        : "comm is MPI_COMM_NULL");
    }
    w4moe_status status = w4_mpi_check(
            ctx, MPI_Comm_test_inter(comm, &inter), "MPI_Comm_test_inter");
    if (status == W4MOE_OK && inter) {
        status = w4_mpi_fail(ctx, W4MOE_UNSUPPORTED,
                "mpi_create: comm is an intercommunicator");
    }
    return status;
}

/* A communicator of the library's own, whose errors come back. */
static w4moe_status
take_comm(w4moe_mpi *mpi, MPI_Comm comm)
{
    const w4moe_ctx *ctx = mpi->ctx;
    w4moe_status status =
            w4_mpi_check(ctx, MPI_Comm_dup(comm, &mpi->comm), "MPI_Comm_dup");
    if (status != W4MOE_OK) {
        return status;
    }
    status = w4_mpi_check(ctx,
            MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN),
            "MPI_Comm_set_errhandler");
    if (status == W4MOE_OK) {
        status = w4_mpi_check(
                ctx, MPI_Comm_rank(mpi->comm, &mpi->rank), "MPI_Comm_rank");
    }
    if (status == W4MOE_OK) {
        status = w4_mpi_check(
                ctx, MPI_Comm_size(mpi->comm, &mpi->n_ranks), "MPI_Comm_size");
    }
    if (status != W4MOE_OK) {
        (void)MPI_Comm_free(&mpi->comm);
    }
    return status;
}

w4moe_status
w4moe_mpi_create(const w4moe_ctx *ctx, w4moe_mpi **mpi_p, MPI_Comm comm,
        const w4moe_mpi_options *options)
{
    static const char *const names[] = {
            "chunk_tokens", "progress", "device_aware"};
    w4moe_mpi own = {.ctx = ctx};
    w4moe_mpi_options taken;
    w4moe_status status = check_arguments(ctx, mpi_p, comm);
    if (status == W4MOE_OK) {
        status = take_comm(&own, comm);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    status = take_options(ctx, &taken, options);
    own.chunk_tokens = taken.chunk_tokens;
    own.device_aware = w4_mpi_find_aware(taken.device_aware);
    own.progress_is_auto = taken.progress == W4MOE_MPI_PROGRESS_AUTO;
    if (status == W4MOE_OK) {
        status = make_progress(&own, taken.progress);
    }
    w4moe_mpi *mpi = malloc(sizeof(*mpi));
    if (status == W4MOE_OK && mpi == NULL) {
        status = w4_mpi_fail(ctx, W4MOE_NOMEM, "no memory for ranks");
    }
    const uint64_t values[] = {
            own.chunk_tokens, taken.progress, (uint64_t)taken.device_aware};
    status = w4_mpi_same(&own, status, values, names, 3);
    if (status != W4MOE_OK) {
        w4_mpi_progress_destroy(own.progress);
        (void)MPI_Comm_free(&own.comm);
        free(mpi);
        return status;
    }
    *mpi = own;
    *mpi_p = mpi;
    return W4MOE_OK;
}

void
w4moe_mpi_destroy(w4moe_mpi *mpi)
{
    if (mpi != NULL) {
        w4_mpi_progress_destroy(mpi->progress);
        (void)MPI_Comm_free(&mpi->comm);
        free(mpi);
    }
}
