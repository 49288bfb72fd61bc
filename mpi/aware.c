/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Whether the MPI library takes pointers to device memory. There is no question
 * of the standard's for that; configure looks for the library's own, and sets
 * W4_MPI_QUERY to that function where there is one. */
#include "ranks.h"

#ifdef W4_MPI_HAVE_EXT
#include <mpi-ext.h>
#endif

int
w4_mpi_find_aware(w4moe_mpi_device_aware said)
{
#ifdef W4_MPI_QUERY
    if (said == W4MOE_MPI_DEVICE_AWARE_AUTO) {
        return W4_MPI_QUERY() != 0;
    }
#endif
    return said == W4MOE_MPI_DEVICE_AWARE_YES;
}
