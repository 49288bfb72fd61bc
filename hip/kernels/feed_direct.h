/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * feed.h where memory is read to registers: rows go on to shared memory, for
 * two stages in turn; words stay, those of the next chunk on their way.
 */
#ifndef W4_HIP_FEED_DIRECT_H
#define W4_HIP_FEED_DIRECT_H

template <class TYPE, int ROWS_>
struct mma_feed : public mma_pieces<TYPE, ROWS_> {
    typedef mma_pieces<TYPE, ROWS_> base;
    static constexpr int ROWS = ROWS_;
    static constexpr int PIECES = base::PIECES;
    /* Rows are in different banks. */
    static constexpr uint32_t STRIDE = MMA_STAGE_PIECES * 4 + GPU_ROW_PAD;
    static constexpr int SIZE = 2 * ROWS * STRIDE;

    struct gpu_u4 piece[PIECES];

    uint32_t word_stride;
    uint32_t word_bytes[MMA_WORDS];
    uint32_t words_ahead[MMA_WORDS];
    uint32_t words_chunk;
    const uint32_t *next_words;

    GPU_INLINE void open(
            const struct w4_gpu_place *tile, unsigned lane, unsigned wave)
    {
        word_stride = tile->word_stride;
        GPU_UNROLL
        for (int j = 0; j < MMA_WORDS; j++) {
            uint32_t c = gpu_word_column(lane, mma_word_n(j), mma_word_i(j));
            uint32_t row = gpu_word_row(lane, mma_word_s(j), mma_word_i(j));
            uint32_t column =
                    mma_column(base::p, tile, wave * 16 + c % 16, c / 16 != 0);
            /* A lane without columns works on the first ones, for nobody. */
            column = column < tile->width ? column : 0;
            word_bytes[j] =
                    (gpu_tile_offset(tile, column) + row * word_stride) * 4;
        }
    }

    GPU_INLINE void set_row(int i, uint32_t row)
    {
        base::a[i] = row;
    }

    GPU_INLINE void set_expert(const uint32_t *qweight, const int32_t *perm)
    {
        base::perm = perm;
        next_words = qweight;
        words_chunk = 0;
    }

    /* The words of the next chunk, or of the last again. */
    GPU_INLINE void load_words()
    {
        GPU_UNROLL
        for (int j = 0; j < MMA_WORDS; j++) {
            words_ahead[j] = gpu_load1(next_words, word_bytes[j]);
        }
        words_chunk++;
        next_words += words_chunk < base::n_chunks
                              ? MMA_CHUNK_PIECES * word_stride
                              : 0;
    }

    /* The pieces of a stage, to registers. What is beyond K is 0. */
    GPU_INLINE void load_rows(uint32_t stage)
    {
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            struct gpu_u4 v = {{0, 0, 0, 0}};
            if (base::has_piece(i, stage)) {
                uint32_t at = stage * MMA_STAGE_PIECES + base::piece_column(i);
                v = base::p->gather ? base::gather(i, stage)
                                    : gpu_read4(base::row_of(i), at * 16);
            }
            piece[i] = v;
        }
    }

    /* From registers to shared memory, and the rows' sums over each chunk. */
    GPU_INLINE void store_rows(uint32_t stage)
    {
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            gpu_put4(base::memory + stage % 2 * ROWS * STRIDE +
                             base::piece_row(i) * STRIDE +
                             base::piece_column(i) * 4,
                    piece[i]);
            if (base::needs_sums) {
                base::add_up(i, stage, piece[i]);
            }
        }
    }

    GPU_INLINE void start()
    {
        load_words();
        load_rows(0);
        store_rows(0);
        gpu_barrier();
    }

    GPU_INLINE bool is_last(uint32_t stage) const
    {
        return (stage + 1) * GPU_STAGE >= base::n_chunks;
    }

    GPU_INLINE void enter(uint32_t stage)
    {
        if (!is_last(stage)) {
            load_rows(stage + 1);
        }
    }

    GPU_INLINE struct gpu_a rows(
            uint32_t stage, int chunk, int m, unsigned s) const
    {
        return gpu_load_a(base::memory + stage % 2 * ROWS * STRIDE +
                                  16 * m * STRIDE +
                                  chunk * MMA_CHUNK_PIECES * 4,
                STRIDE, gpu_thread() % 32, s);
    }

    GPU_INLINE void words(uint32_t w[MMA_WORDS], uint32_t stage, int chunk)
    {
        (void)stage;
        (void)chunk;
        GPU_UNROLL
        for (int j = 0; j < MMA_WORDS; j++) {
            w[j] = words_ahead[j];
        }
    }

    GPU_INLINE void pass_chunk()
    {
        load_words();
    }

    GPU_INLINE void leave(uint32_t stage)
    {
        if (!is_last(stage)) {
            store_rows(stage + 1);
            gpu_barrier();
        }
    }
};

#endif
