/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Latency and bandwidth of a communicator; see bench_ep_link.h. */
#include "bench_ep_link.h"

#include <math.h>
#include <stdlib.h>

#include "common.h"

/* Calls; bytes of a short message, of all long ones of a rank together, and of
 * one of them at least. */
enum {
    PINGS = 200,
    EXCHANGES = 30,
    SHORT = 8,
    LONG_ALL = 4 << 20,
    LONG_MIN = 64 << 10
};

/* Arguments of an exchange. */
struct exchange {
    int n_ranks;
    int rank;
    char *sent;
    char *received;
    int *counts;
    int *places;
};

static double
smaller(double a, double b)
{
    return a < b ? a : b;
}

/* Half of a message's way to and fro, as the first rank sees it. Here and
 * below it is the shortest time that counts: what other processes of a machine
 * take from the ranks is not the link's. */
static double
ping(const struct exchange *e)
{
    double latency = INFINITY;
    char message[SHORT] = {0};
    int last = e->n_ranks - 1;
    for (int i = -PINGS / 4; i < PINGS; i++) {
        double start = MPI_Wtime();
        if (e->rank == 0) {
            MPI_Send(message, SHORT, MPI_BYTE, last, 0, MPI_COMM_WORLD);
            MPI_Recv(message, SHORT, MPI_BYTE, last, 0, MPI_COMM_WORLD,
                    MPI_STATUS_IGNORE);
        } else if (e->rank == last) {
            MPI_Recv(message, SHORT, MPI_BYTE, 0, 0, MPI_COMM_WORLD,
                    MPI_STATUS_IGNORE);
            MPI_Send(message, SHORT, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        }
        if (i >= 0) {
            latency = smaller(latency, (MPI_Wtime() - start) / 2.0);
        }
    }
    MPI_Bcast(&latency, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    return latency;
}

/* An exchange of so many bytes with each other rank; the shortest time of the
 * slowest. */
static double
exchange(const struct exchange *e, int n_bytes)
{
    double seconds = INFINITY;
    for (int r = 0; r < e->n_ranks; r++) {
        e->counts[r] = r == e->rank ? 0 : n_bytes;
        e->places[r] = r * n_bytes;
    }
    for (int i = -EXCHANGES / 4; i < EXCHANGES; i++) {
        MPI_Request request;
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        MPI_Ialltoallv(e->sent, e->counts, e->places, MPI_BYTE, e->received,
                e->counts, e->places, MPI_BYTE, MPI_COMM_WORLD, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        double taken = ep_ranks_largest(MPI_Wtime() - start);
        if (i >= 0) {
            seconds = smaller(seconds, taken);
        }
    }
    return seconds;
}

static void
measure(struct ep_link *link, const struct exchange *e, int long_bytes)
{
    double others = e->n_ranks - 1;
    double brief = exchange(e, SHORT);
    double much = exchange(e, long_bytes);
    /* An exchange is more than a message: what it costs goes to its messages
     * alike, unless one alone takes longer. */
    link->latency = fmax(ping(e), brief / others);
    if (e->n_ranks > 2 && brief > link->latency) {
        link->gap = (brief - link->latency) / (others - 1.0);
    }
    link->bandwidth =
            others * long_bytes / (much > brief ? much - brief : much);
}

int
bench_ep_link_measure(struct ep_link *link, const struct ep_ranks *ranks)
{
    *link = (struct ep_link){.bandwidth = INFINITY};
    if (ranks->n_ranks == 1) {
        return TOOL_OK;
    }
    int long_bytes = LONG_ALL / (ranks->n_ranks - 1);
    long_bytes = long_bytes > LONG_MIN ? long_bytes : LONG_MIN;
    uint64_t n = (uint64_t)(unsigned)ranks->n_ranks;
    struct exchange e = {
            .n_ranks = ranks->n_ranks,
            .rank = ranks->rank,
            .sent = tool_alloc(n, (uint64_t)long_bytes, "messages"),
            .received = tool_alloc(n, (uint64_t)long_bytes, "messages"),
            .counts = tool_alloc(n, sizeof(int), "counts"),
            .places = tool_alloc(n, sizeof(int), "counts"),
    };
    int code = e.sent != NULL && e.received != NULL && e.counts != NULL &&
                               e.places != NULL
                       ? TOOL_OK
                       : TOOL_ERROR;
    code = ep_ranks_together(code);
    if (code == TOOL_OK) {
        measure(link, &e, long_bytes);
    }
    free(e.sent);
    free(e.received);
    free(e.counts);
    free(e.places);
    return code;
}
