/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "device_mpi.h"

#include <mpi.h>

#include "ep_case.h"
#include "fake_hip.h"

static int is_aware;
static unsigned n_arrays;

void
device_mpi_set(int aware)
{
    is_aware = aware;
}

unsigned
device_mpi_count(void)
{
    return n_arrays;
}

static void
begin(void)
{
    if (is_aware) {
        fake_hip_open(1);
    }
}

static int
end(int code)
{
    if (is_aware) {
        fake_hip_open(0);
    }
    return code;
}

static void
look_at(const void *array)
{
    int is_device = fake_hip_covers(array);
    EP_NEED(!is_device || is_aware, "MPI got device memory");
    n_arrays += (unsigned)is_device;
}

int
MPI_Ialltoallv(const void *send, const int *send_n, const int *send_place,
        MPI_Datatype send_type, void *receive, const int *receive_n,
        const int *receive_place, MPI_Datatype receive_type, MPI_Comm comm,
        MPI_Request *request)
{
    look_at(send);
    look_at(receive);
    begin();
    return end(PMPI_Ialltoallv(send, send_n, send_place, send_type, receive,
            receive_n, receive_place, receive_type, comm, request));
}

int
MPI_Alltoall(const void *send, int send_n, MPI_Datatype send_type,
        void *receive, int receive_n, MPI_Datatype receive_type, MPI_Comm comm)
{
    begin();
    return end(PMPI_Alltoall(
            send, send_n, send_type, receive, receive_n, receive_type, comm));
}

int
MPI_Iallreduce(const void *send, void *receive, int n, MPI_Datatype type,
        MPI_Op op, MPI_Comm comm, MPI_Request *request)
{
    begin();
    return end(PMPI_Iallreduce(send, receive, n, type, op, comm, request));
}

int
MPI_Allreduce(const void *send, void *receive, int n, MPI_Datatype type,
        MPI_Op op, MPI_Comm comm)
{
    begin();
    return end(PMPI_Allreduce(send, receive, n, type, op, comm));
}

int
MPI_Bcast(void *array, int n, MPI_Datatype type, int root, MPI_Comm comm)
{
    begin();
    return end(PMPI_Bcast(array, n, type, root, comm));
}

int
MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    begin();
    return end(PMPI_Wait(request, status));
}

int
MPI_Testall(int n, MPI_Request *requests, int *done, MPI_Status *statuses)
{
    begin();
    return end(PMPI_Testall(n, requests, done, statuses));
}
