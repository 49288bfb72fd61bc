/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * tile_gemm, written once for all vectors. Few rows use
 * the decoded numbers from registers, many rows from a panel that is decoded
 * once for all of them. Either way the sum of a row and column is the same to
 * the bit.
 *
 * The file that includes this says how large a pass is, that is, how many sums
 * live in registers (rows times vectors):
 *
 *   ONE_VECTORS                  of a single row
 *   FEW_ROWS, FEW_VECTORS        straight from the words
 *   PANEL_ROWS, PANEL_VECTORS    from a panel
 */
#ifndef W4_KERNEL_TILE_GEMM_TILE_GEMM_SIMD_H
#define W4_KERNEL_TILE_GEMM_TILE_GEMM_SIMD_H

#include "kernel/tile_gemm/tile_job.h"

/* Word rows that are asked for ahead of use: a tile is one stream, but this is
 * farther than the hardware looks by itself. For a panel, those of the next
 * piece. */
enum { AHEAD = 12, PANEL_AHEAD = W4_PIECE / W4_WORD_CODES };

/** Activations of a piece, [n][W4_PIECE_STEPS], and the sums of their spans,
 * [n][W4_SPANS]. */
struct rows {
    const float *a;
    const float *totals;
    size_t n;
};

/** What is done: rows and vectors of columns from `first` on, of which
 * n_vectors exist. */
struct pass {
    const struct w4_tile_job *job;
    const struct w4_piece *piece;
    const struct rows *rows;
    size_t row;
    uint32_t first;
    uint32_t n_vectors;
};

/* The words of the pass's piece: in a plain pass those of its first vector,
 * else those of the tile's first column. */
static inline const uint32_t *
piece_words(const struct pass *pass, const int plain)
{
    const struct w4_tile_job *job = pass->job;
    const struct w4_tile *tile = job->args->tile;
    return job->args->expert->qweight + tile->word +
           pass->piece->first / W4_WORD_CODES * tile->word_stride +
           (plain ? job->vectors[pass->first].offset : 0);
}

W4_INLINE void
clear(w4_vf (*sums)[W4_VECTORS_TOGETHER], const size_t height,
        const uint32_t width)
{
    W4_UNROLL
    for (size_t r = 0; r < height; r++) {
        W4_UNROLL
        for (uint32_t v = 0; v < width; v++) {
            sums[r][v] = w4_vf_zero();
        }
    }
}

/* Where vector v of a pass stands. In a `plain` pass, a constant, columns stand
 * side by side, and neither places nor masks are looked up. */
W4_INLINE struct w4_columns
columns(const struct pass *pass, uint32_t v, const int plain)
{
    const struct w4_columns *at = &pass->job->vectors[pass->first];
    if (plain) {
        return (struct w4_columns){
                .mask = (1u << W4_LANES) - 1,
                .column = at->column + W4_LANES * v,
                .offset = at->offset + W4_LANES * v,
        };
    }
    return at[v];
}

/* Adds the sums of a span of the piece to acc. */
W4_INLINE void
finish(const struct pass *pass, w4_vf (*sums)[W4_VECTORS_TOGETHER], size_t span,
        const size_t height, const uint32_t width, const int plain)
{
    const struct w4_tile_job *job = pass->job;
    float *acc = job->args->acc + pass->row * W4_TILE_COLUMNS;
    const float *totals = pass->rows->totals + pass->row * W4_SPANS + span;
    W4_UNROLL
    for (uint32_t v = 0; v < width; v++) {
        if (!plain && v >= pass->n_vectors) {
            break;
        }
        struct w4_columns at = columns(pass, v, plain);
        struct w4_factors f = w4_factors_load(
                job, at.offset, at.mask, pass->piece->group + span);
        W4_UNROLL
        for (size_t r = 0; r < height; r++) {
            w4_span_finish(acc + r * W4_TILE_COLUMNS + at.column, at.mask, job,
                    &f, sums[r][v], totals[r * W4_SPANS]);
        }
    }
}

/* Words of vector v of a pass, and a request for those `ahead` rows later. */
W4_INLINE struct w4_words
load_words(const struct pass *pass, const uint32_t *words, uint64_t stride,
        uint32_t v, const size_t ahead, const int plain)
{
    struct w4_columns at = columns(pass, v, plain);
    const uint32_t *p = words + (plain ? W4_LANES * v : at.offset);
    if (v % (16 / W4_LANES) == 0) {
        /* As a number: it may be behind the end of the array. */
        __builtin_prefetch(
                (const void *)((uintptr_t)p +
                               sizeof(*p) * ahead * (uintptr_t)stride),
                0, 2);
    }
    return w4_words_load(&pass->job->codes, p, at.mask);
}

/* Adds the products of one row of words. */
W4_INLINE void
add_word_row(w4_vf (*sums)[W4_VECTORS_TOGETHER], const struct pass *pass,
        const uint32_t *words, uint64_t stride, const float *a,
        const size_t height, const uint32_t width, const int plain,
        const int read_on)
{
    struct w4_words w[W4_VECTORS_TOGETHER];
    W4_UNROLL
    for (uint32_t v = 0; v < width; v++) {
        w[v] = load_words(pass, words, stride, v, AHEAD, plain);
    }
    W4_UNROLL
    for (unsigned j = 0; j < W4_WORD_STEPS; j++) {
        W4_UNROLL
        for (uint32_t v = 0; v < width; v++) {
            w4_decoded number =
                    w4_words_decode(&pass->job->codes, &w[v], j, read_on);
            W4_UNROLL
            for (size_t r = 0; r < height; r++) {
                sums[r][v] = w4_multiply_add(
                        sums[r][v], a + r * W4_PIECE_STEPS + j, number);
            }
        }
    }
}

/* `height` rows times `width` vectors, straight from the words. */
W4_INLINE void
pass_words(const struct pass *pass, const size_t height, const uint32_t width,
        const int plain)
{
    const struct w4_piece *piece = pass->piece;
    uint64_t stride = pass->job->args->tile->word_stride;
    const uint32_t *words = piece_words(pass, plain);
    const float *a = pass->rows->a + pass->row * W4_PIECE_STEPS;
    /* From here on a word is the last one: nothing may be read behind it. */
    size_t last = piece->n - (piece->is_last ? W4_WORD_CODES : 0);
    w4_vf sums[PANEL_ROWS][W4_VECTORS_TOGETHER];
    size_t i = 0;
    for (size_t span = 0; i < piece->n; span++) {
        size_t end = i + piece->span < piece->n ? i + piece->span : piece->n;
        clear(sums, height, width);
        for (; i < end && i < last; i += W4_WORD_CODES) {
            add_word_row(sums, pass, words, stride, a, height, width, plain, 1);
            words += stride;
            a += W4_WORD_STEPS;
        }
        for (; i < end; i += W4_WORD_CODES) {
            add_word_row(sums, pass, words, stride, a, height, width, plain, 0);
        }
        finish(pass, sums, span, height, width, plain);
    }
}

/* Decodes a piece, [steps][PANEL_VECTORS]. */
static inline void
make_panel(w4_decoded *panel, const struct pass *pass)
{
    const uint32_t *words = piece_words(pass, 0);
    uint64_t stride = pass->job->args->tile->word_stride;
    const struct w4_codes *codes = &pass->job->codes;
    for (size_t i = 0; i < pass->piece->n; i += W4_WORD_CODES) {
        for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
            struct w4_words w =
                    load_words(pass, words, stride, v, PANEL_AHEAD, 0);
            W4_UNROLL
            for (unsigned j = 0; j < W4_WORD_STEPS; j++) {
                panel[j * PANEL_VECTORS + v] = w4_words_decode(codes, &w, j, 0);
            }
        }
        panel += W4_WORD_STEPS * PANEL_VECTORS;
        words += stride;
    }
}

/* `height` rows times PANEL_VECTORS vectors from a panel. */
W4_INLINE void
pass_panel(
        const struct pass *pass, const w4_decoded *panel, const size_t height)
{
    const struct w4_piece *piece = pass->piece;
    const float *a = pass->rows->a + pass->row * W4_PIECE_STEPS;
    w4_vf sums[PANEL_ROWS][W4_VECTORS_TOGETHER];
    size_t i = 0;
    for (size_t span = 0; i < piece->n; span++) {
        size_t end = i + piece->span < piece->n ? i + piece->span : piece->n;
        clear(sums, height, PANEL_VECTORS);
        for (; i < end; i += W4_TOGETHER) {
            W4_UNROLL
            for (size_t r = 0; r < height; r++) {
                W4_UNROLL
                for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
                    sums[r][v] = w4_multiply_add(
                            sums[r][v], a + r * W4_PIECE_STEPS, panel[v]);
                }
            }
            panel += PANEL_VECTORS;
            a++;
        }
        if (pass->job->is_plain && pass->n_vectors == PANEL_VECTORS) {
            finish(pass, sums, span, height, PANEL_VECTORS, 1);
        } else {
            finish(pass, sums, span, height, PANEL_VECTORS, 0);
        }
    }
}

/* A pass has half of PANEL_ROWS at least: see run_panel() and FEW_ROWS. */
static inline void
run_panel_pass(const struct pass *pass, const w4_decoded *panel, size_t height)
{
    switch (height) {
#if PANEL_ROWS > 6
    case 12:
        pass_panel(pass, panel, 12);
        break;
    case 11:
        pass_panel(pass, panel, 11);
        break;
    case 10:
        pass_panel(pass, panel, 10);
        break;
    case 9:
        pass_panel(pass, panel, 9);
        break;
    case 8:
        pass_panel(pass, panel, 8);
        break;
    case 7:
        pass_panel(pass, panel, 7);
        break;
#endif
    case 6:
        pass_panel(pass, panel, 6);
        break;
    case 5:
        pass_panel(pass, panel, 5);
        break;
    case 4:
        pass_panel(pass, panel, 4);
        break;
    case 3:
        pass_panel(pass, panel, 3);
        break;
    default:
        break;
    }
}

/* Many rows: in passes of about the same height. */
static inline void
run_panel(struct pass *pass)
{
    w4_decoded panel[W4_PIECE_STEPS * PANEL_VECTORS];
    size_t n_passes = (pass->rows->n + PANEL_ROWS - 1) / PANEL_ROWS;
    make_panel(panel, pass);
    for (; n_passes > 0; n_passes--) {
        size_t left = pass->rows->n - pass->row;
        size_t height = (left + n_passes - 1) / n_passes;
        run_panel_pass(pass, panel, height);
        pass->row += height;
    }
}

W4_INLINE void
run_few(const struct pass *pass, const int plain)
{
    switch (pass->rows->n) {
    case 1:
        pass_words(pass, 1, FEW_VECTORS, plain);
        break;
    case 2:
        pass_words(pass, 2, FEW_VECTORS, plain);
        break;
    case 3:
        pass_words(pass, 3, FEW_VECTORS, plain);
        break;
#if FEW_ROWS > 3
    case 4:
        pass_words(pass, 4, FEW_VECTORS, plain);
        break;
#endif
#if FEW_ROWS > 4
    case 5:
        pass_words(pass, 5, FEW_VECTORS, plain);
        break;
    case 6:
        pass_words(pass, 6, FEW_VECTORS, plain);
        break;
#endif
    default:
        break;
    }
}

/* A piece of the vectors [begin, end), which have one order of the inputs. */
static inline void
run_vectors(const struct w4_tile_job *job, const struct w4_piece *piece,
        const int32_t *perm, uint32_t begin, uint32_t end)
{
    const struct w4_tile_gemm *args = job->args;
    float a[W4_ROWS_MAX * W4_PIECE_STEPS];
    float totals[W4_ROWS_MAX * W4_SPANS];
    struct rows rows = {a, totals, args->n_rows};
    struct pass pass = {job, piece, &rows, 0, begin, 0};
    for (size_t r = 0; r < rows.n; r++) {
        w4_piece_row(a + r * W4_PIECE_STEPS, totals + r * W4_SPANS, job,
                args->rows[r], perm, piece);
        w4_piece_row_ahead(args->rows[r], perm, piece);
    }
    uint32_t step = rows.n <= FEW_ROWS ? FEW_VECTORS : PANEL_VECTORS;
    while (pass.first < end) {
        uint32_t left = end - pass.first;
        if (rows.n == 1 && left >= ONE_VECTORS && job->is_plain) {
            pass.n_vectors = ONE_VECTORS;
            pass_words(&pass, 1, ONE_VECTORS, 1);
            pass.first += ONE_VECTORS;
            continue;
        }
        pass.row = 0;
        pass.n_vectors = left < step ? left : step;
        if (rows.n <= FEW_ROWS && job->is_plain && left >= FEW_VECTORS) {
            run_few(&pass, 1);
        } else if (rows.n <= FEW_ROWS) {
            run_few(&pass, 0);
        } else {
            run_panel(&pass);
        }
        pass.first += step;
    }
}

W4_INLINE void
w4_tile_gemm_simd(const struct w4_tile_gemm *args)
{
    const struct w4_expert *e = args->expert;
    struct w4_tile_job job;
    struct w4_piece piece = {0, 0, 0, 0, 0};
    w4_job_init(&job, args);
    while (w4_piece_next(&piece, args->matrix)) {
        if (e->perm == e->perm_up) {
            run_vectors(&job, &piece, e->perm, 0, job.n_vectors);
        } else {
            run_vectors(&job, &piece, e->perm, 0, job.n_first);
            run_vectors(&job, &piece, e->perm_up, job.n_first, job.n_vectors);
        }
    }
}

#endif
