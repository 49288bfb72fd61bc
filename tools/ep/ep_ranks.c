/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Ranks; see ep_ranks.h. */
#include "ep_ranks.h"

#include <ctype.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

/* Processors that are told apart. */
enum { PROCESSORS_MAX = 4096 };

int
ep_ranks_begin(struct ep_ranks *ranks)
{
    int level;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level) !=
            MPI_SUCCESS) {
        return tool_error("--ep: MPI does not start");
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks->n_ranks);
    return TOOL_OK;
}

int
ep_ranks_together(int code)
{
    MPI_Allreduce(MPI_IN_PLACE, &code, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return code;
}

/* Whether a text begins with "rank N: ". */
static int
is_of_other(const char *text)
{
    const char *word = "rank ";
    if (strncmp(text, word, strlen(word)) != 0) {
        return 0;
    }
    const char *p = text + strlen(word);
    while (isdigit((unsigned char)*p)) {
        p++;
    }
    return p > text + strlen(word) && p[0] == ':' && p[1] == ' ';
}

int
ep_ranks_failed(
        const struct ep_ranks *ranks, const w4moe_ctx *ctx, w4moe_status status)
{
    const char *text = w4moe_ctx_error(ctx);
    if (!is_of_other(text)) {
        tool_error("rank %d: %s", ranks->rank,
                text[0] != '\0' ? text : w4moe_status_string(status));
    }
    return TOOL_ERROR;
}

double
ep_ranks_largest(double value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return value;
}

/* Sets a 1 for each processor that this process may use, as far as the system
 * tells. */
static void
find_processors(int users[PROCESSORS_MAX])
{
#ifdef CPU_ALLOC
    size_t size = CPU_ALLOC_SIZE(PROCESSORS_MAX);
    cpu_set_t *set = CPU_ALLOC(PROCESSORS_MAX);
    if (set != NULL && sched_getaffinity(0, size, set) == 0) {
        for (int i = 0; i < PROCESSORS_MAX; i++) {
            users[i] = CPU_ISSET_S((size_t)i, size, set) != 0;
        }
        CPU_FREE(set);
        return;
    }
    if (set != NULL) {
        CPU_FREE(set);
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < n && i < PROCESSORS_MAX; i++) {
        users[i] = 1;
    }
}

unsigned
ep_ranks_threads(void)
{
    int mine[PROCESSORS_MAX] = {0};
    int users[PROCESSORS_MAX];
    double share = 0.0;
    MPI_Comm node;
    find_processors(mine);
    MPI_Comm_split_type(
            MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Allreduce(mine, users, PROCESSORS_MAX, MPI_INT, MPI_SUM, node);
    MPI_Comm_free(&node);
    for (int i = 0; i < PROCESSORS_MAX; i++) {
        share += mine[i] ? 1.0 / users[i] : 0.0;
    }
    /* Thirds may add up to a little less than a whole. */
    return share < 1.0 ? 1 : (unsigned)(share + 1e-6);
}
