/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "kernel/block_gemm.h"

#include "base/half.h"
#include "base/parallel.h"

/* The slots of one block, and the rows they read. */
struct block_rows {
    size_t n;
    size_t slots[W4_ROWS_MAX];
    const void *rows[W4_ROWS_MAX];
};

static void
collect_rows(
        struct block_rows *block, const struct w4_block_gemm *job, size_t index)
{
    const struct w4_blocks *blocks = &job->blocks;
    size_t element = w4moe_dtype_size(job->dtype);
    block->n = 0;
    for (size_t r = 0; r < blocks->block_size; r++) {
        int32_t slot = blocks->sorted_slots[index * blocks->block_size + r];
        if (slot < 0 || (size_t)slot >= blocks->n_slots) {
            continue;
        }
        size_t row = (size_t)slot / job->top_k;
        block->slots[block->n] = (size_t)slot;
        block->rows[block->n] =
                (const char *)job->a + row * job->a_stride * element;
        block->n++;
    }
}

/* Bias and the slot's weight. */
static void
finish_sums(const struct w4_block_gemm *job, float *acc,
        const struct w4_expert *e, const struct w4_tile *tile, size_t slot)
{
    if (e->bias != NULL) {
        for (uint32_t c = 0; c < tile->width; c++) {
            acc[c] += w4_load_float(
                    e->bias, job->matrix->bias_dtype, w4_tile_column(tile, c));
        }
    }
    if (job->slot_weights != NULL) {
        for (uint32_t c = 0; c < tile->width; c++) {
            acc[c] *= job->slot_weights[slot];
        }
    }
}

/* Writes a row of a tile: as it is, or activated. */
static void
write_row(const struct w4_block_gemm *job, const float *acc,
        const struct w4_tile *tile, size_t slot)
{
    size_t element = w4moe_dtype_size(job->out_dtype);
    char *row = (char *)job->out + slot * job->out_stride * element;
    if (job->activation != NULL) {
        const float *up = job->matrix->gated ? acc + tile->half : NULL;
        job->kernels->act(row + tile->column * element, job->out_dtype, acc, up,
                tile->half, job->activation);
        return;
    }
    w4_store_floats(row, job->out_dtype, tile->column, acc, tile->half);
    w4_store_floats(row, job->out_dtype, tile->column_up, acc + tile->half,
            tile->width - tile->half);
}

static void
run_item(const struct w4_block_gemm *job, const struct w4_layout *layout,
        size_t block_index, size_t tile_index)
{
    int32_t expert = job->blocks.expert_ids[block_index];
    if (expert < 0 || (size_t)expert >= job->matrix->n_experts) {
        return;
    }
    struct block_rows block;
    collect_rows(&block, job, block_index);
    if (block.n == 0) {
        return;
    }
    float acc[W4_ROWS_MAX * W4_TILE_COLUMNS];
    struct w4_tile tile = w4_tile_at(layout, tile_index);
    struct w4_expert e = w4_matrix_expert(job->matrix, (size_t)expert);
    struct w4_tile_gemm args = {
            .acc = acc,
            .rows = block.rows,
            .n_rows = block.n,
            .dtype = job->dtype,
            .matrix = job->matrix,
            .expert = &e,
            .tile = &tile,
    };
    job->kernels->tile_gemm(&args);
    for (size_t r = 0; r < block.n; r++) {
        float *row = acc + r * W4_TILE_COLUMNS;
        finish_sums(job, row, &e, &tile, block.slots[r]);
        write_row(job, row, &tile, block.slots[r]);
    }
}

/* All tiles of all blocks, tile by tile of a block. */
struct items {
    const struct w4_block_gemm *job;
    struct w4_layout layout;
    size_t n_tiles;
};

static void
run_numbered(const void *items, size_t i)
{
    const struct items *all = items;
    run_item(all->job, &all->layout, i / all->n_tiles, i % all->n_tiles);
}

void
w4_block_gemm(const struct w4_block_gemm *job)
{
    struct items items = {.job = job, .layout = w4_matrix_layout(job->matrix)};
    size_t n_blocks = job->blocks.n_padded / job->blocks.block_size;
    items.n_tiles = (size_t)w4_tile_count(&items.layout);
    w4_parallel(job->n_threads, n_blocks * items.n_tiles, run_numbered, &items);
}

/* One token, a run of columns at a time, choices in ascending order. */
static void
reduce_token(const void *reduce, size_t token)
{
    const struct w4_reduce *job = reduce;
    size_t element = w4moe_dtype_size(job->dtype);
    char *out = (char *)job->out + token * job->out_stride * element;
    for (size_t first = 0; first < job->n_columns; first += W4_TILE_COLUMNS) {
        size_t left = job->n_columns - first;
        size_t n = left < W4_TILE_COLUMNS ? left : W4_TILE_COLUMNS;
        float sums[W4_TILE_COLUMNS] = {0};
        for (size_t j = 0; j < job->k; j++) {
            size_t slot = token * job->k + j;
            int32_t expert = job->slot_experts[slot];
            if (expert < 0 || (size_t)expert >= job->n_experts) {
                continue;
            }
            const float *row = job->partial + slot * job->n_columns + first;
            for (size_t i = 0; i < n; i++) {
                sums[i] += row[i];
            }
        }
        for (size_t i = 0; job->accumulate && i < n; i++) {
            sums[i] += w4_load_float(out, job->dtype, first + i);
        }
        w4_store_floats(out, job->dtype, first, sums, n);
    }
}

void
w4_reduce(const struct w4_reduce *job)
{
    w4_parallel(job->n_threads, job->n_tokens, reduce_token, job);
}
