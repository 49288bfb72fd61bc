/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fake_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "beside.h"

/* Addresses, not memory. */
static const size_t RANGE = (size_t)(sizeof(void *) > 4 ? 64 : 1) << 30;
/* What hipMalloc() promises. */
static const size_t ALIGNMENT = 256;

void
fake_memory::allow(const block &b, bool yes)
{
    if (mprotect(b.pages, b.room, yes ? PROT_READ | PROT_WRITE : PROT_NONE) !=
            0) {
        perror("fake device memory: mprotect");
        abort();
    }
}

void *
fake_memory::allocate(size_t n_bytes, int device)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (base == nullptr) {
        void *range = mmap(nullptr, RANGE, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) {
            return nullptr;
        }
        base = (char *)range;
    }
    if (blocks.empty()) {
        n_used = page;
    }
    if (n_bytes > RANGE - n_used || RANGE - n_used - n_bytes < 2 * page) {
        return nullptr;
    }
    size_t room = (n_bytes + page - 1) / page * page;
    size_t offset = (room - n_bytes) / ALIGNMENT * ALIGNMENT;
    block b = {base + n_used, room, offset, n_bytes, device};
    n_used += room + page;
    allow(b, true);
    gpu_fill_around(b.pages, b.room, b.offset, b.n_bytes);
    allow(b, n_open > 0);
    blocks.push_back(b);
    return b.pages + b.offset;
}

bool
fake_memory::release(void *address)
{
    for (size_t i = 0; i < blocks.size(); i++) {
        block b = blocks[i];
        if (b.pages + b.offset == address) {
            allow(b, true);
            gpu_unpoison(b.pages, b.room);
            madvise(b.pages, b.room, MADV_DONTNEED);
            allow(b, false);
            blocks.erase(blocks.begin() + (ptrdiff_t)i);
            return true;
        }
    }
    return false;
}

bool
fake_memory::covers(const void *address) const
{
    uintptr_t a = (uintptr_t)address;
    uintptr_t first = (uintptr_t)base;
    return base != nullptr && a >= first && a - first < RANGE;
}

bool
fake_memory::contains(const void *address, size_t n_bytes) const
{
    uintptr_t a = (uintptr_t)address;
    for (const block &b : blocks) {
        uintptr_t first = (uintptr_t)b.pages + b.offset;
        if (a >= first && a - first <= b.n_bytes &&
                n_bytes <= b.n_bytes - (a - first)) {
            return true;
        }
    }
    return false;
}

size_t
fake_memory::size() const
{
    return blocks.size();
}

size_t
fake_memory::size_on(int device) const
{
    size_t sum = 0;
    for (const block &b : blocks) {
        sum += b.device == device ? b.n_bytes : 0;
    }
    return sum;
}

bool
fake_memory::untouched(const block &b) const
{
    return gpu_intact_around(b.pages, b.room, b.offset, b.n_bytes);
}

bool
fake_memory::intact(const void *address)
{
    opened open(*this);
    for (const block &b : blocks) {
        if (b.pages + b.offset == address) {
            return untouched(b);
        }
    }
    return true;
}

bool
fake_memory::intact()
{
    opened open(*this);
    for (const block &b : blocks) {
        if (!untouched(b)) {
            return false;
        }
    }
    return true;
}

fake_memory::opened::opened(fake_memory &m) : memory(m)
{
    if (memory.n_open++ == 0) {
        for (const block &b : memory.blocks) {
            memory.allow(b, true);
        }
    }
}

fake_memory::opened::~opened()
{
    if (--memory.n_open == 0) {
        for (const block &b : memory.blocks) {
            memory.allow(b, false);
        }
    }
}
