/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "kernel/block_gemm.h"

#include <string.h>

#include "base/half.h"

enum {
    /** Items that each thread should get at least, to end with the others. */
    ITEMS_EACH = 4,
    /** Most parts of a tile, and columns of a part of which its halves have a
     * multiple. */
    PARTS_MAX = 4,
    PART_COLUMNS = 16,
    /** Tokens whose sums are made together: a tile's fit a second-level
     * cache. */
    TOKENS_TOGETHER = 1024
};

/* ----------------------------------------------------------- rows and tiles */

/* Rows of one expert that are multiplied together, and their slots. */
struct batch {
    size_t n;
    size_t slots[W4_ROWS_MAX];
    const void *rows[W4_ROWS_MAX];
};

static void
batch_add(struct batch *batch, const struct w4_block_gemm *job, size_t slot)
{
    size_t element = w4moe_dtype_size(job->dtype);
    batch->slots[batch->n] = slot;
    batch->rows[batch->n] =
            (const char *)job->a + slot / job->top_k * job->a_stride * element;
    batch->n++;
}

/* Whether this is a block of an expert that is here. */
static int
block_is_here(const struct w4_block_gemm *job, size_t block)
{
    int32_t expert = job->blocks.expert_ids[block];
    return expert >= 0 && (size_t)expert < job->matrix->n_experts;
}

static size_t
block_count(const struct w4_block_gemm *job)
{
    return job->blocks.n_padded / job->blocks.block_size;
}

/* Tiles, and parts of each, of which a loop makes items. */
struct tiles {
    struct w4_layout layout;
    size_t n_parts;
    /* Tiles times parts. */
    size_t n;
};

/* For a loop that has `times` items for each of them. */
static struct tiles
make_tiles(const struct w4_block_gemm *job, size_t times)
{
    struct tiles tiles = {.layout = w4_matrix_layout(job->matrix)};
    size_t n_tiles = (size_t)w4_tile_count(&tiles.layout);
    size_t wanted = ITEMS_EACH * w4_team_size(job->team);
    tiles.n_parts = 1;
    while (tiles.n_parts < PARTS_MAX &&
            times * n_tiles * tiles.n_parts < wanted) {
        tiles.n_parts *= 2;
    }
    tiles.n = n_tiles * tiles.n_parts;
    return tiles;
}

/* One of them: a tile of its own right, only narrower. */
static struct w4_tile
tile_part(const struct tiles *tiles, size_t index)
{
    struct w4_tile tile = w4_tile_at(&tiles->layout, index / tiles->n_parts);
    int gated = tile.half != tile.width;
    uint32_t step = tile.half / (uint32_t)tiles->n_parts;
    step = (step + PART_COLUMNS - 1) / PART_COLUMNS * PART_COLUMNS;
    uint32_t begin = step * (uint32_t)(index % tiles->n_parts);
    begin = begin < tile.half ? begin : tile.half;
    tile.half = tile.half - begin < step ? tile.half - begin : step;
    tile.width = gated ? 2 * tile.half : tile.half;
    tile.column += begin;
    tile.column_up += begin;
    tile.word += begin;
    tile.scale += begin;
    tile.zero += begin / W4_WORD_ZEROS;
    return tile;
}

/* Products of a batch, [n][W4_TILE_COLUMNS], with the bias and the slots'
 * weights. */
static void
multiply(float *acc, const struct w4_block_gemm *job, size_t expert,
        const struct w4_tile *tile, const struct batch *batch)
{
    struct w4_expert e = w4_matrix_expert(job->matrix, expert);
    struct w4_tile_gemm args = {
            .acc = acc,
            .rows = batch->rows,
            .n_rows = batch->n,
            .dtype = job->dtype,
            .matrix = job->matrix,
            .expert = &e,
            .tile = tile,
    };
    job->kernels->tile_gemm(&args);
    float bias[W4_TILE_COLUMNS];
    for (uint32_t c = 0; e.bias != NULL && c < tile->width; c++) {
        bias[c] = w4_load_float(
                e.bias, job->matrix->bias_dtype, w4_tile_column(tile, c));
    }
    for (size_t r = 0; r < batch->n; r++) {
        float *row = acc + r * W4_TILE_COLUMNS;
        for (uint32_t c = 0; e.bias != NULL && c < tile->width; c++) {
            row[c] += bias[c];
        }
        if (job->slot_weights != NULL) {
            float weight = job->slot_weights[batch->slots[r]];
            for (uint32_t c = 0; c < tile->width; c++) {
                row[c] *= weight;
            }
        }
    }
}

/* ------------------------------------------------------------- slot by slot */

struct slots_loop {
    const struct w4_block_gemm *job;
    const w4moe_activation *activation;
    struct tiles tiles;
};

/* Writes a row of a tile: as it is, or activated. */
static void
write_slot(const struct slots_loop *loop, const float *acc,
        const struct w4_tile *tile, size_t slot)
{
    const struct w4_block_gemm *job = loop->job;
    size_t element = w4moe_dtype_size(job->out_dtype);
    char *row = (char *)job->out + slot * job->out_stride * element;
    if (loop->activation != NULL) {
        const float *up = job->matrix->gated ? acc + tile->half : NULL;
        job->kernels->act(row + tile->column * element, job->out_dtype, acc, up,
                tile->half, loop->activation);
        return;
    }
    w4_store_floats(row, job->out_dtype, tile->column, acc, tile->half);
    w4_store_floats(row, job->out_dtype, tile->column_up, acc + tile->half,
            tile->width - tile->half);
}

/* A part of a tile of a block. */
static void
run_block(const void *slots_loop, size_t item)
{
    const struct slots_loop *loop = slots_loop;
    const struct w4_block_gemm *job = loop->job;
    const struct w4_blocks *blocks = &job->blocks;
    size_t block = item / loop->tiles.n;
    struct w4_tile tile = tile_part(&loop->tiles, item % loop->tiles.n);
    if (!block_is_here(job, block) || tile.width == 0) {
        return;
    }
    struct batch batch = {.n = 0};
    for (size_t r = 0; r < blocks->block_size; r++) {
        int32_t slot = blocks->sorted_slots[block * blocks->block_size + r];
        if (slot >= 0 && (size_t)slot < blocks->n_slots) {
            batch_add(&batch, job, (size_t)slot);
        }
    }
    if (batch.n == 0) {
        return;
    }
    float acc[W4_ROWS_MAX * W4_TILE_COLUMNS];
    multiply(acc, job, (size_t)blocks->expert_ids[block], &tile, &batch);
    for (size_t r = 0; r < batch.n; r++) {
        write_slot(loop, acc + r * W4_TILE_COLUMNS, &tile, batch.slots[r]);
    }
}

void
w4_block_gemm(
        const struct w4_block_gemm *job, const w4moe_activation *activation)
{
    struct slots_loop loop = {.job = job, .activation = activation};
    size_t n_blocks = block_count(job);
    loop.tiles = make_tiles(job, n_blocks);
    w4_parallel(job->team, n_blocks * loop.tiles.n, run_block, &loop);
}

/* ---------------------------------------------------------- token by token */

/* What is added: a product, and the tiles of its matrix. */
struct term {
    const struct w4_block_gemm *job;
    size_t k;
    struct tiles tiles;
};

struct tokens_loop {
    const struct w4_combine *combine;
    struct term terms[2];
    size_t n_terms;
};

/* The sums of some tokens and a part of a tile. */
struct sums {
    const struct term *term;
    /** That part of the term's tiles. */
    struct w4_tile tile;
    size_t first_token;
    size_t n_tokens;
    /* [n_tokens][width of the tile] */
    float *sums;
};

static void
add_batch(const struct sums *sums, size_t expert, struct batch *batch)
{
    float acc[W4_ROWS_MAX * W4_TILE_COLUMNS];
    uint32_t width = sums->tile.width;
    if (batch->n == 0) {
        return;
    }
    multiply(acc, sums->term->job, expert, &sums->tile, batch);
    for (size_t r = 0; r < batch->n; r++) {
        size_t token = batch->slots[r] / sums->term->k;
        const float *row = acc + r * W4_TILE_COLUMNS;
        float *sum = sums->sums + (token - sums->first_token) * width;
        for (uint32_t c = 0; c < width; c++) {
            sum[c] += row[c];
        }
    }
    batch->n = 0;
}

/* The slots of these tokens, of all blocks of a term. Rows of an expert are
 * collected over its blocks. */
static void
add_blocks(const struct sums *sums)
{
    const struct w4_block_gemm *job = sums->term->job;
    const struct w4_blocks *blocks = &job->blocks;
    size_t k = sums->term->k;
    size_t first = sums->first_token * k;
    size_t end = first + sums->n_tokens * k;
    struct batch batch = {.n = 0};
    size_t expert = 0;
    for (size_t b = 0; b < block_count(job); b++) {
        if (!block_is_here(job, b)) {
            continue;
        }
        if ((size_t)blocks->expert_ids[b] != expert) {
            add_batch(sums, expert, &batch);
            expert = (size_t)blocks->expert_ids[b];
        }
        const int32_t *slots = blocks->sorted_slots + b * blocks->block_size;
        for (size_t r = 0; r < blocks->block_size; r++) {
            if (slots[r] < 0 || (size_t)slots[r] >= blocks->n_slots ||
                    (size_t)slots[r] < first || (size_t)slots[r] >= end) {
                continue;
            }
            batch_add(&batch, job, (size_t)slots[r]);
            if (batch.n == W4_ROWS_MAX) {
                add_batch(sums, expert, &batch);
            }
        }
    }
    add_batch(sums, expert, &batch);
}

/* Row `token` of out. */
static void *
out_row(const struct w4_block_gemm *job, size_t token)
{
    size_t element = w4moe_dtype_size(job->out_dtype);
    return (char *)job->out + token * job->out_stride * element;
}

/* What the sums begin with: zero, or what out holds. */
static void
begin_sums(const struct tokens_loop *loop, const struct sums *sums)
{
    const struct w4_block_gemm *job = loop->terms[0].job;
    const struct w4_tile *tile = &sums->tile;
    if (!loop->combine->accumulate) {
        memset(sums->sums, 0, sums->n_tokens * tile->width * sizeof(float));
        return;
    }
    for (size_t t = 0; t < sums->n_tokens; t++) {
        const void *row = out_row(job, sums->first_token + t);
        float *sum = sums->sums + t * tile->width;
        for (uint32_t c = 0; c < tile->width; c++) {
            sum[c] =
                    w4_load_float(row, job->out_dtype, w4_tile_column(tile, c));
        }
    }
}

/* A part of a tile of TOKENS_TOGETHER tokens. */
static void
run_tokens(const void *tokens_loop, size_t item)
{
    const struct tokens_loop *loop = tokens_loop;
    const struct w4_block_gemm *job = loop->terms[0].job;
    const struct tiles *tiles = &loop->terms[0].tiles;
    struct w4_tile tile = tile_part(tiles, item % tiles->n);
    struct sums sums = {.first_token = item / tiles->n * TOKENS_TOGETHER};
    size_t left = loop->combine->n_tokens - sums.first_token;
    sums.n_tokens = left < TOKENS_TOGETHER ? left : TOKENS_TOGETHER;
    /* Each item has a place of its own. */
    size_t column = (size_t)tile.column * (tile.half == tile.width ? 1 : 2);
    sums.sums = loop->combine->sums +
                sums.first_token * (size_t)tiles->layout.n_out +
                column * sums.n_tokens;
    sums.tile = tile;
    begin_sums(loop, &sums);
    for (size_t i = 0; i < loop->n_terms; i++) {
        sums.term = &loop->terms[i];
        sums.tile = tile_part(&sums.term->tiles, item % tiles->n);
        add_blocks(&sums);
    }
    for (size_t t = 0; t < sums.n_tokens; t++) {
        const float *sum = sums.sums + t * tile.width;
        void *row = out_row(job, sums.first_token + t);
        w4_store_floats(row, job->out_dtype, tile.column, sum, tile.half);
        w4_store_floats(row, job->out_dtype, tile.column_up, sum + tile.half,
                tile.width - tile.half);
    }
}

void
w4_block_gemm_combined(
        const struct w4_block_gemm *job, const struct w4_combine *combine)
{
    struct tokens_loop loop = {
            .combine = combine,
            .terms = {{.job = job, .k = combine->k},
                    {.job = combine->more, .k = combine->more_k}},
            .n_terms = combine->more != NULL ? 2 : 1,
    };
    size_t n = (combine->n_tokens + TOKENS_TOGETHER - 1) / TOKENS_TOGETHER;
    loop.terms[0].tiles = make_tiles(job, n);
    if (combine->more != NULL) {
        /* The same columns in as many parts, of another matrix. */
        loop.terms[1].tiles = loop.terms[0].tiles;
        loop.terms[1].tiles.layout = w4_matrix_layout(combine->more->matrix);
    }
    w4_parallel(job->team, n * loop.terms[0].tiles.n, run_tokens, &loop);
}
