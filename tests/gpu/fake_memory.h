/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Device memory of the fake HIP runtime: a range of addresses that is forbidden
 * but while it is open. Allocations have forbidden pages between them, and
 * addresses are not used again while others live.
 */
#ifndef FAKE_MEMORY_H
#define FAKE_MEMORY_H

#include <stddef.h>
#include <vector>

class fake_memory
{
  public:
    fake_memory() = default;
    fake_memory(const fake_memory &) = delete;
    fake_memory &operator=(const fake_memory &) = delete;

    /** n bytes of a device, filled with 0xFF; nullptr if there are no
     * addresses left. */
    void *allocate(size_t n_bytes, int device);

    /** False if it is no allocation. */
    bool release(void *address);

    /** Whether it is an address of some device, allocated or not. */
    bool covers(const void *address) const;

    /** Whether n bytes are within one allocation. */
    bool contains(const void *address, size_t n_bytes) const;

    size_t size() const;
    size_t size_on(int device) const;

    /** False if something was written beside the allocation; beside any. */
    bool intact(const void *address);
    bool intact();

    /** While one lives, the memory may be used. */
    class opened
    {
      public:
        explicit opened(fake_memory &memory);
        ~opened();
        opened(const opened &) = delete;
        opened &operator=(const opened &) = delete;

      private:
        fake_memory &memory;
    };

  private:
    struct block {
        char *pages;
        size_t room;
        size_t offset;
        size_t n_bytes;
        int device;
    };
    void allow(const block &b, bool yes);
    bool untouched(const block &b) const;

    std::vector<block> blocks;
    char *base = nullptr;
    size_t n_used = 0;
    int n_open = 0;
};

#endif
