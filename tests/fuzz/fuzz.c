/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef HAS_ADDRESS_SANITIZER
/* The sanitizer's. gcc comes without its header. */
extern int __sanitizer_install_malloc_and_free_hooks(
        void (*on_malloc)(const volatile void *p, size_t size),
        void (*on_free)(const volatile void *p));
extern size_t __sanitizer_get_allocated_size(const volatile void *p);
#endif

void
fuzz_abort(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

char *
fuzz_copy(const uint8_t *data, size_t size)
{
    char *copy = calloc(1, size);
    FUZZ_CHECK(copy != NULL || size == 0);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* ---------------------------------------------------------------- failures */

/* The text of the last failure; "" if it has been looked at. */
static char last_text[W4_ERR_TEXT];

static void
keep_text(void *user, w4moe_log_level level, const char *text)
{
    (void)user;
    if (level == W4MOE_LOG_ERROR) {
        snprintf(last_text, sizeof(last_text), "%s", text);
    }
}

struct w4_err *
fuzz_err(void)
{
    static struct w4_err err;
    static int is_made;
    if (!is_made) {
        w4_err_init(&err, keep_text, NULL);
        is_made = 1;
    }
    return &err;
}

w4moe_ctx *
fuzz_ctx(void)
{
    static w4moe_ctx *ctx;
    if (ctx == NULL) {
        const w4moe_ctx_options options = {
                .struct_size = sizeof(options),
                .backend = "cpu",
                .n_threads = 1,
                .log = keep_text,
        };
        FUZZ_CHECK(w4moe_ctx_create(&ctx, &options) == W4MOE_OK);
    }
    return ctx;
}

int
fuzz_status(w4moe_status status, unsigned expected)
{
    if ((FUZZ_BIT(status) & expected) == 0) {
        fprintf(stderr, "status %d, \"%s\"\n", (int)status, last_text);
        fuzz_abort(__FILE__, __LINE__, "the contract names this status");
    }
    if (status != W4MOE_OK) {
        FUZZ_CHECK(last_text[0] != '\0');
        for (const char *c = last_text; *c != '\0'; c++) {
            FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7F);
        }
    }
    last_text[0] = '\0';
    return status == W4MOE_OK;
}

/* ------------------------------------------------------------------ memory */

#ifdef HAS_ADDRESS_SANITIZER

static atomic_size_t memory_now;
static atomic_size_t memory_most;
static atomic_int memory_counts;

static void
on_malloc(const volatile void *p, size_t size)
{
    (void)p;
    if (atomic_load(&memory_counts)) {
        size_t now = atomic_fetch_add(&memory_now, size) + size;
        if (now > atomic_load(&memory_most)) {
            atomic_store(&memory_most, now);
        }
    }
}

static void
on_free(const volatile void *p)
{
    if (p != NULL && atomic_load(&memory_counts)) {
        size_t size = __sanitizer_get_allocated_size(p);
        /* Of what was allocated before. */
        size_t now = atomic_load(&memory_now);
        atomic_fetch_sub(&memory_now, size < now ? size : now);
    }
}

void
fuzz_memory_begin(void)
{
    static int is_installed;
    if (!is_installed) {
        FUZZ_CHECK(__sanitizer_install_malloc_and_free_hooks(
                           on_malloc, on_free) != 0);
        is_installed = 1;
    }
    atomic_store(&memory_now, 0);
    atomic_store(&memory_most, 0);
    atomic_store(&memory_counts, 1);
}

void
fuzz_memory_end(size_t size, size_t factor, size_t constant)
{
    size_t most = atomic_load(&memory_most);
    atomic_store(&memory_counts, 0);
    if (most > constant && most - constant > factor * size) {
        fprintf(stderr, "%zu bytes allocated for an input of %zu\n", most,
                size);
        fuzz_abort(__FILE__, __LINE__, "memory is in proportion to the input");
    }
}

#else

void
fuzz_memory_begin(void)
{
}

void
fuzz_memory_end(size_t size, size_t factor, size_t constant)
{
    (void)size;
    (void)factor;
    (void)constant;
}

#endif

/* ------------------------------------------------------------------- files */

static void
write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        FUZZ_CHECK(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

const char *
fuzz_file(const uint8_t *data, size_t size)
{
    static char path[32];
    static int fd = -1;
    if (fd >= 0) {
        close(fd);
    }
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    write_all(fd, data, size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return path;
}

static char folder[256];

static void
remove_folder(void)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(entries); entry != NULL;
            entry = readdir(entries)) {
        unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
    rmdir(folder);
}

const char *
fuzz_folder(void)
{
    if (folder[0] == '\0') {
        const char *base = getenv("TMPDIR");
        int n = snprintf(folder, sizeof(folder), "%s/w4moe-fuzz-XXXXXX",
                base != NULL && base[0] != '\0' ? base : "/tmp");
        FUZZ_CHECK(n > 0 && (size_t)n < sizeof(folder));
        FUZZ_CHECK(mkdtemp(folder) != NULL);
        atexit(remove_folder);
    }
    return folder;
}

void
fuzz_folder_write(const char *name, const uint8_t *data, size_t size)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", fuzz_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    FUZZ_CHECK(fd >= 0);
    write_all(fd, data, size);
    close(fd);
}

void
fuzz_split(struct fuzz_part *parts, size_t n, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        size_t n_part = size;
        if (i + 1 < n) {
            size_t length = size >= 4 ? w4_load_le32(data) : 0;
            size_t prefix = size >= 4 ? 4 : size;
            data += prefix;
            size -= prefix;
            n_part = length < size ? length : size;
        }
        parts[i].data = data;
        parts[i].size = n_part;
        data += n_part;
        size -= n_part;
    }
}

size_t
fuzz_join(uint8_t *out, size_t room, const struct fuzz_part *parts, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_part = parts[i].size;
        size_t prefix = i + 1 < n ? 4 : 0;
        if (n_part > UINT32_MAX || room - size < prefix ||
                room - size - prefix < n_part) {
            return 0;
        }
        for (size_t b = 0; b < prefix; b++) {
            out[size++] = (uint8_t)(n_part >> 8 * b);
        }
        if (n_part > 0) {
            memcpy(out + size, parts[i].data, n_part);
        }
        size += n_part;
    }
    return size;
}
