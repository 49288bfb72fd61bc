/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the fuzz targets share. A target is a file fuzz_NAME.c that defines
 * LLVMFuzzerTestOneInput(), and LLVMFuzzerCustomMutator() if bytes changed
 * anywhere seldom get far in it. Linked with libFuzzer it searches; linked with
 * replay.c it is a test.
 *
 * Nothing here needs Check: libFuzzer knows nothing of it. What must not happen
 * ends the process by abort().
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <w4moe.h>

#include "base/err.h"

/** The entry points that libFuzzer looks for. */
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern size_t LLVMFuzzerCustomMutator(
        uint8_t *data, size_t size, size_t max_size, unsigned seed);

/** Changes bytes in place, to at most max_size of them. Of libFuzzer, or of
 * replay.c. Returns the new size, 0 if nothing could be changed. */
extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/** Ends the process with a line that says where, unless it holds. */
#define FUZZ_CHECK(condition)                                                  \
    ((condition) ? (void)0 : fuzz_abort(__FILE__, __LINE__, #condition))
extern void fuzz_abort(const char *file, int line, const char *what)
        __attribute__((noreturn));

/** A copy of an input in memory of its own size, so that a read behind it is
 * seen. Free it. */
extern char *fuzz_copy(const uint8_t *data, size_t size);

/* ---------------------------------------------------------------- failures */

/** A status as a bit, for sets of them. */
#define FUZZ_BIT(status) (1u << (status))

/** What a reader may say of foreign bytes that are where they should be: OK,
 * FORMAT, UNSUPPORTED. Not IO, since the file can be read; not NOMEM, since
 * inputs are small; not INVALID, since the arguments are in order. */
enum {
    FUZZ_READER = FUZZ_BIT(W4MOE_OK) | FUZZ_BIT(W4MOE_FORMAT) |
                  FUZZ_BIT(W4MOE_UNSUPPORTED)
};

/** Where failures go: for functions that take a struct w4_err, and a context
 * with one thread on the CPU. Both are made once. */
extern struct w4_err *fuzz_err(void);
extern w4moe_ctx *fuzz_ctx(void);

/** Checks how a call ended: with a status of the set, and, unless that is OK,
 * with the text of a failure, one line of printable characters, that came since
 * the last fuzz_status(). Returns whether it is OK. */
extern int fuzz_status(w4moe_status status, unsigned expected);

/* ------------------------------------------------------------------ memory */

/** Counts the bytes that are allocated at once, from here on; the second checks
 * that there were at most factor * size + constant. Where the allocator tells
 * nobody (that is, without the address sanitizer) they do nothing. */
extern void fuzz_memory_begin(void);
extern void fuzz_memory_end(size_t size, size_t factor, size_t constant);

/* ------------------------------------------------------------------- files */

/** A file in memory with these bytes, for a function that wants a path. The
 * path is valid, and the bytes stay, until the next call. */
extern const char *fuzz_file(const uint8_t *data, size_t size);

/** A folder of this process, made once; it is removed at exit() with the files
 * in it. In $TMPDIR, or /tmp. */
extern const char *fuzz_folder(void);

/** Writes a file in that folder. */
extern void fuzz_folder_write(
        const char *name, const uint8_t *data, size_t size);

/** Several files as one input: before each but the last 4 bytes,
 * little-endian, with its length. A length beyond the end means all that is
 * there. */
struct fuzz_part {
    const uint8_t *data;
    size_t size;
};
enum { FUZZ_PARTS_MAX = 4 };
extern void fuzz_split(
        struct fuzz_part *parts, size_t n, const uint8_t *data, size_t size);

/** The reverse. Returns the size, 0 if there is not enough room. */
extern size_t fuzz_join(
        uint8_t *out, size_t room, const struct fuzz_part *parts, size_t n);

/* ---------------------------------------------------------------- mutators */

/** A mutator of safetensors files: fuzz_mutate_tensors(); or it changes the
 * header's text, and makes its length right again; else the data, or
 * anything. */
extern size_t fuzz_mutate_st(
        uint8_t *data, size_t size, size_t max_size, unsigned seed);

/** Changes what a good safetensors file holds, so that it is a good one again.
 * Returns 0, and has changed nothing, if it is none, or too large. */
extern size_t fuzz_mutate_tensors(
        uint8_t *data, size_t size, size_t max_size, unsigned seed);

/** A mutator of GGUF files: it changes a key's value, or a tensor, and writes a
 * file that is good but for that; else anything. */
extern size_t fuzz_mutate_gguf(
        uint8_t *data, size_t size, size_t max_size, unsigned seed);

/** A mutator of n such files, 2 at least: it changes one of them; those from
 * first_st on are safetensors files. */
extern size_t fuzz_mutate_parts(uint8_t *data, size_t size, size_t max_size,
        unsigned seed, size_t n, size_t first_st);

/* ------------------------------------------------------------------- seeds */

/** Receives a seed. */
typedef void fuzz_seed_fn(
        void *user, const char *name, const uint8_t *data, size_t size);

/** Makes the seeds of a target; none for one that has them all in its corpus
 * folder. For Check tests only: what goes wrong ends the test. */
extern void fuzz_seeds(const char *target, fuzz_seed_fn *take, void *user);

#endif
