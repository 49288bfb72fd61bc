#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# run.sh N PROGRAM ARGUMENT...: starts N ranks on this machine, as many
# processors as it has or fewer, by whichever MPI library is there.
set -eu
n=$1
shift
# Open MPI asks for all of this, by names that change from version to version;
# MPICH for none of it.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
# No other machine is asked, but it wants something to ask it by.
export OMPI_MCA_plm_rsh_agent=/bin/false PRTE_MCA_plm_ssh_agent=/bin/false
export OMPI_MCA_hwloc_base_binding_policy=none
export PRTE_MCA_hwloc_default_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_btl_base_warn_component_unused=0
# MPI libraries leave memory behind; valgrind looks at ours (./dev mpi).
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
exec "${MPIEXEC:-mpiexec}" -n "$n" "$@"
