/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Probes for x86-64; see peak.h. The instruction set is chosen function by
 * function, so that this file needs no flags of its own. */
#include "peak.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

/* Independent sums: the latency of a multiply-add (4 to 6 cycles) times the
 * two that start in a cycle. Unrolled, they live in registers. */
enum { SUMS = 12 };

__attribute__((target("avx2,fma"))) static float
run_avx2(uint64_t n_rounds, float seed)
{
    __m256 sums[SUMS];
    __m256 a = _mm256_set1_ps(seed);
    __m256 b = _mm256_set1_ps(seed * 0.5f);
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) {
        sums[i] = _mm256_set1_ps(seed + (float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) {
            sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
        }
    }
    __m256 total = sums[0];
#pragma GCC unroll 12
    for (int i = 1; i < SUMS; i++) {
        total = _mm256_add_ps(total, sums[i]);
    }
    return _mm256_cvtss_f32(total);
}

__attribute__((target("avx512f"))) static float
run_avx512(uint64_t n_rounds, float seed)
{
    __m512 sums[SUMS];
    __m512 a = _mm512_set1_ps(seed);
    __m512 b = _mm512_set1_ps(seed * 0.5f);
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) {
        sums[i] = _mm512_set1_ps(seed + (float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) {
            sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
        }
    }
    __m512 total = sums[0];
#pragma GCC unroll 12
    for (int i = 1; i < SUMS; i++) {
        total = _mm512_add_ps(total, sums[i]);
    }
    return _mm512_cvtss_f32(total);
}

__attribute__((target("avx512f,avx512bf16"))) static float
run_avx512bf16(uint64_t n_rounds, float seed)
{
    __m512 sums[SUMS];
    __m512 a = _mm512_set1_ps(seed);
    __m512 b = _mm512_set1_ps(seed * 0.5f);
    __m512bh pairs_a = _mm512_cvtne2ps_pbh(a, a);
    __m512bh pairs_b = _mm512_cvtne2ps_pbh(b, b);
#pragma GCC unroll 12
    for (int i = 0; i < SUMS; i++) {
        sums[i] = _mm512_set1_ps(seed + (float)i);
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) {
            sums[i] = _mm512_dpbf16_ps(sums[i], pairs_a, pairs_b);
        }
    }
    __m512 total = sums[0];
#pragma GCC unroll 12
    for (int i = 1; i < SUMS; i++) {
        total = _mm512_add_ps(total, sums[i]);
    }
    return _mm512_cvtss_f32(total);
}

const struct peak_probe *
peak_x86(unsigned i)
{
    static const struct peak_probe probes[] = {
            {"vfmadd avx2", 2.0 * 8 * SUMS, run_avx2},
            {"vfmadd avx512", 2.0 * 16 * SUMS, run_avx512},
            {"vdpbf16ps", 2.0 * 32 * SUMS, run_avx512bf16},
    };
    const int present[] = {
            __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
            __builtin_cpu_supports("avx512f"),
            __builtin_cpu_supports("avx512bf16"),
    };
    for (unsigned j = 0; j < sizeof(probes) / sizeof(probes[0]); j++) {
        if (present[j] && i-- == 0) {
            return &probes[j];
        }
    }
    return NULL;
}

/* Sums of a reader. */
enum { READS = 8 };

__attribute__((target("avx2"))) static uint64_t
sum_avx2(const void *p, size_t n_bytes)
{
    const __m256i *data = p;
    __m256i sums[READS];
#pragma GCC unroll 8
    for (size_t j = 0; j < READS; j++) {
        sums[j] = _mm256_setzero_si256();
    }
    for (size_t i = 0; i < n_bytes / sizeof(data[0]); i += READS) {
#pragma GCC unroll 8
        for (size_t j = 0; j < READS; j++) {
            sums[j] =
                    _mm256_add_epi64(sums[j], _mm256_load_si256(data + i + j));
        }
    }
    uint64_t words[4];
#pragma GCC unroll 8
    for (size_t j = 1; j < READS; j++) {
        sums[0] = _mm256_add_epi64(sums[0], sums[j]);
    }
    _mm256_storeu_si256((void *)words, sums[0]);
    return words[0] + words[1] + words[2] + words[3];
}

__attribute__((target("avx512f"))) static uint64_t
sum_avx512(const void *p, size_t n_bytes)
{
    const __m512i *data = p;
    __m512i sums[READS];
#pragma GCC unroll 8
    for (size_t j = 0; j < READS; j++) {
        sums[j] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < n_bytes / sizeof(data[0]); i += READS) {
#pragma GCC unroll 8
        for (size_t j = 0; j < READS; j++) {
            sums[j] =
                    _mm512_add_epi64(sums[j], _mm512_load_si512(data + i + j));
        }
    }
    uint64_t words[8];
    uint64_t total = 0;
#pragma GCC unroll 8
    for (size_t j = 1; j < READS; j++) {
        sums[0] = _mm512_add_epi64(sums[0], sums[j]);
    }
    _mm512_storeu_si512(words, sums[0]);
    for (size_t j = 0; j < 8; j++) {
        total += words[j];
    }
    return total;
}

const struct peak_reader *
peak_x86_reader(unsigned i)
{
    static const struct peak_reader readers[] = {
            {"32-byte loads", sum_avx2},
            {"64-byte loads", sum_avx512},
    };
    const int present[] = {
            __builtin_cpu_supports("avx2"),
            __builtin_cpu_supports("avx512f"),
    };
    for (unsigned j = 0; j < sizeof(readers) / sizeof(readers[0]); j++) {
        if (present[j] && i-- == 0) {
            return &readers[j];
        }
    }
    return NULL;
}

#else

const struct peak_probe *
peak_x86(unsigned i)
{
    (void)i;
    return NULL;
}

const struct peak_reader *
peak_x86_reader(unsigned i)
{
    (void)i;
    return NULL;
}

#endif
