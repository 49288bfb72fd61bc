/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Rows times a tile with AVX-512F: fp32 multiply-adds on 16 columns at a time.
 *
 * A shift and a permutation of a 16-entry table turn the code at any place of
 * a word into its exact value (the permutation looks at the low four bits of
 * each lane only). Few rows use the values from registers, many rows from a
 * panel that is decoded once for all of them. Zero points and offsets enter
 * once per piece, by the sum of its activations:
 *
 *   sum a (q - z) s  =  s (sum a (q - 8) + (8 - z) sum a)
 */
#include <immintrin.h>
#include <string.h>

#include "base/half.h"
#include "kernel/kernel.h"

/* Packed positions of a piece; a piece never crosses a group. */
enum { PIECE = 128 };

/* Vectors of columns of a tile; a half of the tile has its own. */
enum { VECTORS = W4_TILE_COLUMNS / 16 };

/* Rows and vectors of columns whose sums fit the registers together. */
enum { PASS_ROWS = 6, PASS_VECTORS = 4 };

/* Word rows that are asked for ahead of use. */
enum { AHEAD = 8 };

/* Rows from which on a panel pays. */
enum { PANEL_FROM = PASS_ROWS + 1 };

/* Sixteen columns, or eight at the end of a half. */
struct vector {
    __mmask16 mask;
    /* From the tile's first column, in memory and in acc. */
    uint64_t offset;
    uint32_t column;
};

struct piece {
    size_t first;
    size_t n;
    size_t group;
};

/* One call. */
struct job {
    const struct w4_tile_gemm *args;
    __m512 table;
    /** Those beyond n_vectors have an empty mask. */
    struct vector vectors[VECTORS + PASS_VECTORS];
    uint32_t n_vectors;
    /* Of those, in the first half. */
    uint32_t n_first;
};

static void
add_vectors(struct job *job, uint64_t offset, uint32_t column, uint32_t n)
{
    for (uint32_t c = 0; c < n; c += 16) {
        struct vector *v = &job->vectors[job->n_vectors++];
        v->mask = n - c >= 16 ? 0xFFFF : 0x00FF;
        v->offset = offset + c;
        v->column = column + c;
    }
}

static void
job_init(struct job *job, const struct w4_tile_gemm *args)
{
    const struct w4_tile *tile = args->tile;
    float values[16];
    memset(job, 0, sizeof(*job));
    job->args = args;
    add_vectors(job, 0, 0, tile->half);
    job->n_first = job->n_vectors;
    add_vectors(job, tile->up, tile->half, tile->width - tile->half);
    int shift = args->expert->offsets != NULL ? 0 : W4_ZERO_SYMMETRIC;
    for (int code = 0; code < 16; code++) {
        values[code] = args->matrix->code == W4MOE_CODE_E2M1
                               ? w4_e2m1_values[code]
                               : (float)(code - shift);
    }
    job->table = _mm512_loadu_ps(values);
}

/* ------------------------------------------------------------- activations */

/* Sixteen (or, without `full`, eight) halves as fp32. */
static __m512
load_halves(const uint16_t *halves, w4moe_dtype dtype, int full)
{
    __m256i h = full ? _mm256_loadu_si256((const void *)halves)
                     : _mm256_zextsi128_si256(
                               _mm_loadu_si128((const void *)halves));
    return dtype == W4MOE_F16 ? _mm512_cvtph_ps(h)
                              : _mm512_castsi512_ps(_mm512_slli_epi32(
                                        _mm512_cvtepu16_epi32(h), 16));
}

/* A piece of a row as fp32 in packed order; returns its sum. */
static float
load_row(float *a, const void *row, w4moe_dtype dtype, const int32_t *perm,
        const struct piece *piece)
{
    const uint16_t *halves = (const uint16_t *)row + piece->first;
    __m512 sum = _mm512_setzero_ps();
    uint16_t gathered[PIECE];
    if (perm != NULL) {
        for (size_t i = 0; i < piece->n; i++) {
            gathered[i] = ((const uint16_t *)row)[perm[piece->first + i]];
        }
        halves = gathered;
    }
    /* Pieces are multiples of 8. */
    for (size_t i = 0; i < piece->n; i += 16) {
        __m512 x = load_halves(halves + i, dtype, piece->n - i >= 16);
        _mm512_storeu_ps(a + i, x);
        sum = _mm512_add_ps(sum, x);
    }
    return _mm512_reduce_add_ps(sum);
}

/* ------------------------------------------------- scales, zeros, offsets */

static __m512
load_values(
        const void *array, w4moe_dtype dtype, uint64_t place, __mmask16 mask)
{
    float values[16] = {0};
    int full = mask == 0xFFFF;
    if (dtype == W4MOE_F32) {
        return _mm512_maskz_loadu_ps(mask, (const float *)array + place);
    }
    if (dtype == W4MOE_BF16 || dtype == W4MOE_F16) {
        return load_halves((const uint16_t *)array + place, dtype, full);
    }
    for (uint64_t i = 0; i < (full ? 16 : 8); i++) {
        values[i] = w4_load_float(array, dtype, place + i);
    }
    return _mm512_loadu_ps(values);
}

/* 8 - zero of each column. */
static __m512
load_zeros(const uint32_t *words, __mmask16 mask)
{
    const __m512i shifts = _mm512_set_epi32(
            28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
    uint32_t second = mask == 0xFFFF ? words[1] : 0;
    __m512i both = _mm512_mask_set1_epi32(
            _mm512_set1_epi32((int)words[0]), 0xFF00, (int)second);
    __m512i stored = _mm512_srlv_epi32(both, shifts);
    /* 8 - ((stored + 1) & 15) */
    __m512i zero =
            _mm512_and_si512(_mm512_add_epi32(stored, _mm512_set1_epi32(1)),
                    _mm512_set1_epi32(15));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_set1_epi32(8), zero));
}

/* What a piece's sums become: acc += scale * (sum + zero * total) or
 * scale * sum + offset * total. */
struct factors {
    __m512 scale[VECTORS];
    __m512 of_total[VECTORS];
    int has_total;
};

static void
load_factors(struct factors *f, const struct job *job, size_t group)
{
    const struct w4_tile_gemm *args = job->args;
    const struct w4_expert *e = args->expert;
    const struct w4_tile *tile = args->tile;
    f->has_total = e->qzeros != NULL || e->offsets != NULL;
    for (uint32_t v = 0; v < job->n_vectors; v++) {
        const struct vector *at = &job->vectors[v];
        uint64_t place = tile->scale + at->offset + group * tile->scale_stride;
        f->scale[v] = load_values(
                e->scales, args->matrix->scale_dtype, place, at->mask);
        f->of_total[v] = _mm512_setzero_ps();
        if (e->offsets != NULL) {
            f->of_total[v] = load_values(
                    e->offsets, args->matrix->offset_dtype, place, at->mask);
        } else if (e->qzeros != NULL) {
            const uint32_t *words = e->qzeros + tile->zero +
                                    at->offset / W4_WORD_ZEROS +
                                    group * tile->zero_stride;
            f->of_total[v] =
                    _mm512_mul_ps(f->scale[v], load_zeros(words, at->mask));
        }
    }
}

/* ---------------------------------------------------------------- products */

/* Activations of a piece, [n_rows][PIECE], and their sums. */
struct rows {
    const float *a;
    const float *totals;
    size_t n;
};

/* The sums of a pass. The two numbers are constants wherever this is inlined,
 * so that all sums are registers. */
static inline __attribute__((always_inline)) void
clear(__m512 (*sums)[VECTORS], const size_t height, const uint32_t width)
{
#pragma GCC unroll 8
    for (size_t r = 0; r < height; r++) {
#pragma GCC unroll 8
        for (uint32_t v = 0; v < width; v++) {
            sums[r][v] = _mm512_setzero_ps();
        }
    }
}

/* Adds the sums of one row and vector to acc. */
static inline void
finish(const struct job *job, const struct factors *f, uint32_t v, __m512 sum,
        size_t row, float total)
{
    const struct vector *at = &job->vectors[v];
    float *acc = job->args->acc + row * W4_TILE_COLUMNS + at->column;
    __m512 value = _mm512_maskz_loadu_ps(at->mask, acc);
    value = _mm512_fmadd_ps(f->scale[v], sum, value);
    if (f->has_total) {
        value = _mm512_fmadd_ps(f->of_total[v], _mm512_set1_ps(total), value);
    }
    _mm512_mask_storeu_ps(acc, at->mask, value);
}

/* Adds the sums of a pass, of which n_vectors are of columns that exist. */
static inline __attribute__((always_inline)) void
finish_pass(const struct job *job, const struct factors *f,
        const struct rows *rows, size_t row, uint32_t first, uint32_t n_vectors,
        __m512 (*sums)[VECTORS], const size_t height, const uint32_t width)
{
#pragma GCC unroll 8
    for (size_t r = 0; r < height; r++) {
#pragma GCC unroll 8
        for (uint32_t v = 0; v < width; v++) {
            if (v < n_vectors) {
                finish(job, f, first + v, sums[r][v], row + r,
                        rows->totals[row + r]);
            }
        }
    }
}

/* The words of vector v of a pass. Where all its columns stand side by side
 * (`plain`, a constant) neither places nor masks are looked up. The words that
 * will be needed in a while are asked for: a tile is one stream, but several
 * kilobytes ahead of what the hardware fetches by itself. */
static inline __attribute__((always_inline)) __m512i
load_words(const struct job *job, const uint32_t *words, uint32_t first,
        uint32_t v, const int plain)
{
    const struct vector *at = &job->vectors[first + (plain ? 0 : v)];
    const uint32_t *p = words + at->offset + (plain ? 16 * v : 0);
    /* As a number: it may be behind the end of the array. */
    uintptr_t ahead = (uintptr_t)p + 4 * AHEAD * job->args->tile->word_stride;
    _mm_prefetch((const char *)ahead, _MM_HINT_T0);
    return plain ? _mm512_loadu_si512(p)
                 : _mm512_maskz_loadu_epi32(at->mask, p);
}

/* Whether the `width` vectors from `first` on are plain. */
static int
is_plain(const struct job *job, uint32_t first, uint32_t width)
{
    for (uint32_t v = 0; v < width; v++) {
        const struct vector *at = &job->vectors[first + v];
        if (at->mask != 0xFFFF ||
                at->offset != job->vectors[first].offset + 16 * v) {
            return 0;
        }
    }
    return 1;
}

/* The code at the place j of 16 words, as its exact value. */
static inline __attribute__((always_inline)) __m512
decode(__m512i words, __m512 table, unsigned j)
{
    __m512i index = _mm512_srli_epi32(words, w4_code_bit(j));
    return _mm512_permutexvar_ps(index, table);
}

/* `height` rows times `width` vectors from `first` on, straight from the
 * words. */
static inline __attribute__((always_inline)) void
pass_words(const struct job *job, const struct factors *f,
        const struct piece *piece, const struct rows *rows, size_t row,
        uint32_t first, uint32_t n_vectors, const size_t height,
        const uint32_t width, const int plain)
{
    const struct w4_tile *tile = job->args->tile;
    const uint32_t *words = job->args->expert->qweight + tile->word +
                            piece->first / W4_WORD_CODES * tile->word_stride;
    const float *a = rows->a + row * PIECE;
    __m512 table = job->table;
    __m512 sums[PASS_ROWS][VECTORS];
    clear(sums, height, width);
    for (size_t i = 0; i < piece->n; i += W4_WORD_CODES) {
        __m512i w[VECTORS];
#pragma GCC unroll 8
        for (uint32_t v = 0; v < width; v++) {
            w[v] = load_words(job, words, first, v, plain);
        }
#pragma GCC unroll 8
        for (unsigned j = 0; j < W4_WORD_CODES; j++) {
#pragma GCC unroll 8
            for (uint32_t v = 0; v < width; v++) {
                __m512 code = decode(w[v], table, j);
#pragma GCC unroll 8
                for (size_t r = 0; r < height; r++) {
                    sums[r][v] = _mm512_fmadd_ps(
                            _mm512_set1_ps(a[r * PIECE + i + j]), code,
                            sums[r][v]);
                }
            }
        }
        words += tile->word_stride;
    }
    finish_pass(job, f, rows, row, first, n_vectors, sums, height, width);
}

/* Decodes a piece of up to PASS_VECTORS vectors, [n][PASS_VECTORS]. */
static void
make_panel(__m512 *panel, const struct job *job, const struct piece *piece,
        uint32_t first)
{
    const struct w4_tile *tile = job->args->tile;
    const uint32_t *words = job->args->expert->qweight + tile->word +
                            piece->first / W4_WORD_CODES * tile->word_stride;
    for (size_t i = 0; i < piece->n; i += W4_WORD_CODES) {
        for (uint32_t v = 0; v < PASS_VECTORS; v++) {
            __m512i w = load_words(job, words, first, v, 0);
#pragma GCC unroll 8
            for (unsigned j = 0; j < W4_WORD_CODES; j++) {
                panel[(i + j) * PASS_VECTORS + v] = decode(w, job->table, j);
            }
        }
        words += tile->word_stride;
    }
}

/* `height` rows times PASS_VECTORS vectors from a panel. */
static inline __attribute__((always_inline)) void
pass_panel(const struct job *job, const struct factors *f,
        const struct piece *piece, const __m512 *panel, const struct rows *rows,
        size_t row, uint32_t first, uint32_t n_vectors, const size_t height)
{
    const float *a = rows->a + row * PIECE;
    __m512 sums[PASS_ROWS][VECTORS];
    clear(sums, height, PASS_VECTORS);
    for (size_t i = 0; i < piece->n; i++) {
        const __m512 *codes = panel + i * PASS_VECTORS;
#pragma GCC unroll 8
        for (size_t r = 0; r < height; r++) {
            __m512 x = _mm512_set1_ps(a[r * PIECE + i]);
#pragma GCC unroll 8
            for (uint32_t v = 0; v < PASS_VECTORS; v++) {
                sums[r][v] = _mm512_fmadd_ps(x, codes[v], sums[r][v]);
            }
        }
    }
    finish_pass(
            job, f, rows, row, first, n_vectors, sums, height, PASS_VECTORS);
}

/* All rows times the vectors [first, first + n), n at most PASS_VECTORS. */
static void
multiply(const struct job *job, const struct factors *f,
        const struct piece *piece, const struct rows *rows, uint32_t first,
        uint32_t n)
{
    __m512 panel[PIECE * PASS_VECTORS];
    size_t row = 0;
    if (rows->n >= PANEL_FROM) {
        make_panel(panel, job, piece, first);
        for (; row + PASS_ROWS <= rows->n; row += PASS_ROWS) {
            pass_panel(job, f, piece, panel, rows, row, first, n, PASS_ROWS);
        }
        switch (rows->n - row) {
        case 5:
            pass_panel(job, f, piece, panel, rows, row, first, n, 5);
            break;
        case 4:
            pass_panel(job, f, piece, panel, rows, row, first, n, 4);
            break;
        case 3:
            pass_panel(job, f, piece, panel, rows, row, first, n, 3);
            break;
        case 2:
            pass_panel(job, f, piece, panel, rows, row, first, n, 2);
            break;
        case 1:
            pass_panel(job, f, piece, panel, rows, row, first, n, 1);
            break;
        default:
            break;
        }
        return;
    }
    switch (rows->n) {
    case 6:
        pass_words(job, f, piece, rows, 0, first, n, 6, PASS_VECTORS, 0);
        break;
    case 5:
        pass_words(job, f, piece, rows, 0, first, n, 5, PASS_VECTORS, 0);
        break;
    case 4:
        pass_words(job, f, piece, rows, 0, first, n, 4, PASS_VECTORS, 0);
        break;
    case 3:
        pass_words(job, f, piece, rows, 0, first, n, 3, PASS_VECTORS, 0);
        break;
    default:
        pass_words(job, f, piece, rows, 0, first, n, 2, PASS_VECTORS, 0);
        break;
    }
}

/* A piece of the columns [begin, end) of vectors, which have one order of the
 * inputs. */
static void
run_vectors(const struct job *job, const struct factors *f,
        const struct piece *piece, const int32_t *perm, uint32_t begin,
        uint32_t end)
{
    const struct w4_tile_gemm *args = job->args;
    float a[W4_ROWS_MAX * PIECE];
    float totals[W4_ROWS_MAX];
    struct rows rows = {a, totals, args->n_rows};
    for (size_t r = 0; r < rows.n; r++) {
        totals[r] = load_row(
                a + r * PIECE, args->rows[r], args->dtype, perm, piece);
    }
    if (rows.n == 1 && begin == 0) {
        if (end == VECTORS && is_plain(job, 0, VECTORS)) {
            pass_words(job, f, piece, &rows, 0, 0, end, 1, VECTORS, 1);
        } else {
            pass_words(job, f, piece, &rows, 0, 0, end, 1, VECTORS, 0);
        }
        return;
    }
    for (uint32_t first = begin; first < end; first += PASS_VECTORS) {
        uint32_t n = end - first < PASS_VECTORS ? end - first : PASS_VECTORS;
        if (rows.n == 1) {
            pass_words(job, f, piece, &rows, 0, first, n, 1, PASS_VECTORS, 0);
        } else {
            multiply(job, f, piece, &rows, first, n);
        }
    }
}

void
w4_tile_gemm_avx512(const struct w4_tile_gemm *args)
{
    const w4moe_matrix *m = args->matrix;
    const struct w4_expert *e = args->expert;
    struct job job;
    struct factors factors;
    job_init(&job, args);
    for (size_t r = 0; r < args->n_rows; r++) {
        memset(args->acc + r * W4_TILE_COLUMNS, 0,
                W4_TILE_COLUMNS * sizeof(float));
    }
    struct piece piece = {0, 0, 0};
    size_t group_left = m->group_size;
    for (; piece.first < m->n_in; piece.first += piece.n) {
        if (group_left == 0) {
            piece.group++;
            group_left = m->group_size;
        }
        size_t left = m->n_in - piece.first;
        left = left < group_left ? left : group_left;
        piece.n = left < PIECE ? left : PIECE;
        group_left -= piece.n;
        load_factors(&factors, &job, piece.group);
        if (e->perm == e->perm_up) {
            run_vectors(&job, &factors, &piece, e->perm, 0, job.n_vectors);
        } else {
            run_vectors(&job, &factors, &piece, e->perm, 0, job.n_first);
            run_vectors(&job, &factors, &piece, e->perm_up, job.n_first,
                    job.n_vectors);
        }
    }
}
