/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The packed layout, declared once. Compiled by C, by C++ (device code) and by
 * the tests; specified in w4moe-format(5). No pointers, only places: indices
 * into the arrays of one expert.
 */
#ifndef W4_FORMAT_LAYOUT_H
#define W4_FORMAT_LAYOUT_H

#include <stdint.h>

#ifdef __cplusplus
#define W4_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define W4_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/** Of functions that device code calls, too. */
#if defined(__HIP__) || defined(__CUDACC__)
#define W4_EVERYWHERE                                                          \
    __attribute__((host)) __attribute__((device)) static inline
#else
#define W4_EVERYWHERE static inline
#endif

/** Constants of format version 1. */
enum {
    W4_FORMAT_VERSION = 1,
    /** Codes in a word. */
    W4_WORD_CODES = 8,
    /** Columns of a full tile; 64 gate and 64 up in a gated w13. */
    W4_TILE_COLUMNS = 128,
    W4_TILE_PAIRS = W4_TILE_COLUMNS / 2,
    /** Zero points in a word. */
    W4_WORD_ZEROS = 8,
    /** The zero point of symmetric weights. */
    W4_ZERO_SYMMETRIC = 8
};

W4_STATIC_ASSERT(W4_WORD_CODES * 4 == 32, "a word is 32 bits of 4-bit codes");
W4_STATIC_ASSERT(W4_TILE_COLUMNS % W4_WORD_ZEROS == 0,
        "a tile's zero points are whole words");
W4_STATIC_ASSERT(W4_TILE_COLUMNS * 4 == 512,
        "a row of a tile is 16 bytes for each of 32 lanes");

/** Bit at which code j of a word stands: the even codes in the low half, the
 * odd ones in the high half. */
W4_EVERYWHERE unsigned
w4_code_bit(unsigned j)
{
    return 4 * (j / 2) + 16 * (j % 2);
}

/** Code j of a packed word. */
W4_EVERYWHERE unsigned
w4_code_of_word(uint32_t word, unsigned j)
{
    return word >> w4_code_bit(j) & 15u;
}

/** A word in packed order from one in sequential order (code j at bit 4j). */
W4_EVERYWHERE uint32_t
w4_word_shuffle(uint32_t w)
{
    /* Gather the even nibbles in the low half, the odd ones in the high. */
    uint32_t even = w & 0x0F0F0F0Fu;
    uint32_t odd = w >> 4 & 0x0F0F0F0Fu;
    even = (even | even >> 4) & 0x00FF00FFu;
    odd = (odd | odd >> 4) & 0x00FF00FFu;
    even = (even | even >> 8) & 0x0000FFFFu;
    odd = (odd | odd >> 8) & 0x0000FFFFu;
    return even | odd << 16;
}

/** The inverse of w4_word_shuffle(). */
W4_EVERYWHERE uint32_t
w4_word_unshuffle(uint32_t w)
{
    uint32_t even = w & 0x0000FFFFu;
    uint32_t odd = w >> 16;
    even = (even | even << 8) & 0x00FF00FFu;
    odd = (odd | odd << 8) & 0x00FF00FFu;
    even = (even | even << 4) & 0x0F0F0F0Fu;
    odd = (odd | odd << 4) & 0x0F0F0F0Fu;
    return even | odd << 4;
}

/** Zero point of nibble m of a word. */
W4_EVERYWHERE unsigned
w4_zero_of_word(uint32_t word, unsigned m)
{
    return ((word >> 4 * m & 15u) + 1) & 15u;
}

/** Sizes of one packed matrix. */
struct w4_layout {
    /** N, K, g, G. */
    uint64_t n_out;
    uint64_t n_in;
    uint64_t group_size;
    uint64_t n_groups;
    /** Order tile (1) or rdna3 (0). */
    int tiled;
    /** Columns come in pairs of gate and up. */
    int gated;
};

/** Tiles of a matrix; the last may be narrower. */
W4_EVERYWHERE uint64_t
w4_tile_count(const struct w4_layout *layout)
{
    return (layout->n_out + W4_TILE_COLUMNS - 1) / W4_TILE_COLUMNS;
}

/**
 * Where a tile of columns stands in the arrays of one expert. The same struct
 * describes both orders: what differs is the strides.
 *
 * A tile of a gated matrix has two halves of `half` columns, gate and up of
 * the same outputs; of any other matrix one run: half == width.
 */
struct w4_tile {
    /** Columns, and those of the first half. */
    uint32_t width;
    uint32_t half;
    /** Natural number of the first column, and of the second half's first. */
    uint64_t column;
    uint64_t column_up;
    /** First word of the first half; distance of the word rows; distance of
     * the second half. */
    uint64_t word;
    uint64_t word_stride;
    uint64_t up;
    /** First scale (or offset), distance of the group rows; the second half is
     * at distance `up`, too. */
    uint64_t scale;
    uint64_t scale_stride;
    /** First word of zero points, distance of the group rows; the second half
     * is at distance up / 8. */
    uint64_t zero;
    uint64_t zero_stride;
};

W4_EVERYWHERE struct w4_tile
w4_tile_at(const struct w4_layout *layout, uint64_t index)
{
    struct w4_tile tile;
    uint64_t first = index * W4_TILE_COLUMNS;
    uint64_t left = layout->n_out - first;
    uint64_t most = W4_TILE_COLUMNS;
    uint64_t width = left < most ? left : most;
    uint64_t half = layout->gated ? width / 2 : width;
    tile.width = (uint32_t)width;
    tile.half = (uint32_t)half;
    tile.column = layout->gated ? first / 2 : first;
    tile.column_up = tile.column + (layout->gated ? layout->n_out / 2 : 0);
    if (layout->tiled) {
        tile.word = first * (layout->n_in / W4_WORD_CODES);
        tile.word_stride = width;
        tile.up = half;
        tile.scale = first * layout->n_groups;
        tile.scale_stride = width;
        tile.zero = tile.scale / W4_WORD_ZEROS;
        tile.zero_stride = width / W4_WORD_ZEROS;
    } else {
        tile.word = tile.column;
        tile.word_stride = layout->n_out;
        tile.up = layout->gated ? layout->n_out / 2 : half;
        tile.scale = tile.column;
        tile.scale_stride = layout->n_out;
        tile.zero = tile.column / W4_WORD_ZEROS;
        tile.zero_stride = layout->n_out / W4_WORD_ZEROS;
    }
    return tile;
}

/** Where column c of a tile (0 .. width - 1) stands from its first. */
W4_EVERYWHERE uint64_t
w4_tile_offset(const struct w4_tile *tile, uint32_t c)
{
    return c < tile->half ? c : tile->up + (c - tile->half);
}

/** Natural number of column c of a tile. */
W4_EVERYWHERE uint64_t
w4_tile_column(const struct w4_tile *tile, uint32_t c)
{
    return c < tile->half ? tile->column + c
                          : tile->column_up + (c - tile->half);
}

/** The tile in which a natural column stands, and its place there. */
W4_EVERYWHERE uint64_t
w4_tile_of_column(const struct w4_layout *layout, uint64_t column, uint32_t *c)
{
    if (!layout->gated) {
        *c = (uint32_t)(column % W4_TILE_COLUMNS);
        return column / W4_TILE_COLUMNS;
    }
    uint64_t n_pairs = layout->n_out / 2;
    uint64_t pair = column < n_pairs ? column : column - n_pairs;
    uint64_t index = pair / W4_TILE_PAIRS;
    *c = (uint32_t)(pair % W4_TILE_PAIRS);
    if (column >= n_pairs) {
        *c += w4_tile_at(layout, index).half;
    }
    return index;
}

#endif
