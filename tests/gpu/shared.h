/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The shared memory of a workgroup. Each array ends, but for alignment to 16
 * bytes, at a forbidden page, and there is another before it; the rest of its
 * pages is poisoned for the address sanitizer, and checked without it.
 */
#ifndef GPU_SHARED_H
#define GPU_SHARED_H

#include <stddef.h>
#include <vector>

class gpu_shared
{
  public:
    gpu_shared() = default;
    gpu_shared(const gpu_shared &) = delete;
    gpu_shared &operator=(const gpu_shared &) = delete;
    ~gpu_shared();

    /** Begins a block: all arrays are gone. */
    void begin();

    /** The array of a key in this block; made, and filled with 0xFF bytes, by
     * its first call. */
    void *get(const void *key, size_t n_bytes);

    /** Bytes of all arrays of this block. */
    size_t size() const;

    bool contains(const void *address, size_t n_bytes) const;

    /** False if something was written beside an array. */
    bool intact() const;

  private:
    struct array {
        const void *key;
        char *pages;
        /* Of the pages, without the forbidden ones. */
        size_t room;
        size_t offset;
        size_t n_bytes;
        bool in_use;
    };
    void unmap();
    static array make(const void *key, size_t n_bytes);

    std::vector<array> arrays;
};

#endif
