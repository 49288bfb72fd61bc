/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Copies that a thread of a kernel has asked for: each is made when it is
 * waited for, and until then a pattern stands in its place, so that who does
 * not wait finds it.
 */
#ifndef GPU_COPIES_H
#define GPU_COPIES_H

#include <deque>
#include <stddef.h>
#include <string.h>
#include <vector>

class gpu_copies
{
  public:
    /** 16 bytes; `from` NULL: zeros. */
    void add(void *to, const void *from)
    {
        memset(to, 0xFF, size);
        open.push_back({to, from});
    }

    void end_batch()
    {
        batches.push_back(open);
        open.clear();
    }

    /** Until no more than n batches are left. */
    void wait(size_t n)
    {
        while (batches.size() > n) {
            for (const copy &c : batches.front()) {
                if (c.from != nullptr) {
                    memcpy(c.to, c.from, size);
                } else {
                    memset(c.to, 0, size);
                }
            }
            batches.pop_front();
        }
    }

    void clear()
    {
        open.clear();
        batches.clear();
    }

  private:
    static constexpr size_t size = 16;
    struct copy {
        void *to;
        const void *from;
    };
    std::vector<copy> open;
    std::deque<std::vector<copy>> batches;
};

#endif
