/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The order in which threads and blocks run, from a seed.
 */
#ifndef GPU_ORDER_H
#define GPU_ORDER_H

#include <algorithm>
#include <stddef.h>
#include <stdint.h>
#include <utility>
#include <vector>

#include "test_random.h"

enum gpu_order_kind { GPU_ASCENDING, GPU_DESCENDING, GPU_RANDOM };

class gpu_order
{
  public:
    void seed(uint64_t seed)
    {
        kind = seed == 0   ? GPU_ASCENDING
               : seed == 1 ? GPU_DESCENDING
                           : GPU_RANDOM;
        random.counter = seed;
    }

    /** 0 .. n - 1 in this order. */
    std::vector<size_t> numbers(size_t n)
    {
        std::vector<size_t> list(n);
        for (size_t i = 0; i < n; i++) {
            list[i] = kind == GPU_DESCENDING ? n - 1 - i : i;
        }
        for (size_t i = n; kind == GPU_RANDOM && i > 1; i--) {
            std::swap(list[i - 1], list[test_random_below(&random, i)]);
        }
        return list;
    }

    /** Where in 0 .. n - 1 to look for the next thread. */
    size_t start(size_t n)
    {
        return kind == GPU_RANDOM ? test_random_below(&random, n) : 0;
    }

    bool descends() const
    {
        return kind == GPU_DESCENDING;
    }

  private:
    gpu_order_kind kind = GPU_ASCENDING;
    struct test_random random = {};
};

/** A set of numbers below 1024. */
class gpu_ready_set
{
  public:
    void clear()
    {
        std::fill(words, words + N_WORDS, 0);
    }

    void add(size_t i)
    {
        words[i / 64] |= (uint64_t)1 << i % 64;
    }

    void remove(size_t i)
    {
        words[i / 64] &= ~((uint64_t)1 << i % 64);
    }

    /** The first number from `start` on, in a circle; -1 if there is none. */
    int next(size_t start) const
    {
        uint64_t above = words[start / 64] & ~(uint64_t)0 << start % 64;
        if (above != 0) {
            return number(start / 64, __builtin_ctzll(above));
        }
        for (size_t i = 1; i <= N_WORDS; i++) {
            size_t w = (start / 64 + i) % N_WORDS;
            if (words[w] != 0) {
                return number(w, __builtin_ctzll(words[w]));
            }
        }
        return -1;
    }

    int last() const
    {
        for (size_t w = N_WORDS; w-- > 0;) {
            if (words[w] != 0) {
                return number(w, 63 - __builtin_clzll(words[w]));
            }
        }
        return -1;
    }

  private:
    static int number(size_t word, int bit)
    {
        return (int)(64 * word) + bit;
    }

    enum { N_WORDS = 16 };
    uint64_t words[N_WORDS] = {};
};

#endif
