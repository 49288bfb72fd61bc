/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The checkpoints of tests/data, read and dequantised without the library, and
 * the containers that the library makes of them. What goes wrong here ends the
 * test.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "ct_container.h"

/** How the tensors of a weight are laid out; GPT-OSS is MXFP4, all experts in
 * one tensor, with biases. */
enum golden_scheme { GOLDEN_CT, GOLDEN_GPTQ, GOLDEN_AWQ, GOLDEN_GPTOSS };

struct golden {
    const char *folder;
    enum golden_scheme scheme;
    size_t n_layers;
    size_t n_experts;
    /** 0: channel-wise. */
    size_t group_size;
    int has_order;
    int has_zeros;
};

enum { N_GOLDENS = 9 };
extern const struct golden goldens[N_GOLDENS];

/** The one at work; its containers in order tile and in order rdna3. */
extern const struct golden *golden;
extern w4moe_file *golden_files[2];

/** Reads checkpoint i, and converts it in both orders. */
extern void golden_start(int i);
extern void golden_end(void);

/** A tensor of a weight, projection 0 gate, 1 up, 2 down; NULL if there is
 * none. */
extern const struct mini_tensor *golden_part(
        size_t layer, size_t expert, int projection, const char *part);

/** The group of each column of a weight, as a tensor; NULL without. */
extern const struct mini_tensor *golden_g_idx(
        size_t layer, size_t expert, int projection);

/** A weight [N][K] by its definition. Free it. */
extern float *golden_weight(size_t layer, size_t expert, int projection);

/** The bias of row n of a weight; 0 if there is none. */
extern double golden_bias(
        size_t layer, size_t expert, int projection, size_t n);

/** "layers.LAYER.NAME" of what the layer must compute. */
extern const struct mini_tensor *golden_expected(
        size_t layer, const char *name);

/** A number of a file; element i of a BF16 or F16 tensor. */
extern uint32_t golden_le32(const unsigned char *p);
extern double golden_half(const struct mini_tensor *tensor, size_t i);

/** The data of a tensor whose numbers have 2 or 4 bytes, in the host's order
 * of bytes; also from that order to the file's. Free it. */
extern void *golden_host(const struct mini_tensor *tensor, size_t size);

#endif
