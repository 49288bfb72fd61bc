/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Expert parallelism: the experts of a layer spread over the ranks of an MPI
 * communicator. In a library of its own, libw4moe-mpi (pkg-config w4moe-mpi),
 * and not included by <w4moe.h>.
 *
 * Each rank has tokens of its own, sends each to the ranks that have its
 * experts, computes what it was sent, and adds up what comes back. Calls marked
 * "collective" are made by all ranks of the communicator, in the same order,
 * and end in the same way on all of them: when one rank fails, every other one
 * gets a status that is not W4MOE_OK, too, with a text that names the rank and
 * what it met ("rank 3: ..."). The exception is a failure of MPI itself
 * (W4MOE_DEVICE), after which the communicator is of no more use, and of
 * arguments without which there is nothing to talk by: those marked "not NULL".
 *
 * MPI must have been initialised. With MPI_THREAD_SERIALIZED or more a thread
 * of the library drives MPI while the experts are computed, so that data move
 * meanwhile. During a collective call no other thread may call MPI, unless it
 * was initialised with MPI_THREAD_MULTIPLE.
 */
#ifndef W4MOE_MPI_H
#define W4MOE_MPI_H

/* Of MPI only what C has: C++ bindings would need libraries of their own. */
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <w4moe.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The ranks of a communicator. Opaque. */
typedef struct w4moe_mpi w4moe_mpi;

/** A layer whose experts are spread over ranks. Opaque. */
typedef struct w4moe_mpi_layer w4moe_mpi_layer;

/** Memory for one call at a time. Opaque. */
typedef struct w4moe_mpi_workspace w4moe_mpi_workspace;

/** Who drives MPI while experts are computed. */
typedef enum w4moe_mpi_progress {
    /** A thread, if MPI was initialised for that and there is more than one
     * rank; but nobody in calls in which MPI gets pointers to device memory:
     * not every library lets a thread use them in which no device was chosen.
     */
    W4MOE_MPI_PROGRESS_AUTO = 0,
    /** Nobody: what MPI does by itself. */
    W4MOE_MPI_PROGRESS_NONE = 1,
    /** A thread. */
    W4MOE_MPI_PROGRESS_THREAD = 2
} w4moe_mpi_progress;

/** Whether the MPI library takes pointers to the backend's device memory. It
 * matters for calls with such pointers, on a GPU without W4MOE_HOST_IO. */
typedef enum w4moe_mpi_device_aware {
    /** What it says itself, if it has a function for that which was there when
     * this library was built: MPIX_Query_rocm_support() and its like.
     * Otherwise no. */
    W4MOE_MPI_DEVICE_AWARE_AUTO = 0,
    /** No: rows and results go through pinned host memory. */
    W4MOE_MPI_DEVICE_AWARE_NO = 1,
    /** Yes, as the caller knows: many libraries cannot say. MPI gets pointers
     * to device memory; one that cannot use them crashes. */
    W4MOE_MPI_DEVICE_AWARE_YES = 2
} w4moe_mpi_device_aware;

/** How to use the ranks. Zero in a field means its default. All ranks give the
 * same. */
typedef struct w4moe_mpi_options {
    /** sizeof(w4moe_mpi_options). */
    size_t struct_size;
    /** Tokens of a rank in a chunk: experts of one chunk are computed while the
     * rows of the next and the results of the last are on their way. 0: as many
     * as give each expert about 16 rows. At most 65536. */
    size_t chunk_tokens;
    w4moe_mpi_progress progress;
    w4moe_mpi_device_aware device_aware;
} w4moe_mpi_options;

/**
 * Takes the ranks of a communicator, which it duplicates. Collective.
 *
 * Out: *mpi_p; release it with w4moe_mpi_destroy(). Not NULL.
 * In: ctx, not NULL, each rank its own, must outlive it; comm, an
 *     intracommunicator; options may be NULL for all defaults.
 * Returns: W4MOE_OK; W4MOE_INVALID (struct_size, options; MPI is not
 *     initialised); W4MOE_UNSUPPORTED (an intercommunicator; progress by a
 *     thread, but MPI was initialised for less than MPI_THREAD_SERIALIZED);
 *     W4MOE_NOMEM; W4MOE_DEVICE.
 * Threads: see above.
 */
extern W4MOE_API w4moe_status w4moe_mpi_create(const w4moe_ctx *ctx,
        w4moe_mpi **mpi_p, MPI_Comm comm,
        const w4moe_mpi_options *options) W4MOE_MUST_CHECK;

/** Releases it, before MPI_Finalize(); may be NULL. Its layers and workspaces
 * must be gone already. Collective. */
extern W4MOE_API void w4moe_mpi_destroy(w4moe_mpi *mpi);

/**
 * What became of a step that ranks take apart, on all of them. For what comes
 * before a collective call, such as opening a file.
 *
 * In: mpi, not NULL; status of this rank's step, whose text is that of
 *     w4moe_ctx_error().
 * Returns: W4MOE_OK if all ranks have that; this rank's status if it is
 *     another; else that of the first rank that failed, whose text is then
 *     this context's, too. W4MOE_DEVICE.
 * Threads: see above. Collective.
 */
extern W4MOE_API w4moe_status w4moe_mpi_agree(
        const w4moe_mpi *mpi, w4moe_status status) W4MOE_MUST_CHECK;

/**
 * Loads this rank's experts of a layer of a container, which may be another
 * container on each rank, if it has them (see moe-convert(1), --experts), and
 * the router.
 *
 * A rank may have no experts. It loads the first of its container all the same,
 * for a layer has one, and is never asked for it.
 *
 * Out: *layer_p; release it with w4moe_mpi_layer_destroy(). Not NULL.
 * In: mpi, not NULL; layer, its number in the model; owners, the rank of each
 *     of the model's experts, the same on all ranks, NULL: block after block,
 *     of sizes that differ by one at most; flags, of W4MOE_LAYER_*, or 0.
 * Returns: as w4moe_layer_load_list(); W4MOE_INVALID (owners that are no ranks
 *     or differ from rank to rank, layers of different sizes); W4MOE_DEVICE.
 * Threads: see above. Collective.
 */
extern W4MOE_API w4moe_status w4moe_mpi_layer_load(const w4moe_mpi *mpi,
        w4moe_mpi_layer **layer_p, const w4moe_file *file, uint32_t layer,
        const int32_t *owners, unsigned flags) W4MOE_MUST_CHECK;

/**
 * The same of layers that the caller has made: for arrays in memory, and for
 * shared experts, which all ranks have and compute for their own tokens.
 *
 * In: local, of this rank, not NULL: its experts are those that owners gives to
 *     this rank, by ascending number, of n_experts_global; of a rank without
 *     any they do not matter. It must outlive the result.
 * Returns: as w4moe_mpi_layer_load().
 * Threads: see above. Collective.
 */
extern W4MOE_API w4moe_status w4moe_mpi_layer_create(const w4moe_mpi *mpi,
        w4moe_mpi_layer **layer_p, const w4moe_layer *local,
        const int32_t *owners) W4MOE_MUST_CHECK;

/** Releases a layer, and what w4moe_mpi_layer_load() loaded; may be NULL. Its
 * workspaces must be gone already. Not collective. */
extern W4MOE_API void w4moe_mpi_layer_destroy(w4moe_mpi_layer *layer);

/** This rank's part of a layer, which lives as long as it. Not collective. */
extern W4MOE_API const w4moe_layer *w4moe_mpi_layer_local(
        const w4moe_mpi_layer *layer);

/**
 * Makes a workspace for calls of up to max_tokens tokens on this rank and top_k
 * experts each. Its memory does not depend on how experts are chosen: a chunk
 * of every rank may go to one of them. With a GPU it has memory of the device,
 * too: buffers of one chunk, of two if MPI takes pointers to them.
 *
 * Out: *ws_p; release it with w4moe_mpi_workspace_destroy(). Not NULL.
 * In: layer, not NULL; max_tokens of this rank, 0 is allowed; top_k, the same
 *     on all ranks.
 * Returns: W4MOE_OK; W4MOE_INVALID; W4MOE_NOMEM; W4MOE_DEVICE.
 * Threads: see above. Collective.
 */
extern W4MOE_API w4moe_status w4moe_mpi_workspace_create(
        const w4moe_mpi_layer *layer, w4moe_mpi_workspace **ws_p,
        size_t max_tokens, size_t top_k) W4MOE_MUST_CHECK;

/** Releases a workspace; may be NULL. Not collective. */
extern W4MOE_API void w4moe_mpi_workspace_destroy(w4moe_mpi_workspace *ws);

/** Where the time of a call went on this rank, in seconds; and what moved. */
typedef struct w4moe_mpi_times {
    /** sizeof(w4moe_mpi_times). */
    size_t struct_size;
    double total;
    /** Choosing experts, and telling each rank how much it will get. */
    double prepare;
    /** Copying rows to where they are sent from, and waiting for those of
     * others. */
    double dispatch;
    /** Computing experts. */
    double compute;
    /** Waiting for results. */
    double combine;
    /** Adding them up, with the shared experts; on a GPU with pointers to its
     * memory only what the call waits for. */
    double add;
    size_t n_chunks;
    /** Rows computed here, and their slots. */
    uint64_t n_rows;
    uint64_t n_slots;
    /** Sent to other ranks: rows with their choices, and results. */
    uint64_t bytes_dispatched;
    uint64_t bytes_combined;
} w4moe_mpi_times;

/**
 * Computes the layer for this rank's tokens: what w4moe_forward() would with
 * all experts. Arguments are the same, but for expert_map and n_experts_global,
 * which must be 0, and W4MOE_NO_SHARED, which leaves them out on this rank. Any
 * rank may have no tokens. top_k, dtype and the flag W4MOE_BATCH_INVARIANT are
 * the same on all ranks, W4MOE_ROUTER_WEIGHT_ON_INPUT on those with tokens, and
 * ws is of the same collective call; where their memory is need not be the
 * same.
 *
 * With W4MOE_BATCH_INVARIANT the bits of out are the same however many ranks
 * there are and whatever they have: each slot's result comes back in fp32 and
 * is added in the order of the experts. On the CPU they are those of
 * w4moe_forward(). On GPUs that is among devices of one kind, and
 * w4moe_forward() adds in another order there, that of the choices. Without
 * the flag, each rank adds up what it has of a token, in fp32, and one sum
 * comes back from it: less to move, the same bits from run to run, but other
 * roundings of fp32 for another number of ranks. Either way there is one
 * rounding to out_dtype.
 *
 * On a GPU without W4MOE_HOST_IO, all arrays are in device memory, as those of
 * w4moe_forward(), and rows and results go from there, by MPI if it takes such
 * pointers (see w4moe_mpi_device_aware) or else through pinned memory of the
 * workspace. The call works in args->stream, after what that has to do
 * already, and waits for it, so that it cannot be captured; but the last sums
 * may not be done when it returns: out is there when the stream has done its
 * work. The next call with this workspace is made with the same stream, or
 * after that. Ids come to the host and are looked at there: unlike
 * w4moe_forward() it refuses those that are out of range.
 *
 * In/out: ws, made for at least these sizes, and by a layer of these sizes.
 *     Out: *times, if it is not NULL (struct_size set by the caller).
 * In: layer and ws, not NULL.
 * Returns: as w4moe_forward(); W4MOE_DEVICE. If it is not W4MOE_OK on one rank,
 *     it is on none, and what out and expert_counts hold is not defined.
 * Threads: see above. Collective.
 */
extern W4MOE_API w4moe_status w4moe_mpi_forward(const w4moe_mpi_layer *layer,
        w4moe_mpi_workspace *ws, const w4moe_forward_args *args,
        w4moe_mpi_times *times) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
