/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * A tool's program with MPI. No tool links an MPI library: with --ep it turns
 * into TOOL-ep, which is the same program with MPI, where configure found that.
 */
#ifndef W4_TOOLS_EP_EXEC_H
#define W4_TOOLS_EP_EXEC_H

/** Runs TOOL-ep with this command line in the place of this process, so that
 * what started it as a rank finds the rank. It is looked for in the folder
 * W4MOE_LIBEXEC_DIR of the environment, else where it is installed. Returns
 * TOOL_ERROR, after printing why, if it cannot be run; else not at all. */
extern int ep_exec(char **argv);

#endif
