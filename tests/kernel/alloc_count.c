/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The allocator's functions are defined here, before those of glibc. */
#include "alloc_count.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
        __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#if defined(__GLIBC__) && !defined(HAS_SANITIZER)

/* glibc's own, under the names that it exports for such cases. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);

/* The whole program's, although it is compiled with hidden visibility. */
#define REPLACES_LIBC __attribute__((visibility("default")))

static atomic_int counting;
static atomic_uint n_calls;

/* May be NULL. */
static int (*ignored)(void);

static void
count(void)
{
    if (atomic_load(&counting) && (ignored == NULL || !ignored())) {
        atomic_fetch_add(&n_calls, 1);
    }
}

REPLACES_LIBC void *
malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

REPLACES_LIBC void *
calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

REPLACES_LIBC void *
realloc(void *p, size_t size)
{
    count();
    return __libc_realloc(p, size);
}

REPLACES_LIBC void *
aligned_alloc(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

/* Deprecated, but libgomp may use it. */
extern void *memalign(size_t align, size_t size);

REPLACES_LIBC void *
memalign(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

REPLACES_LIBC int
posix_memalign(void **p, size_t align, size_t size)
{
    count();
    *p = __libc_memalign(align, size);
    return *p != NULL ? 0 : ENOMEM;
}

REPLACES_LIBC void
free(void *p)
{
    count();
    __libc_free(p);
}

/* Whether these are the functions that programs call: valgrind puts its own
 * before them. */
int
alloc_count_works(void)
{
    void *(*volatile allocate)(size_t) = malloc;
    alloc_count_begin(NULL);
    void *p = allocate(1);
    unsigned n = alloc_count_end();
    free(p);
    return n != 0;
}

void
alloc_count_begin(int (*is_ignored)(void))
{
    ignored = is_ignored;
    atomic_store(&n_calls, 0);
    atomic_store(&counting, 1);
}

unsigned
alloc_count_end(void)
{
    atomic_store(&counting, 0);
    return atomic_load(&n_calls);
}

#else

int
alloc_count_works(void)
{
    return 0;
}

void
alloc_count_begin(int (*is_ignored)(void))
{
    (void)is_ignored;
}

unsigned
alloc_count_end(void)
{
    return 0;
}

#endif
