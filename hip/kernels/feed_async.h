/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * feed.h where memory is copied to shared memory by the way of no register:
 * rows and words of some stages are on their way while one is used.
 */
#ifndef W4_HIP_FEED_ASYNC_H
#define W4_HIP_FEED_ASYNC_H

/** Stages in shared memory. */
enum { FEED_STAGES = 3 };

template <class TYPE, int ROWS_>
struct mma_feed : public mma_pieces<TYPE, ROWS_> {
    typedef mma_pieces<TYPE, ROWS_> base;
    static constexpr int ROWS = ROWS_;
    static constexpr int PIECES = base::PIECES;
    static constexpr uint32_t STRIDE = MMA_STAGE_PIECES * 4;
    /* Rows of words: the columns of a tile's halves, in different banks. */
    static constexpr int WORD_ROWS = GPU_STAGE * MMA_CHUNK_PIECES;
    static constexpr uint32_t WORD_STRIDE = W4_TILE_COLUMNS + 8;
    static constexpr int WORD_PIECES =
            WORD_ROWS * W4_TILE_COLUMNS / 4 / W4_GPU_MMA_THREADS;
    static constexpr uint32_t STAGE = ROWS * STRIDE + WORD_ROWS * WORD_STRIDE;
    static constexpr int SIZE = FEED_STAGES * STAGE;

    /* Places of the stage that is used and of the next to set out. */
    uint32_t now;
    uint32_t next;
    /* The thread's pieces, in 16 bytes from the first row; how many there are
     * from its first one on. */
    uint32_t a16[PIECES];
    uint32_t pieces_left;
    /* The thread's columns of words; how many rows there are from its first. */
    uint32_t column_offset;
    uint32_t word_rows_left;
    const char *next_words;
    uint32_t word_row_bytes;
    /* Where the thread copies to in a stage, and where the lane finds its first
     * row and word. */
    gpu_shared_place rows_to;
    gpu_shared_place words_to;
    gpu_shared_place rows_from;
    gpu_shared_place words_from;
    /* From chunk 0 of the row to chunk 1; the other way in odd rows. */
    uint32_t chunk_step;

    /* The 4 columns that a thread copies, in all of its word rows. */
    static GPU_INLINE uint32_t copy_column()
    {
        return gpu_thread() % (W4_TILE_COLUMNS / 4) * 4;
    }

    static GPU_INLINE uint32_t copy_row(int i)
    {
        return (gpu_thread() + i * W4_GPU_MMA_THREADS) / (W4_TILE_COLUMNS / 4);
    }

    /* Where a piece of a row stands: what 8 lanes read together is in different
     * banks. */
    static GPU_INLINE uint32_t piece_place(int i)
    {
        uint32_t row = base::piece_row(i);
        return row * STRIDE + (base::piece_column(i) ^ row % 2 * 4) * 4;
    }

    GPU_INLINE void open(
            const struct w4_gpu_place *tile, unsigned lane, unsigned wave)
    {
        uint32_t n = base::n_chunks * MMA_CHUNK_PIECES;
        pieces_left = n - base::piece_column(0);
        uint32_t c = copy_column();
        uint32_t column = mma_column(
                base::p, tile, c % W4_TILE_PAIRS, c >= W4_TILE_PAIRS);
        bool has_columns = column < tile->width;
        column_offset = has_columns ? gpu_tile_offset(tile, column) : 0;
        word_rows_left = has_columns && n > copy_row(0) ? n - copy_row(0) : 0;
        word_row_bytes = tile->word_stride * 4;
        rows_to = gpu_place_of(base::memory + piece_place(0));
        words_to = gpu_place_of(base::memory + ROWS * STRIDE +
                                copy_row(0) * WORD_STRIDE + copy_column());
        uint32_t line = gpu_part_line(lane);
        uint32_t piece = gpu_part_word(lane) ^ line % 2 * 4;
        static_assert(GPU_STAGE == 2, "two chunks change places");
        rows_from = gpu_place_of(base::memory + line * STRIDE + piece * 4);
        chunk_step = MMA_CHUNK_PIECES * 4 * (line % 2 != 0 ? 0u - 1u : 1u);
        words_from = gpu_place_of(base::memory + ROWS * STRIDE +
                                  gpu_word_row(lane, 0, 0) * WORD_STRIDE +
                                  wave * 16 + gpu_word_column(lane, 0, 0));
    }

    GPU_INLINE void set_row(int i, uint32_t row)
    {
        base::a[i] = row;
        a16[i] = (uint32_t)(row * (base::p->a_stride / 8)) +
                 base::piece_column(i);
    }

    GPU_INLINE void set_expert(const uint32_t *qweight, const int32_t *perm)
    {
        base::perm = perm;
        next_words = (const char *)(qweight + column_offset) +
                     (uint64_t)copy_row(0) * word_row_bytes;
    }

    GPU_INLINE void gather_rows(uint32_t stage)
    {
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            struct gpu_u4 v = {{0, 0, 0, 0}};
            if (base::has_piece(i, stage)) {
                v = base::gather(i, stage);
            }
            gpu_put4(base::memory + next * STAGE + piece_place(i), v);
        }
    }

    /* Pieces of a thread are of the same column; the places of its rows are
     * equally far from each other. What is not there is 0, and not read. */
    GPU_INLINE void copy_rows(uint32_t stage)
    {
        uint32_t at = stage * MMA_STAGE_PIECES;
        constexpr uint32_t step =
                W4_GPU_MMA_THREADS / MMA_STAGE_PIECES * STRIDE;
        GPU_UNROLL
        for (int i = 0; i < PIECES; i++) {
            gpu_copy4_async(gpu_place_at(rows_to, next * STAGE + i * step),
                    (const char *)base::p->a + (uint64_t)(a16[i] + at) * 16,
                    at < pieces_left);
        }
    }

    GPU_INLINE void copy_words(uint32_t stage)
    {
        constexpr uint32_t rows = W4_GPU_MMA_THREADS / (W4_TILE_COLUMNS / 4);
        GPU_UNROLL
        for (int i = 0; i < WORD_PIECES; i++) {
            gpu_copy4_async(gpu_place_at(words_to,
                                    next * STAGE + i * rows * WORD_STRIDE),
                    next_words, stage * WORD_ROWS + i * rows < word_rows_left);
            next_words += rows * word_row_bytes;
        }
    }

    /* A stage sets out, if there is one. */
    GPU_INLINE void copy(uint32_t stage)
    {
        if (stage * GPU_STAGE < base::n_chunks) {
            if (base::p->gather) {
                gather_rows(stage);
            } else {
                copy_rows(stage);
            }
            copy_words(stage);
        }
        next = next + 1 == FEED_STAGES ? 0 : next + 1;
        gpu_copies_end();
    }

    GPU_INLINE void start()
    {
        now = FEED_STAGES - 1;
        next = 0;
        GPU_UNROLL
        for (int stage = 0; stage < FEED_STAGES - 1; stage++) {
            copy((uint32_t)stage);
        }
    }

    GPU_INLINE void enter(uint32_t stage)
    {
        gpu_copies_wait<FEED_STAGES - 2>();
        /* All waves are done with the stage before, whose place is free. */
        gpu_barrier();
        copy(stage + FEED_STAGES - 1);
        now = now + 1 == FEED_STAGES ? 0 : now + 1;
        if (base::needs_sums) {
            GPU_UNROLL
            for (int i = 0; i < PIECES; i++) {
                base::add_up(i, stage,
                        gpu_get4(gpu_place_of(
                                base::memory + now * STAGE + piece_place(i))));
            }
            gpu_barrier();
        }
    }

    GPU_INLINE struct gpu_a rows(
            uint32_t stage, int chunk, int m, unsigned s) const
    {
        (void)stage;
        (void)s;
        gpu_shared_place from = gpu_place_at(
                rows_from, now * STAGE + (uint32_t)chunk * chunk_step);
        return gpu_get_a(gpu_place_at(from, 16 * m * STRIDE), STRIDE);
    }

    GPU_INLINE void words(uint32_t w[MMA_WORDS], uint32_t stage, int chunk)
    {
        (void)stage;
        gpu_shared_place from = gpu_place_at(words_from,
                now * STAGE + chunk * MMA_CHUNK_PIECES * WORD_STRIDE);
        GPU_UNROLL
        for (int n = 0; n < GPU_N_STEPS; n++) {
            struct gpu_u2 v = gpu_get2(gpu_place_at(from, n * W4_TILE_PAIRS));
            w[2 * n] = v.v[0];
            w[2 * n + 1] = v.v[1];
        }
    }

    GPU_INLINE void pass_chunk()
    {
    }

    GPU_INLINE void leave(uint32_t stage)
    {
        (void)stage;
    }
};

#endif
