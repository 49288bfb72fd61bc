/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the machine can do; see limits.h. */
#include "limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/mem.h"
#include "common.h"
#include "peak.h"

static const uint64_t buffer_min = (uint64_t)256 << 20;
static const uint64_t buffer_max = (uint64_t)1 << 30;
static const double read_seconds = 0.25;
static const double peak_seconds = 0.15;

/* What a thread reads is a multiple of this. */
enum { BLOCK = 512 };

/* The size of the buffer is a multiple of this, whatever its memory is. */
enum { BUFFER_STEP = W4_MEM_HUGE_ALIGN };

unsigned
limits_default_threads(void)
{
#ifdef _OPENMP
    return (unsigned)omp_get_max_threads();
#else
    return 1;
#endif
}

static uint64_t
positive(long value)
{
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t
last_level_cache(void)
{
    uint64_t size = 0;
#ifdef _SC_LEVEL4_CACHE_SIZE
    size = positive(sysconf(_SC_LEVEL4_CACHE_SIZE));
#endif
#ifdef _SC_LEVEL3_CACHE_SIZE
    size = size > 0 ? size : positive(sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
#ifdef _SC_LEVEL2_CACHE_SIZE
    size = size > 0 ? size : positive(sysconf(_SC_LEVEL2_CACHE_SIZE));
#endif
    return size;
}

/* Several times the cache, so that little of it is still there when the next
 * pass comes by. */
static uint64_t
buffer_size(uint64_t cache)
{
    uint64_t size = cache < buffer_max / 4 ? 4 * cache : buffer_max;
    size = size > buffer_min ? size : buffer_min;
    return size / BUFFER_STEP * BUFFER_STEP;
}

/* Bytes before the part of thread t of n. */
static size_t
part(size_t n_bytes, unsigned t, unsigned n)
{
    return t < n ? n_bytes / BLOCK / n * t * BLOCK : n_bytes;
}

static uint64_t
sum_all(const struct peak_reader *reader, const unsigned char *p,
        size_t n_bytes, unsigned n_threads)
{
    uint64_t total = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(n_threads)               \
        reduction(+ : total)
#endif
    for (unsigned t = 0; t < n_threads; t++) {
        size_t first = part(n_bytes, t, n_threads);
        size_t last = part(n_bytes, t + 1, n_threads);
        total += reader->sum(p + first, last - first);
    }
    return total;
}

/* Each thread writes its own part first: on a machine with several memory
 * nodes the pages come to stand where they are read. */
static void
fill_all(unsigned char *p, size_t n_bytes, unsigned n_threads)
{
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(n_threads)
#endif
    for (unsigned t = 0; t < n_threads; t++) {
        size_t first = part(n_bytes, t, n_threads);
        size_t last = part(n_bytes, t + 1, n_threads);
        memset(p + first, 1, last - first);
    }
}

/* Tries one way of reading. Returns 0 if the sum is wrong; looking at it is
 * what keeps compilers from leaving the loads out. */
static int
try_reader(struct limits *limits, const struct peak_reader *reader,
        const unsigned char *buffer, size_t n_bytes)
{
    uint64_t expected =
            (uint64_t)(n_bytes / sizeof(uint64_t)) * 0x0101010101010101u;
    double begin = tool_seconds();
    int right = 1;
    for (int i = 0; i < 3 || tool_seconds() - begin < read_seconds; i++) {
        double start = tool_seconds();
        right &=
                sum_all(reader, buffer, n_bytes, limits->n_threads) == expected;
        double rate = (double)n_bytes / (tool_seconds() - start);
        if (rate > limits->read_rate) {
            limits->read_rate = rate;
            limits->read_name = reader->name;
        }
    }
    return right;
}

static int
measure_read(struct limits *limits, int huge_pages)
{
    size_t n_bytes = (size_t)limits->buffer_bytes;
    unsigned char *buffer =
            w4_mem_reserve(n_bytes, huge_pages ? W4_MEM_HUGE_ALIGN : BLOCK);
    if (buffer == NULL) {
        return tool_error(
                "no memory for a buffer of %zu bytes to be read", n_bytes);
    }
    fill_all(buffer, n_bytes, limits->n_threads);
    const struct peak_reader *reader = peak_plain_reader();
    int right = 1;
    for (unsigned i = 0; reader != NULL; i++) {
        right &= try_reader(limits, reader, buffer, n_bytes);
        reader = peak_x86_reader(i);
    }
    free(buffer);
    return right ? TOOL_OK
                 : tool_error("memory reads back another sum than was "
                              "written");
}

/* Rounds per second of all threads together. */
static double
peak_rate(const struct peak_probe *probe, unsigned n_threads)
{
    const uint64_t n_rounds = 2000000;
    double begin = tool_seconds();
    double best = 0.0;
    volatile float seed = 0.999f;
    volatile float sink = 0.0f;
    for (int i = 0; i < 3 || tool_seconds() - begin < peak_seconds; i++) {
        float given = seed;
        float total = 0.0f;
        double start = tool_seconds();
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(n_threads)               \
        reduction(+ : total)
#endif
        for (unsigned t = 0; t < n_threads; t++) {
            total += probe->run(n_rounds, given);
        }
        double rate = (double)n_rounds * n_threads / (tool_seconds() - start);
        best = rate > best ? rate : best;
        sink = total;
    }
    (void)sink;
    return best * probe->flops_per_round;
}

static void
add_probe(struct limits *limits, const struct peak_probe *probe)
{
    size_t n = limits->n_probes++;
    limits->probes[n].name = probe->name;
    limits->probes[n].rate = peak_rate(probe, limits->n_threads);
    if (limits->probes[n].rate > limits->probes[limits->best].rate) {
        limits->best = n;
    }
}

int
limits_measure(struct limits *limits, unsigned n_threads, int huge_pages)
{
    memset(limits, 0, sizeof(*limits));
    limits->n_threads = n_threads;
    limits->cache_bytes = last_level_cache();
    limits->buffer_bytes = buffer_size(limits->cache_bytes);
    int code = measure_read(limits, huge_pages);
    if (code != TOOL_OK) {
        return code;
    }
    add_probe(limits, peak_plain());
    for (unsigned i = 0; limits->n_probes < LIMITS_PROBES_MAX; i++) {
        const struct peak_probe *probe = peak_x86(i);
        if (probe == NULL) {
            break;
        }
        add_probe(limits, probe);
    }
    return TOOL_OK;
}
