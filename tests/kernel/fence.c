/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fence.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
must(int done, const char *what)
{
    if (!done) {
        perror(what);
        abort();
    }
}

void *
fence_copy(struct fence *fence, const void *array, size_t n_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (n_bytes + page - 1) / page * page;
    if (array == NULL) {
        return NULL;
    }
    must(fence->n < sizeof(fence->regions) / sizeof(fence->regions[0]),
            "fence: too many arrays");
    char *pages = mmap(NULL, room + 2 * page, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(pages != MAP_FAILED, "fence: mmap");
    fence->regions[fence->n].pages = pages;
    fence->regions[fence->n].n_bytes = room + 2 * page;
    fence->n++;
    char *first = pages + page;
    char *copy = first + (fence->side == FENCE_END ? room - n_bytes : 0);
    if (room != 0) {
        must(mprotect(first, room, PROT_READ | PROT_WRITE) == 0,
                "fence: mprotect");
        memset(first, 0xFF, room);
        memcpy(copy, array, n_bytes);
        must(mprotect(first, room, PROT_READ) == 0, "fence: mprotect");
    }
    return copy;
}

w4moe_matrix
fence_matrix(
        struct fence *fence, const w4moe_ctx *ctx, const w4moe_matrix *matrix)
{
    w4moe_matrix copy = *matrix;
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    must(w4moe_matrix_measure(ctx, &sizes, matrix) == W4MOE_OK,
            "fence: matrix");
    copy.qweight = fence_copy(fence, matrix->qweight, (size_t)sizes.qweight);
    copy.scales = fence_copy(fence, matrix->scales, (size_t)sizes.scales);
    copy.qzeros = fence_copy(fence, matrix->qzeros, (size_t)sizes.qzeros);
    copy.offsets = fence_copy(fence, matrix->offsets, (size_t)sizes.offsets);
    copy.perm = fence_copy(fence, matrix->perm, (size_t)sizes.perm);
    copy.bias = fence_copy(fence, matrix->bias, (size_t)sizes.bias);
    return copy;
}

void
fence_free(struct fence *fence)
{
    for (size_t i = 0; i < fence->n; i++) {
        munmap(fence->regions[i].pages, fence->regions[i].n_bytes);
    }
    fence->n = 0;
}
