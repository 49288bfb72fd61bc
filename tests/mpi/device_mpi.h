/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Makes the MPI library device-aware for the device memory of fake_hip.h, which
 * is open while MPI is called and forbidden to the host otherwise. It stands
 * before MPI by the profiling interface.
 */
#ifndef DEVICE_MPI_H
#define DEVICE_MPI_H

/** Whether MPI may use device memory. Pointers to it end the job otherwise. */
extern void device_mpi_set(int aware);

/** Arrays in device memory that MPI got since the start. */
extern unsigned device_mpi_count(void);

#endif
