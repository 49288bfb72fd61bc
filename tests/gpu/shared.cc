/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "beside.h"

gpu_shared::~gpu_shared()
{
    unmap();
}

void
gpu_shared::unmap()
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (array &a : arrays) {
        gpu_unpoison(a.pages, a.room);
        munmap(a.pages - page, a.room + 2 * page);
    }
    arrays.clear();
}

void
gpu_shared::begin()
{
    if (gpu_has_tsan()) {
        /* What another block did there is no race with this one. */
        unmap();
    }
    for (array &a : arrays) {
        a.in_use = false;
    }
}

gpu_shared::array
gpu_shared::make(const void *key, size_t n_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (n_bytes + page - 1) / page * page;
    void *pages = mmap(nullptr, room + 2 * page, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED ||
            mprotect((char *)pages + page, room, PROT_READ | PROT_WRITE) != 0) {
        perror("shared memory: mmap");
        abort();
    }
    size_t offset = (room - n_bytes) / 16 * 16;
    return array{key, (char *)pages + page, room, offset, n_bytes, false};
}

void *
gpu_shared::get(const void *key, size_t n_bytes)
{
    size_t i = 0;
    while (i < arrays.size() &&
            (arrays[i].key != key || arrays[i].n_bytes != n_bytes)) {
        i++;
    }
    if (i == arrays.size()) {
        arrays.push_back(make(key, n_bytes));
    }
    if (!arrays[i].in_use) {
        arrays[i].in_use = true;
        gpu_fill_around(
                arrays[i].pages, arrays[i].room, arrays[i].offset, n_bytes);
    }
    return arrays[i].pages + arrays[i].offset;
}

size_t
gpu_shared::size() const
{
    size_t sum = 0;
    for (const array &a : arrays) {
        sum += a.in_use ? a.n_bytes : 0;
    }
    return sum;
}

bool
gpu_shared::contains(const void *address, size_t n_bytes) const
{
    const char *first = (const char *)address;
    for (const array &a : arrays) {
        const char *begin = a.pages + a.offset;
        if (a.in_use && first >= begin &&
                first + n_bytes <= begin + a.n_bytes) {
            return true;
        }
    }
    return false;
}

bool
gpu_shared::intact() const
{
    for (const array &a : arrays) {
        if (a.in_use &&
                !gpu_intact_around(a.pages, a.room, a.offset, a.n_bytes)) {
            return false;
        }
    }
    return true;
}
