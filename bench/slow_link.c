/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * slow_link NAMESPACE NAMESPACE MICROSECONDS MBIT: joins two network namespaces
 * by a link of that latency and bandwidth, each way, as the devices "slow0" in
 * them; until it is killed. For ep-network.sh. Linux, as root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 65536, QUEUE = 512 };

/* A packet on its way, and when it arrives. */
struct packet {
    double arrives;
    size_t size;
    char bytes[PACKET_MAX];
};

/* One way of the link. */
struct way {
    int from;
    int to;
    /* When the last packet had left. */
    double free_at;
    size_t first;
    size_t n;
    struct packet *queue;
};

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A device in a namespace. */
static int
open_device(const char *namespace)
{
    char path[256];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(path, sizeof(path), "/run/netns/%s", namespace);
    int ns = open(path, O_RDONLY);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0) {
        fail(path);
    }
    close(ns);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (device < 0) {
        fail("/dev/net/tun");
    }
    memcpy(request.ifr_name, "slow0", 6);
    if (ioctl(device, TUNSETIFF, &request) != 0) {
        fail("TUNSETIFF");
    }
    return device;
}

/* Takes in what is there; each packet leaves when those before it have. */
static void
take(struct way *way, double latency, double bytes_per_second)
{
    while (way->n < QUEUE) {
        struct packet *p = &way->queue[(way->first + way->n) % QUEUE];
        ssize_t size = read(way->from, p->bytes, PACKET_MAX);
        if (size <= 0) {
            return;
        }
        double time = now();
        way->free_at = way->free_at > time ? way->free_at : time;
        way->free_at += (double)size / bytes_per_second;
        p->size = (size_t)size;
        p->arrives = way->free_at + latency;
        way->n++;
    }
}

/* Hands over what has arrived; returns the time to the next. */
static double
give(struct way *way)
{
    while (way->n > 0) {
        struct packet *p = &way->queue[way->first];
        double left = p->arrives - now();
        if (left > 0) {
            return left;
        }
        /* What the other side does not take is lost, as on any link. */
        if (write(way->to, p->bytes, p->size) < 0 && errno != EIO) {
            perror("write");
        }
        way->first = (way->first + 1) % QUEUE;
        way->n--;
    }
    return 1;
}

int
main(int argc, char **argv)
{
    struct way ways[2];
    if (argc != 5) {
        fputs("usage: slow_link NAMESPACE NAMESPACE MICROSECONDS MBIT\n",
                stderr);
        return 2;
    }
    double latency = 1e-6 * atof(argv[3]);
    double rate = 1e6 / 8 * atof(argv[4]);
    int devices[2] = {open_device(argv[1]), open_device(argv[2])};
    for (int i = 0; i < 2; i++) {
        ways[i] = (struct way){
                .from = devices[i],
                .to = devices[1 - i],
                .queue = calloc(QUEUE, sizeof(struct packet)),
        };
        if (ways[i].queue == NULL) {
            fail("calloc");
        }
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        double wait = 1;
        for (int i = 0; i < 2; i++) {
            take(&ways[i], latency, rate);
            double left = give(&ways[i]);
            wait = left < wait ? left : wait;
        }
        struct pollfd fds[2];
        for (int i = 0; i < 2; i++) {
            short events = ways[i].n < QUEUE ? POLLIN : 0;
            fds[i] = (struct pollfd){.fd = ways[i].from, .events = events};
        }
        struct timespec t = {
                .tv_sec = (time_t)wait,
                .tv_nsec = (long)((wait - (double)(time_t)wait) * 1e9),
        };
        ppoll(fds, 2, &t, NULL);
    }
}
