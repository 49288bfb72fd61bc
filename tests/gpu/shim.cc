/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "shim.h"

#include <atomic>
#include <memory>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>

#include "copies.h"
#include "device.h"
#include "fiber.h"
#include "order.h"
#include "sanitizers.h"
#include "shared.h"

__thread struct gpu_shim_thread gpu_shim_now;

namespace
{

/* Strings without memory of their own: a fiber that is given up is never left
 * in the ordinary way. */
struct text {
    char c[256];
};

__attribute__((format(printf, 1, 2))) text
text_of(const char *format, ...)
{
    text t;
    va_list list;
    va_start(list, format);
    vsnprintf(t.c, sizeof(t.c), format, list);
    va_end(list);
    return t;
}

enum thread_state { READY, AT_BARRIER, IN_WAVE, RETURNED };

struct gpu_thread_record {
    gpu_fiber fiber;
    thread_state state;
    /* What it waits in. */
    const char *operation;
    gpu_site site;
    gpu_copies copies;
};

/* Threads that wait for each other. */
struct meeting {
    unsigned n_arrived;
    /* The thread that came first. */
    unsigned first;
};

struct wave_record {
    meeting lanes_meet;
    /* Operations use the two in turn: a lane can be one operation ahead of
     * others that still read, never two. */
    unsigned turn;
    gpu_shim_lanes lanes[2];
};

/* A launch in a thread of the operating system, and what it keeps for the
 * next one. */
class worker
{
  public:
    worker();
    ~worker();
    worker(const worker &) = delete;
    worker &operator=(const worker &) = delete;

    int launch(const gpu_shim_kernel *kernel, unsigned grid_x, unsigned grid_y,
            const void *args, size_t size);
    int refuse(const char *format, ...) __attribute__((format(printf, 2, 3)));
    [[noreturn]] void fail(const gpu_site &site, const char *format, ...)
            __attribute__((format(printf, 3, 4)));

    void thread_body();
    void barrier(const gpu_site &site);
    const gpu_shim_lanes &gather(const char *operation, const gpu_site &site,
            const uint32_t *words, size_t n_words);
    void *shared_array(const gpu_site &site, const void *key, size_t n_bytes);
    /* Of the running thread. */
    gpu_copies &copies();

    gpu_shared shared;
    char message[512] = "";

  private:
    bool run_block(unsigned x, unsigned y);
    void prepare_threads();
    bool meet(meeting &m, unsigned begin, unsigned n, thread_state state,
            const char *operation, const gpu_site &site);
    void go_on();
    void switch_to(gpu_fiber *to);
    [[noreturn]] void leave(const gpu_site *site);
    [[noreturn]] void report_stuck();
    text what_it_does(unsigned t) const;
    size_t shared_limit() const;

    const gpu_shim_kernel *kernel = nullptr;
    alignas(16) unsigned char args[GPU_SHIM_MAX_ARGS];
    unsigned block_x = 0;
    unsigned block_y = 0;
    bool failed = false;
    gpu_order order;

    gpu_fiber main;
    gpu_fiber *running = nullptr;
    std::vector<std::unique_ptr<gpu_thread_record>> threads;
    std::vector<std::unique_ptr<wave_record>> waves;
    gpu_ready_set ready;
    meeting all_meet = {};
    unsigned n_returned = 0;
};

thread_local worker this_worker;

/* For fibers: the address of this_worker does not change. */
__thread worker *current;

std::atomic<uint64_t> chosen_seed{0};
std::atomic<bool> seed_is_chosen{false};

uint64_t
present_seed()
{
    if (!seed_is_chosen) {
        const char *text = getenv("W4MOE_GPU_SEED");
        gpu_shim_seed(text != nullptr ? strtoull(text, nullptr, 10) : 0);
    }
    return chosen_seed;
}

bool
same_site(const gpu_site &a, const gpu_site &b)
{
    return a.line == b.line &&
           (a.file == b.file || strcmp(a.file, b.file) == 0);
}

text
name_of(const gpu_site &site)
{
    const char *slash = strrchr(site.file, '/');
    return text_of(
            "%s:%d", slash != nullptr ? slash + 1 : site.file, site.line);
}

void
enter_fiber()
{
    current->thread_body();
}

worker::worker()
{
    gpu_fiber_init_main(&main);
    memset(args, 0, sizeof(args));
}

worker::~worker()
{
    for (auto &t : threads) {
        gpu_fiber_free(&t->fiber);
    }
}

int
worker::refuse(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    return -1;
}

void
worker::fail(const gpu_site &site, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    leave(&site);
}

/* Gives up this launch for the reason that is in the message; the fibers are
 * begun anew in the next one. */
void
worker::leave(const gpu_site *site)
{
    gpu_tsan_release(&n_returned);
    text where = text_of(
            "kernel %s, block (%u, %u)", kernel->name, block_x, block_y);
    if (site != nullptr) {
        where = text_of("%s, thread %u, %s", where.c, gpu_shim_now.thread,
                name_of(*site).c);
    }
    text why = text_of("%s", message);
    refuse("%s: %s", where.c, why.c);
    failed = true;
    /* Not RETURNED, whatever it was: it is to be begun anew. */
    threads[gpu_shim_now.thread]->state = READY;
    switch_to(&main);
    abort();
}

text
worker::what_it_does(unsigned t) const
{
    const gpu_thread_record &r = *threads[t];
    if (r.state == RETURNED) {
        return text_of("thread %u has returned", t);
    }
    return text_of(
            "thread %u is in %s at %s", t, r.operation, name_of(r.site).c);
}

/* Some wait, and nobody can come: names one of them and one who is elsewhere.
 */
void
worker::report_stuck()
{
    unsigned first = 0;
    while (threads[first]->state == RETURNED) {
        first++;
    }
    thread_state state = threads[first]->state;
    unsigned other = state == IN_WAVE ? first / GPU_WAVE * GPU_WAVE : 0;
    while (threads[other]->state == state) {
        other++;
    }
    refuse("%s, %s", what_it_does(first).c, what_it_does(other).c);
    leave(nullptr);
}

void
worker::switch_to(gpu_fiber *to)
{
    gpu_fiber *from = running;
    running = to;
    gpu_fiber_switch(from, to);
}

/* Leaves the running thread for the next that is ready, which may be itself. */
void
worker::go_on()
{
    unsigned self = gpu_shim_now.thread;
    int next = order.descends() ? ready.last()
                                : ready.next(order.start(kernel->n_threads));
    if (next < 0) {
        if (n_returned == kernel->n_threads) {
            switch_to(&main);
            return;
        }
        report_stuck();
    }
    if ((unsigned)next != self || threads[self]->state == RETURNED) {
        gpu_shim_now.thread = (unsigned)next;
        switch_to(&threads[(unsigned)next]->fiber);
    }
}

void
worker::thread_body()
{
    for (;;) {
        gpu_tsan_acquire(this);
        kernel->run(args);
        gpu_tsan_release(&n_returned);
        gpu_tsan_pause pause;
        unsigned self = gpu_shim_now.thread;
        threads[self]->state = RETURNED;
        n_returned++;
        ready.remove(self);
        go_on();
    }
}

/* The running thread waits for the n threads from `begin` on; the last of them
 * wakes all. Returns whether it is the last. */
bool
worker::meet(meeting &m, unsigned begin, unsigned n, thread_state state,
        const char *operation, const gpu_site &site)
{
    unsigned self = gpu_shim_now.thread;
    /* If the launch fails, this is where the thread ends. */
    gpu_tsan_release(&n_returned);
    gpu_thread_record &r = *threads[self];
    r.state = state;
    r.operation = operation;
    r.site = site;
    m.first = m.n_arrived == 0 ? self : m.first;
    const gpu_thread_record &first = *threads[m.first];
    if (strcmp(first.operation, operation) != 0 ||
            !same_site(first.site, site)) {
        fail(site, "%s, while %s", operation, what_it_does(m.first).c);
    }
    ready.remove(self);
    m.n_arrived++;
    if (m.n_arrived < n) {
        return false;
    }
    m.n_arrived = 0;
    for (unsigned t = begin; t < begin + n; t++) {
        threads[t]->state = READY;
        ready.add(t);
    }
    return true;
}

gpu_copies &
worker::copies()
{
    return threads[gpu_shim_now.thread]->copies;
}

void
worker::barrier(const gpu_site &site)
{
    gpu_tsan_release(&all_meet);
    meet(all_meet, 0, kernel->n_threads, AT_BARRIER, "a barrier", site);
    go_on();
    gpu_tsan_acquire(&all_meet);
}

const gpu_shim_lanes &
worker::gather(const char *operation, const gpu_site &site,
        const uint32_t *words, size_t n_words)
{
    unsigned self = gpu_shim_now.thread;
    unsigned lane = self % GPU_WAVE;
    wave_record &wave = *waves[self / GPU_WAVE];
    gpu_shim_lanes &lanes = wave.lanes[wave.turn];
    std::copy(words, words + n_words, lanes.word[lane]);
    if (meet(wave.lanes_meet, self - lane, GPU_WAVE, IN_WAVE, operation,
                site)) {
        wave.turn = 1 - wave.turn;
    }
    go_on();
    return lanes;
}

/* Bytes of shared memory that a workgroup has without special measures. */
size_t
worker::shared_limit() const
{
    return kernel->layout == GPU_SHIM_NVIDIA ? 48 * 1024 : 64 * 1024;
}

void *
worker::shared_array(const gpu_site &site, const void *key, size_t n_bytes)
{
    void *array = shared.get(key, n_bytes);
    if (shared.size() > shared_limit()) {
        fail(site, "%zu bytes of shared memory of %zu", shared.size(),
                shared_limit());
    }
    return array;
}

void
worker::prepare_threads()
{
    while (threads.size() < kernel->n_threads) {
        threads.push_back(std::make_unique<gpu_thread_record>());
        gpu_fiber_init(&threads.back()->fiber, enter_fiber);
        threads.back()->state = RETURNED;
    }
    while (waves.size() < kernel->n_threads / GPU_WAVE) {
        waves.push_back(std::make_unique<wave_record>());
    }
    ready.clear();
    for (unsigned t = 0; t < kernel->n_threads; t++) {
        if (threads[t]->state != RETURNED) {
            gpu_fiber_restart(&threads[t]->fiber);
        }
        threads[t]->state = READY;
        threads[t]->copies.clear();
        ready.add(t);
    }
    for (auto &wave : waves) {
        wave->lanes_meet.n_arrived = 0;
    }
    all_meet.n_arrived = 0;
    n_returned = 0;
}

bool
worker::run_block(unsigned x, unsigned y)
{
    block_x = x;
    block_y = y;
    gpu_shim_now.block_x = x;
    gpu_shim_now.block_y = y;
    prepare_threads();
    shared.begin();
    int first = order.descends() ? ready.last()
                                 : ready.next(order.start(kernel->n_threads));
    gpu_shim_now.thread = (unsigned)first;
    switch_to(&threads[(unsigned)first]->fiber);
    if (!failed && !shared.intact()) {
        refuse("kernel %s, block (%u, %u): wrote beside an array of shared "
               "memory",
                kernel->name, x, y);
        failed = true;
    }
    return !failed;
}

int
worker::launch(const gpu_shim_kernel *k, unsigned grid_x, unsigned grid_y,
        const void *arguments, size_t size)
{
    kernel = k;
    memcpy(args, arguments, size);
    message[0] = '\0';
    failed = false;
    running = &main;
    current = this;
    order.seed(present_seed());
    gpu_tsan_release(this);
    for (size_t b : order.numbers((size_t)grid_x * grid_y)) {
        if (!run_block((unsigned)(b % grid_x), (unsigned)(b / grid_x))) {
            break;
        }
    }
    gpu_tsan_acquire(&n_returned);
    return failed ? -1 : 0;
}

const gpu_shim_kernel *&
all_kernels()
{
    static const gpu_shim_kernel *list;
    return list;
}

} // namespace

bool
gpu_shim_register(struct gpu_shim_kernel *kernel)
{
    kernel->next = all_kernels();
    all_kernels() = kernel;
    return true;
}

void
gpu_shim_fail(const gpu_site &site, const char *format, ...)
{
    gpu_tsan_look_away();
    va_list list;
    va_start(list, format);
    text why;
    vsnprintf(why.c, sizeof(why.c), format, list);
    va_end(list);
    current->fail(site, "%s", why.c);
}

void
gpu_shim_barrier(const gpu_site &site)
{
    gpu_tsan_pause pause;
    current->barrier(site);
}

const gpu_shim_lanes &
gpu_shim_gather(const char *operation, const gpu_site &site,
        const uint32_t *words, size_t n_words)
{
    gpu_tsan_pause pause;
    return current->gather(operation, site, words, n_words);
}

void
gpu_shim_copy(const gpu_site &site, void *to, const void *from)
{
    gpu_tsan_pause pause;
    if (!current->shared.contains(to, 16)) {
        current->fail(site, "a copy to what is not shared memory");
    }
    current->copies().add(to, from);
}

void
gpu_shim_copies_end(void)
{
    gpu_tsan_pause pause;
    current->copies().end_batch();
}

void
gpu_shim_copies_wait(size_t n)
{
    current->copies().wait(n);
}

void *
gpu_shim_shared(const gpu_site &site, const void *key, size_t n_bytes)
{
    gpu_tsan_pause pause;
    return current->shared_array(site, key, n_bytes);
}

bool
gpu_shim_is_shared(const void *address, size_t n_bytes)
{
    gpu_tsan_pause pause;
    return current->shared.contains(address, n_bytes);
}

const struct gpu_shim_kernel *
gpu_shim_find(enum gpu_shim_layout layout, const char *name)
{
    const gpu_shim_kernel *k = all_kernels();
    while (k != nullptr &&
            (k->layout != layout || strcmp(k->name, name) != 0)) {
        k = k->next;
    }
    return k;
}

int
gpu_shim_launch(const struct gpu_shim_kernel *kernel, unsigned grid_x,
        unsigned grid_y, unsigned n_threads, const void *args, size_t size)
{
    gpu_tsan_pause pause;
    worker &w = this_worker;
    if (n_threads != kernel->n_threads || n_threads % GPU_WAVE != 0 ||
            n_threads == 0 || n_threads > GPU_SHIM_MAX_THREADS) {
        return w.refuse("kernel %s: %u threads, it is made for %u",
                kernel->name, n_threads, kernel->n_threads);
    }
    if (size != kernel->args_size || size > GPU_SHIM_MAX_ARGS) {
        return w.refuse("kernel %s: %zu bytes of arguments, it has %zu",
                kernel->name, size, kernel->args_size);
    }
    if (grid_x == 0 || grid_y == 0 || grid_y > 65535) {
        return w.refuse(
                "kernel %s: a grid of %u x %u", kernel->name, grid_x, grid_y);
    }
    return w.launch(kernel, grid_x, grid_y, args, size);
}

const char *
gpu_shim_message(void)
{
    return this_worker.message;
}

void
gpu_shim_seed(uint64_t seed)
{
    chosen_seed = seed;
    seed_is_chosen = true;
}
