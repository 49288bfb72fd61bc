/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The allocator's functions are defined here, before those of glibc. */
#include "alloc_count.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__GLIBC__)
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#endif

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

/* Where the function that this stands in will return to. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

/* ---------------------------------------------------------------- counting */

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

/* ----------------------------------------------------------------- failing */

/* The code of OpenMP's library; empty if there is none. */
static uintptr_t omp_begin;
static uintptr_t omp_end;
/* It is starting a thread, for which glibc needs memory. */
static _Thread_local int omp_starts;

/* Calls until one fails; at 0 or below it is over, unless all_later. */
static atomic_long to_go;
static atomic_int failing;
static int fail_later;
static atomic_int n_failed;
static atomic_long n_live;

static int
is_omp(uintptr_t caller)
{
    return omp_starts || (caller >= omp_begin && caller < omp_end);
}

/* Whether a call for memory, or for a thread, is to fail. */
static int
fails(uintptr_t caller)
{
    if (!atomic_load(&failing) || is_omp(caller)) {
        return 0;
    }
    long left = atomic_fetch_sub(&to_go, 1) - 1;
    if (left > 0 || (left < 0 && !fail_later)) {
        return 0;
    }
    atomic_fetch_add(&n_failed, 1);
    errno = ENOMEM;
    return 1;
}

/* Its blocks: who frees one cannot be seen where free() is a function's last
 * call. */
enum { OMP_BLOCKS_MAX = 1024 };
static _Atomic(void *) omp_blocks[OMP_BLOCKS_MAX];

/* Puts `to` where `from` is in that list. Returns: whether it was there. */
static int
change_omp_block(void *from, void *to)
{
    for (int i = 0; i < OMP_BLOCKS_MAX; i++) {
        void *expected = from;
        if (atomic_load(&omp_blocks[i]) == from &&
                atomic_compare_exchange_strong(&omp_blocks[i], &expected, to)) {
            return 1;
        }
    }
    return 0;
}

/* Counts a new block; p may be NULL. */
static void
count_in(void *p, uintptr_t caller)
{
    if (p != NULL && !(is_omp(caller) && change_omp_block(NULL, p))) {
        atomic_fetch_add(&n_live, 1);
    }
}

/* Counts one that goes. */
static void
count_out(void *p)
{
    if (p != NULL && !change_omp_block(p, NULL)) {
        atomic_fetch_sub(&n_live, 1);
    }
}

/* For dl_iterate_phdr(): finds the code of OpenMP's library. */
static int
find_omp(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    if (strstr(info->dlpi_name, "libgomp") == NULL &&
            strstr(info->dlpi_name, "libomp") == NULL &&
            strstr(info->dlpi_name, "libiomp") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            omp_begin = (uintptr_t)(info->dlpi_addr + part->p_vaddr);
            omp_end = omp_begin + (uintptr_t)part->p_memsz;
        }
    }
    return 1;
}

/* Before main(), so that all blocks are counted alike. */
__attribute__((constructor)) static void
know_omp(void)
{
    dl_iterate_phdr(find_omp, NULL);
}

void
alloc_fail_begin(unsigned n, int all_later)
{
    fail_later = all_later;
    atomic_store(&n_failed, 0);
    atomic_store(&to_go, (long)n);
    atomic_store(&failing, 1);
}

int
alloc_fail_end(void)
{
    atomic_store(&failing, 0);
    return atomic_load(&n_failed) != 0;
}

long
alloc_live(void)
{
    return atomic_load(&n_live);
}

/* --------------------------------------------------- the replaced functions */

REPLACES_LIBC void *
malloc(size_t size)
{
    count();
    void *p = fails(CALLER) ? NULL : __libc_malloc(size);
    count_in(p, CALLER);
    return p;
}

REPLACES_LIBC void *
calloc(size_t n, size_t size)
{
    count();
    void *p = fails(CALLER) ? NULL : __libc_calloc(n, size);
    count_in(p, CALLER);
    return p;
}

REPLACES_LIBC void *
realloc(void *p, size_t size)
{
    count();
    if (fails(CALLER)) {
        return NULL;
    }
    /* Before it goes: its address may be another thread's at once. */
    count_out(p);
    void *q = __libc_realloc(p, size);
    count_in(q == NULL && size != 0 ? p : q, CALLER);
    return q;
}

static void *
allocate_aligned(size_t align, size_t size, uintptr_t caller)
{
    count();
    void *p = fails(caller) ? NULL : __libc_memalign(align, size);
    count_in(p, caller);
    return p;
}

REPLACES_LIBC void *
aligned_alloc(size_t align, size_t size)
{
    return allocate_aligned(align, size, CALLER);
}

/* Deprecated, but libgomp may use it. */
extern void *memalign(size_t align, size_t size);

REPLACES_LIBC void *
memalign(size_t align, size_t size)
{
    return allocate_aligned(align, size, CALLER);
}

REPLACES_LIBC int
posix_memalign(void **p, size_t align, size_t size)
{
    *p = allocate_aligned(align, size, CALLER);
    return *p != NULL ? 0 : ENOMEM;
}

REPLACES_LIBC void
free(void *p)
{
    count();
    count_out(p);
    __libc_free(p);
}

typedef int create_fn(pthread_t *thread, const pthread_attr_t *attr,
        void *(*run)(void *), void *argument);

REPLACES_LIBC int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
        void *(*run)(void *), void *argument)
{
    if (fails(CALLER)) {
        return EAGAIN;
    }
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    create_fn *create;
    /* ISO C has no conversion from object to function pointers. */
    memcpy(&create, &symbol, sizeof(create));
    omp_starts = is_omp(CALLER);
    int result = create(thread, attr, run, argument);
    omp_starts = 0;
    return result;
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

void
alloc_fail_begin(unsigned n, int all_later)
{
    (void)n;
    (void)all_later;
}

int
alloc_fail_end(void)
{
    return 0;
}

long
alloc_live(void)
{
    return 0;
}

#endif
