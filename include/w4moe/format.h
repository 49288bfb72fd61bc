/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Weights: the packed layout, re-packing, the container, conversion.
 *
 * Included by <w4moe.h>. The layout and the container are specified to the
 * bit in w4moe-format(5).
 */
#ifndef W4MOE_FORMAT_H
#define W4MOE_FORMAT_H

#include <w4moe/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------- packed matrices */

/** Order of the words of a packed matrix. */
typedef enum w4moe_order {
    /** [E][N/128][K/8][128]: a tile of 128 columns is one stream. The columns
     * of a gated w13 are paired, 64 of gate then 64 of up. */
    W4MOE_ORDER_TILE = 1,
    /** [E][K/8][N]: the order of vLLM's RDNA3 kernels. */
    W4MOE_ORDER_RDNA3 = 2
} w4moe_order;

/** Meaning of a 4-bit code. */
typedef enum w4moe_code {
    /** Integer 0..15: weight = (code - zero) * scale. */
    W4MOE_CODE_INT4 = 1,
    /** E2M1 float (MXFP4): weight = value(code) * scale. */
    W4MOE_CODE_E2M1 = 2
} w4moe_code;

/**
 * The same matrix of every expert, packed.
 *
 * Sizes: n_in % 8 == 0, n_out % 8 == 0 (% 16 if gated), group_size % 8 == 0,
 * group_size <= n_in. G = ceil(n_in / group_size); the last group may be
 * short. A channel-wise scale is group_size = n_in.
 *
 * The arrays belong to the caller. Functions that take a const w4moe_matrix
 * do not write them. All are contiguous and aligned to their element size.
 */
typedef struct w4moe_matrix {
    /** sizeof(w4moe_matrix). */
    size_t struct_size;

    w4moe_order order;
    w4moe_code code;

    /** Experts, E. */
    size_t n_experts;
    /** Output features, N; for a gated w13 gate [0, N/2), up [N/2, N). */
    size_t n_out;
    /** Input features, K. */
    size_t n_in;
    /** Group length along K, g. */
    size_t group_size;
    /** Not 0 for a w13 whose halves are gate and up. */
    int gated;

    /** Words of 8 codes, in the order given by `order`. */
    uint32_t *qweight;

    /** [E][G][N] (order rdna3) or [E][N/128][G][128] (order tile). */
    void *scales;
    /** W4MOE_BF16, W4MOE_F16, W4MOE_F32, or with E2M1 codes also
     * W4MOE_F8_E8M0. */
    w4moe_dtype scale_dtype;

    /** Zero points, [E][G][N/8] or [E][N/128][G][16]: nibble m of a word is
     * (zero - 1) mod 16 of column 8 * (n / 8) + m. NULL: every zero is 8. */
    uint32_t *qzeros;

    /** Offsets instead of zeros, weight = scale * code + offset; ordered like
     * `scales`; NULL if absent. Not together with qzeros. */
    void *offsets;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype offset_dtype;

    /** Activation order, [E][n_perms][K]: packed position p of a group row
     * holds input feature perm[p]. NULL if absent. */
    int32_t *perm;
    /** 1, or 2 for a gated matrix whose gate and up differ (gate first). */
    size_t n_perms;

    /** Bias, [E][N], natural column order in both orders; NULL if absent. */
    void *bias;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype bias_dtype;
    /** Must be 0. */
    uint32_t reserved;
} w4moe_matrix;

/** Bytes of the arrays of a packed matrix; 0 for an array that is absent by
 * its dtype (or, for perm, by n_perms 0). */
typedef struct w4moe_matrix_sizes {
    /** sizeof(w4moe_matrix_sizes). */
    size_t struct_size;
    uint64_t qweight;
    uint64_t scales;
    /** What zero points would take; present or not is for the caller. */
    uint64_t qzeros;
    uint64_t offsets;
    uint64_t perm;
    uint64_t bias;
} w4moe_matrix_sizes;

/**
 * Sizes of the arrays of a packed matrix.
 *
 * Out: *sizes (struct_size set by the caller).
 * In: matrix: order, code, sizes and dtypes; its pointers are not looked at.
 * Returns: W4MOE_OK; W4MOE_INVALID (a size of 0, not a multiple of 8, or too
 *     large for the address space); W4MOE_UNSUPPORTED (a dtype).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_matrix_measure(const w4moe_ctx *ctx,
        w4moe_matrix_sizes *sizes, const w4moe_matrix *matrix) W4MOE_MUST_CHECK;

/**
 * Shuffles words of 8 codes from sequential order (code j at bit 4j) to the
 * packed order (code j at bit 4(j/2) if j is even, 16 + 4(j/2) if odd).
 *
 * Out: dst [n]. In: src [n]; may be dst.
 * Threads: any.
 */
extern W4MOE_API void w4moe_shuffle(
        uint32_t *dst, const uint32_t *src, size_t n);

/** The inverse of w4moe_shuffle(). */
extern W4MOE_API void w4moe_unshuffle(
        uint32_t *dst, const uint32_t *src, size_t n);

/**
 * Packs zero points 0..15 into words, 8 to a word, stored as (zero - 1) mod 16.
 *
 * Out: words [n]. In: zeros [8 n], of each only the low 4 bits are used.
 * Threads: any.
 */
extern W4MOE_API void w4moe_zeros_pack(
        uint32_t *words, const uint8_t *zeros, size_t n);

/**
 * Unpacks the zero points of n words.
 *
 * Out: zeros [8 n], each 0..15. In: words [n].
 * Threads: any.
 */
extern W4MOE_API void w4moe_zeros_unpack(
        uint8_t *zeros, const uint32_t *words, size_t n);

/**
 * Synthesises n words of one zero point; 8 (symmetric weights) gives
 * 0x77777777.
 *
 * Out: words [n]. In: zero 0..15.
 * Threads: any.
 */
extern W4MOE_API void w4moe_zeros_fill(
        uint32_t *words, size_t n, unsigned zero);

/**
 * A weight as compressed-tensors stores it (`pack-quantized`, 4 bits). The
 * arrays need no alignment and are little-endian, as in the file.
 */
typedef struct w4moe_ct_weight {
    /** sizeof(w4moe_ct_weight). */
    size_t struct_size;
    /** Rows. */
    size_t n_out;
    /** Columns after trimming (weight_shape[1]). */
    size_t n_in;
    /** Group length; n_in for channel-wise scales. */
    size_t group_size;
    /** weight_packed, I32 [n_out][ceil(n_in / 8)]: code + 8, lowest first. */
    const void *packed;
    /** weight_scale [n_out][G]. */
    const void *scale;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype scale_dtype;
    /** weight_zero_point, I32 [ceil(n_out / 8)][G], packed along the rows; NULL
     * for symmetric weights. */
    const void *zero_point;
    /** From w4moe_ct_order(): packed position p takes column input_order[p].
     * NULL: columns in their own order. */
    const int32_t *input_order;
    /** Packed row r takes row output_order[r]; NULL: rows in their own order.
     * This is how an act-order of w2 is folded into gate and up. */
    const int32_t *output_order;
} w4moe_ct_weight;

/**
 * A weight as GPTQ stores it (4 bits). The arrays need no alignment and are
 * little-endian, as in the file.
 */
typedef struct w4moe_gptq_weight {
    /** sizeof(w4moe_gptq_weight). */
    size_t struct_size;
    /** Output features, N. */
    size_t n_out;
    /** Input features, K. */
    size_t n_in;
    /** Group length; n_in for channel-wise scales. */
    size_t group_size;
    /** qweight, I32 [K/8][N]: 8 input features in a word, lowest first. */
    const void *qweight;
    /** scales [G][N]. */
    const void *scales;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype scale_dtype;
    /** qzeros, I32 [G][N/8]; NULL: every zero is 8. */
    const void *qzeros;
    /** 0: qzeros are of version 1, a zero point is what is stored plus 1,
     * modulo 16. Not 0: of version 2, a zero point is what is stored. */
    int v2;
    /** From w4moe_ct_order() with g_idx: packed position p takes input feature
     * input_order[p]. NULL: in their own order. */
    const int32_t *input_order;
    /** Packed column c takes output feature output_order[c]; NULL: in their
     * own order. */
    const int32_t *output_order;
} w4moe_gptq_weight;

/**
 * A weight as AutoAWQ stores it (4 bits, version gemm). The arrays need no
 * alignment and are little-endian, as in the file. Nibble i of a word is of
 * output feature 0, 2, 4, 6, 1, 3, 5, 7 [i] of its 8.
 */
typedef struct w4moe_awq_weight {
    /** sizeof(w4moe_awq_weight). */
    size_t struct_size;
    /** Output features, N. */
    size_t n_out;
    /** Input features, K. */
    size_t n_in;
    /** Group length; n_in for channel-wise scales. */
    size_t group_size;
    /** qweight, I32 [K][N/8]. */
    const void *qweight;
    /** scales [G][N]. */
    const void *scales;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype scale_dtype;
    /** qzeros, I32 [G][N/8]; NULL: every zero is 8. */
    const void *qzeros;
    /** Packed position p takes input feature input_order[p]. NULL: in their
     * own order. */
    const int32_t *input_order;
    /** Packed column c takes output feature output_order[c]; NULL: in their
     * own order. */
    const int32_t *output_order;
} w4moe_awq_weight;

/**
 * Order of the columns of an act-order weight: sorted by group, stable.
 *
 * Out: order [n_in].
 * In: g_idx I32 [n_in], little-endian, no alignment needed: the group of each
 *     column. Every group must have exactly group_size members (the last the
 *     rest). A -1 anywhere means "no order": the columns in their own.
 * Returns: W4MOE_OK; W4MOE_INVALID (a NULL or a size of 0); W4MOE_FORMAT
 *     (groups of another size); W4MOE_NOMEM.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_ct_order(const w4moe_ctx *ctx,
        int32_t *order, const void *g_idx, size_t n_in,
        size_t group_size) W4MOE_MUST_CHECK;

/**
 * Re-packs one weight of one expert. Exact: codes, zeros and scales keep their
 * bits. perm and bias of dst are not touched.
 *
 * In/out: dst, its arrays: the columns [first_out, first_out + src->n_out) of
 *     `expert` are written (gate: 0; up: N/2; w2: 0). If dst has qzeros, a
 *     symmetric source writes zeros of 8.
 * In: src, with dst's n_in, group_size and scale_dtype, codes INT4.
 * Returns: W4MOE_OK; W4MOE_INVALID (sizes or types that do not agree, zero
 *     points where dst has none).
 * Threads: any, for different columns of dst; first_out and src->n_out are
 *     multiples of 8.
 */
extern W4MOE_API w4moe_status w4moe_pack_ct(const w4moe_ctx *ctx,
        w4moe_matrix *dst, const w4moe_ct_weight *src, size_t expert,
        size_t first_out) W4MOE_MUST_CHECK;

/** Like w4moe_pack_ct(), of a weight of GPTQ. A source without qzeros writes
 * zeros of 8 if dst has them. */
extern W4MOE_API w4moe_status w4moe_pack_gptq(const w4moe_ctx *ctx,
        w4moe_matrix *dst, const w4moe_gptq_weight *src, size_t expert,
        size_t first_out) W4MOE_MUST_CHECK;

/** Like w4moe_pack_ct(), of a weight of AutoAWQ. A source without qzeros
 * writes zeros of 8 if dst has them. */
extern W4MOE_API w4moe_status w4moe_pack_awq(const w4moe_ctx *ctx,
        w4moe_matrix *dst, const w4moe_awq_weight *src, size_t expert,
        size_t first_out) W4MOE_MUST_CHECK;

/**
 * A weight in MXFP4: E2M1 codes in groups of 32 along a row, each group with
 * an E8M0 scale. The arrays need no alignment. They may hold more rows than
 * the weight has, for example those of gate and up in turn.
 */
typedef struct w4moe_mxfp4_weight {
    /** sizeof(w4moe_mxfp4_weight). */
    size_t struct_size;
    /** Rows of the weight. */
    size_t n_out;
    /** Columns. */
    size_t n_in;
    /** Codes, bytes [rows][n_in / 2]: the even column in the low half. */
    const void *blocks;
    /** Scales, bytes [rows][ceil(n_in / 32)]: 2^(byte - 127). */
    const void *scales;
    /** Packed row r takes row output_order[r] of the weight; NULL: rows in
     * their own order. */
    const int32_t *output_order;
    /** Row n of the weight is row row_first + n * row_step of the arrays. A
     * row_step of 0 is 1. Where gate and up alternate: 0 or 1, and 2. */
    size_t row_first;
    size_t row_step;
} w4moe_mxfp4_weight;

/**
 * Re-packs one weight of one expert. Exact: codes and scales keep their bits.
 * perm and bias of dst are not touched.
 *
 * In/out: dst, its arrays: the columns [first_out, first_out + src->n_out) of
 *     `expert` are written (gate: 0; up: N/2; w2: 0).
 * In: src, with dst's n_in; dst has codes E2M1, E8M0 scales and groups of 32,
 *     or of n_in if that is less.
 * Returns: W4MOE_OK; W4MOE_INVALID (sizes or types that do not agree);
 *     W4MOE_FORMAT (a scale of 255, which is NaN: the columns may have been
 *     written in part); W4MOE_NOMEM.
 * Threads: any, for different columns of dst; first_out and src->n_out are
 *     multiples of 8.
 */
extern W4MOE_API w4moe_status w4moe_pack_mxfp4(const w4moe_ctx *ctx,
        w4moe_matrix *dst, const w4moe_mxfp4_weight *src, size_t expert,
        size_t first_out) W4MOE_MUST_CHECK;

/**
 * A weight that is not quantised. The array needs no alignment and is
 * little-endian, as in a file.
 */
typedef struct w4moe_float_weight {
    /** sizeof(w4moe_float_weight). */
    size_t struct_size;
    /** Rows and columns. */
    size_t n_out;
    size_t n_in;
    /** Weight (n, k) is element n * row_stride + k * column_stride. */
    const void *weights;
    /** W4MOE_BF16, W4MOE_F16 or W4MOE_F32. */
    w4moe_dtype dtype;
    /** 0: n_in. */
    size_t row_stride;
    /** 0: 1. A transposed array has row_stride 1 and the length of its own
     * rows here. */
    size_t column_stride;
    /** Packed row r takes row output_order[r]; NULL: rows in their own order.
     */
    const int32_t *output_order;
} w4moe_float_weight;

/**
 * Rounds one weight of one expert to 4 bits, each number to the nearest that
 * its group has. There is no calibration: a scale depends on its group alone;
 * the rule is in w4moe_quantize(3). Weights that have been of 4 bits come back
 * exactly if each group has its extremes. The result is the same on every
 * machine. perm and bias of dst are not touched.
 *
 * In/out: dst, its arrays: the columns [first_out, first_out + src->n_out) of
 *     `expert` are written (gate: 0; up: N/2; w2: 0), asymmetric if dst has
 *     qzeros, else symmetric; group_size and scale_dtype are dst's. Codes must
 *     be INT4, and there must be no offsets.
 * In: src, with dst's n_in.
 * Returns: W4MOE_OK; W4MOE_INVALID (sizes or types that do not agree);
 *     W4MOE_UNSUPPORTED (a type of weights); W4MOE_FORMAT (a weight that is no
 *     number, infinite, or too large for scales of dst's type, with its row and
 *     column; some columns may have been written); W4MOE_NOMEM.
 * Threads: any, for different columns of dst; first_out and src->n_out are
 *     multiples of 8.
 */
extern W4MOE_API w4moe_status w4moe_quantize(const w4moe_ctx *ctx,
        w4moe_matrix *dst, const w4moe_float_weight *src, size_t expert,
        size_t first_out) W4MOE_MUST_CHECK;

/**
 * The weights of one expert as floats.
 *
 * Out: out [N][K], natural order of rows (gate, then up) and of columns (the
 *     permutation is undone).
 * Accuracy: exact for bf16, fp16 and E8M0 scales without offsets; else one
 *     rounding to fp32.
 * Returns: W4MOE_OK; W4MOE_INVALID (the descriptor, an expert out of range, a
 *     permutation that is none).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_dequantize(const w4moe_ctx *ctx, float *out,
        const w4moe_matrix *matrix, size_t expert) W4MOE_MUST_CHECK;

/* -------------------------------------------------- activation and routing */

/** Activation between w13 and w2; formulas in w4moe_activate(3). The values
 * never change. The gated kinds read gate and up. */
typedef enum w4moe_activation_kind {
    W4MOE_ACT_SILU = 1,
    W4MOE_ACT_GELU = 2,
    W4MOE_ACT_GELU_TANH = 3,
    W4MOE_ACT_SWIGLUOAI = 4,
    W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE = 5,
    W4MOE_ACT_SWIGLUSTEP = 6,
    W4MOE_ACT_SITU = 7,
    W4MOE_ACT_SILU_NO_MUL = 32,
    W4MOE_ACT_GELU_NO_MUL = 33,
    W4MOE_ACT_GELU_TANH_NO_MUL = 34,
    W4MOE_ACT_RELU2_NO_MUL = 35
} w4moe_activation_kind;

/** An activation with its parameters. A 0 means the kind's default. */
typedef struct w4moe_activation {
    /** sizeof(w4moe_activation). */
    size_t struct_size;
    w4moe_activation_kind kind;
    /** Clamp: silu (0: none), swigluoai (0: 7), swigluoai_uninterleave (must
     * be given), swiglustep (0: 7). Not negative. */
    float limit;
    /** swigluoai and swigluoai_uninterleave: factor inside the sigmoid (0:
     * 1.702). */
    float alpha;
    /** swigluoai_uninterleave: added to up (0 is 0); situ: must be given. */
    float beta;
    /** situ: bound of up (0: none). */
    float linear_beta;
    /** Must be 0. */
    uint32_t reserved;
} w4moe_activation;

/** Name of an activation kind, for example "silu", as in containers.
 * Returns: a constant string; NULL for values that are none of the enum. */
extern W4MOE_API const char *w4moe_activation_name(w4moe_activation_kind kind);

/** Whether a kind reads gate and up (1) or one input (0). */
extern W4MOE_API int w4moe_activation_gated(w4moe_activation_kind kind);

/** How a model chooses experts; formulas in w4moe_route(3). The values never
 * change. */
typedef enum w4moe_router_kind {
    /** Not known: the caller brings ids and weights. */
    W4MOE_ROUTER_NONE = 0,
    /** Softmax over all experts, then top-k (Mixtral, Qwen3, with
     * renormalisation; Qwen2-MoE without). */
    W4MOE_ROUTER_SOFTMAX_TOPK = 1,
    /** Top-k, then softmax over the chosen (GPT-OSS). */
    W4MOE_ROUTER_TOPK_SOFTMAX = 2,
    /** Sigmoid with correction bias, group-limited (DeepSeek-V3, GLM-4.5,
     * Kimi). */
    W4MOE_ROUTER_SIGMOID = 3,
    /** Top-k of the logits, then sigmoid (Llama-4, with k = 1). */
    W4MOE_ROUTER_SIGMOID_TOP1 = 4,
    /** Square root of softplus, with bias (DeepSeek-V4). */
    W4MOE_ROUTER_SQRT_SOFTPLUS = 5
} w4moe_router_kind;

/** A router: its parameters, and its arrays where it has some. E is the number
 * of experts of the model's layer, wherever they are. Arrays are of type
 * W4MOE_F32, W4MOE_F16 or W4MOE_BF16, each of its own; they are read only. */
typedef struct w4moe_router {
    /** sizeof(w4moe_router). */
    size_t struct_size;
    w4moe_router_kind kind;
    /** Not 0: the chosen weights are divided by their sum. */
    int renormalize;
    /** The weights are multiplied by this; 0 means 1. */
    float scale;
    /** Groups of experts, and how many of them are kept; 0: no groups. For
     * kinds SIGMOID and SQRT_SOFTPLUS. */
    uint32_t n_group;
    uint32_t topk_group;
    /** Not 0: the weights are for the input of the experts' activation, not
     * for their output (Llama-4): a forward call that this router chooses for
     * is as with W4MOE_ROUTER_WEIGHT_ON_INPUT. */
    int weight_on_input;
    /** [E], added to the scores when experts are chosen, not to the weights;
     * NULL: none. For kinds SIGMOID and SQRT_SOFTPLUS. */
    const void *correction_bias;
    /** [E][H], makes logits of hidden states; NULL: the caller does. */
    const void *weight;
    /** [E], added to those logits; NULL: none. */
    const void *bias;
    w4moe_dtype correction_bias_dtype;
    w4moe_dtype weight_dtype;
    w4moe_dtype bias_dtype;
    /** Must be 0. */
    uint32_t reserved;
} w4moe_router;

/** Name of a router kind, for example "softmax_topk", as in containers.
 * Returns: a constant string; NULL for values that are none of the enum. */
extern W4MOE_API const char *w4moe_router_name(w4moe_router_kind kind);

/* --------------------------------------------------------------- container */

/** An open container, mapped into memory and checked. Opaque; may be shared by
 * threads through const pointers. */
typedef struct w4moe_file w4moe_file;

/** What a container holds. The strings live as long as the file. */
typedef struct w4moe_file_info {
    /** sizeof(w4moe_file_info). */
    size_t struct_size;
    uint32_t format_version;
    w4moe_order order;
    /** Layers, and their numbers in the model in ascending order. */
    size_t n_layers;
    const uint32_t *layers;
    /** E, k, H, I. */
    size_t n_experts;
    size_t top_k;
    size_t hidden_size;
    size_t intermediate_size;
    /** Group lengths of w13 and w2. */
    size_t w13_group_size;
    size_t w2_group_size;
    w4moe_activation activation;
    /** Without arrays: see w4moe_file_get_router(). */
    w4moe_router router;
    /** For example "compressed-tensors", "qwen3_moe", "w4moe 0.1.0". */
    const char *source_scheme;
    const char *model_type;
    const char *producer;
    /** Bytes of all tensors, and how many there are. */
    uint64_t n_bytes;
    size_t n_tensors;
    /** Expert 0 here is this expert of the model, of so many; n_experts is how
     * many are here. */
    size_t first_expert;
    size_t n_experts_total;
    /** The router is that of layers from this number on. Those before it choose
     * in another way, which is not known (DeepSeek-V4: by the token's id). */
    uint32_t router_first_layer;
    /** Must be 0. */
    uint32_t reserved;
} w4moe_file_info;

/** One of a layer's two matrices. */
typedef enum w4moe_which { W4MOE_W13 = 1, W4MOE_W2 = 2 } w4moe_which;

/**
 * Opens a container: a `.safetensors` file, or a folder with
 * `model.safetensors` or with shards and `model.safetensors.index.json`.
 * Everything in it is checked against everything else (sizes, types, ranges,
 * metadata) except the bytes of the weights, for which see
 * w4moe_file_verify(). The file must not be truncated while it is open.
 *
 * Out: *file_p; release it with w4moe_file_close().
 * Returns: W4MOE_OK; W4MOE_IO; W4MOE_FORMAT (damaged, or not a container);
 *     W4MOE_UNSUPPORTED (a newer format version, a type or tensor that this
 *     version does not read); W4MOE_NOMEM.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_file_open(const w4moe_ctx *ctx,
        w4moe_file **file_p, const char *path) W4MOE_MUST_CHECK;

/** Closes a container; file may be NULL. Layers loaded from it on the CPU
 * backend use its mapping and must be gone already, but for those that own a
 * copy (W4MOE_LAYER_COPY, W4MOE_LAYER_HUGE_PAGES). */
extern W4MOE_API void w4moe_file_close(w4moe_file *file);

/**
 * What a container holds.
 *
 * Out: *info (struct_size set by the caller).
 * Returns: W4MOE_OK; W4MOE_INVALID (struct_size).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_file_get_info(
        const w4moe_file *file, w4moe_file_info *info) W4MOE_MUST_CHECK;

/**
 * One packed matrix in the container's mapping; read-only.
 *
 * Out: *matrix (struct_size set by the caller); lives as long as the file.
 * In: layer, a number of the model (see w4moe_file_info.layers).
 * Returns: W4MOE_OK; W4MOE_INVALID (no such layer).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_file_get_matrix(const w4moe_file *file,
        w4moe_matrix *matrix, uint32_t layer,
        w4moe_which which) W4MOE_MUST_CHECK;

/**
 * The router of a layer: the parameters of the model's, and the arrays that the
 * container holds of this layer's, in its mapping. Of layers before
 * w4moe_file_info.router_first_layer it is W4MOE_ROUTER_NONE.
 *
 * Out: *router (struct_size set by the caller); lives as long as the file.
 * In: layer, a number of the model.
 * Units: E is w4moe_file_info.n_experts_total.
 * Returns: W4MOE_OK; W4MOE_INVALID (no such layer).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_file_get_router(const w4moe_file *file,
        w4moe_router *router, uint32_t layer) W4MOE_MUST_CHECK;

/**
 * Compares the hash of every tensor (XXH3, 128 bits) with the one stored at
 * conversion, with the context's threads. Reads the whole file.
 *
 * Returns: W4MOE_OK; W4MOE_MISMATCH (with the tensor's name).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_file_verify(
        const w4moe_file *file) W4MOE_MUST_CHECK;

/* -------------------------------------------------------------- conversion */

/** State of a running conversion. */
typedef struct w4moe_progress {
    /** sizeof(w4moe_progress) of the library that calls. */
    size_t struct_size;
    /** "convert": packing, comparing, writing; "check": reading back. */
    const char *phase;
    /** Of all phases together. */
    uint64_t bytes_done;
    uint64_t bytes_total;
    /** Layer at work, in the model's numbering. */
    uint32_t layer;
    /** Must be 0. */
    uint32_t reserved;
} w4moe_progress;

/** Called now and then, by the thread that called w4moe_convert() only. Not 0
 * asks to stop. */
typedef int w4moe_progress_fn(void *user, const w4moe_progress *progress);

/** How to convert. Zero in a field means its default. */
typedef struct w4moe_convert_options {
    /** sizeof(w4moe_convert_options). */
    size_t struct_size;
    /** Default W4MOE_ORDER_TILE. */
    w4moe_order order;
    /** Layers to convert, numbers of the model; NULL: all. */
    const uint32_t *layers;
    size_t n_layers;
    /** Not 0: plan and check only, write nothing. */
    int dry_run;
    /** Not 0: do not compare what was written with the source. */
    int no_verify;
    /** Not 0: replace an existing output. */
    int force;
    /** May be NULL. */
    w4moe_progress_fn *progress;
    /** Passed to `progress`. */
    void *progress_user;
    /** Experts to convert: n_experts of them from first_expert on; 0: all from
     * there on. For the share of one process. */
    size_t first_expert;
    size_t n_experts;
    /** Group length of weights that are rounded (a multiple of 8; default 32).
     * Weights of 4 bits keep theirs. */
    size_t group_size;
    /** Not 0: rounded weights get zero points. */
    int asymmetric;
    /** Not 0: GGUF tensors of more than 4 bits are rounded, instead of being
     * refused. */
    int requantize;
    /** Not 0: in GPTQ's first form a stored zero point of 15 means 0, instead
     * of being refused; quantisers do not agree on what it means. */
    int gptq_zero_wrap;
    /** Path of a file of rules for tensor names, see moe-convert(1); NULL:
     * none. */
    const char *name_map;
    /** Not 0: into files with so many bytes of data at most, and an index; a
     * larger tensor gets a file of its own. The output must be a folder. */
    uint64_t max_shard_bytes;
} w4moe_convert_options;

/** What a conversion did, or with dry_run would do. */
typedef struct w4moe_convert_report {
    /** sizeof(w4moe_convert_report). */
    size_t struct_size;
    char source_scheme[32];
    char model_type[64];
    w4moe_order order;
    /** Layers, E, k, H, I and the group lengths. */
    size_t n_layers;
    size_t n_experts;
    size_t top_k;
    size_t hidden_size;
    size_t intermediate_size;
    size_t w13_group_size;
    size_t w2_group_size;
    /** Type of the scales; whether there are zero points; act-order. */
    w4moe_dtype scale_dtype;
    int has_zero_points;
    int has_perm;
    w4moe_activation activation;
    /** Without arrays. */
    w4moe_router router;
    /** Tensors of the source: used, in layers that were not asked for, and
     * not part of any routed expert (attention, embeddings, shared experts). */
    size_t n_tensors_used;
    size_t n_tensors_unselected;
    size_t n_tensors_other;
    /** Bytes read from the source's experts and bytes of the output, without
     * an index. */
    uint64_t bytes_in;
    uint64_t bytes_out;
    /** Experts whose written weights were compared with the source. */
    size_t n_experts_verified;
    /** Expert 0 of the container is this one of the model's, of so many. */
    size_t first_expert;
    size_t n_experts_total;
    /** Meaning of the codes; type of the offsets and of the biases, NONE if
     * there are none. */
    w4moe_code code;
    w4moe_dtype offset_dtype;
    w4moe_dtype bias_dtype;
    /** Must be 0. */
    uint32_t reserved;
    /** Weights (matrices) of the source's experts, and those of them that were
     * not of 4 bits and are rounded to nearest, without calibration. */
    size_t n_weights;
    size_t n_weights_rounded;
    /** Of the rounded ones, from the comparison: root of the squared errors'
     * sum over that of the squares'. 0 without rounding or comparison. */
    double rounding_error;
    /** Scales that are NaN or infinite, 0, denormal; matrices of an expert
     * whose codes are all the same; experts with the same codes as another of
     * their layer. Each kind is logged as a warning, too. */
    uint64_t n_scales_not_finite;
    uint64_t n_scales_zero;
    uint64_t n_scales_denormal;
    uint64_t n_uniform;
    uint64_t n_duplicates;
} w4moe_convert_report;

/**
 * Converts a checkpoint to a container.
 *
 * The output is written to a file without a name in the same folder, or with a
 * temporary one where the file system has no such files; it is compared with
 * the source, hashed, synced, and only then gets its name: whatever fails, an
 * existing file stays as it was and no partial file opens.
 *
 * Out: *report (struct_size set by the caller); may be NULL.
 * In: out_path: a file if it ends in ".safetensors", else a folder that is
 *     made if needed and gets "model.safetensors", or with max_shard_bytes
 *     "model-00001-of-0000N.safetensors" and so on, and
 *     "model.safetensors.index.json". May be NULL with dry_run.
 *     in_path: a checkpoint folder, one safetensors file beside its
 *     config.json, a GGUF file (of a model in several the first), or a
 *     container. options may be NULL.
 * Memory: one expert per thread, beyond the mapped source.
 * Returns: W4MOE_OK; W4MOE_INVALID (options; the output exists and `force` is
 *     not set, or its folder holds what is no container; a layer that is not
 *     there); W4MOE_FORMAT; W4MOE_UNSUPPORTED (a
 *     scheme, by its name); W4MOE_IO; W4MOE_NOMEM; W4MOE_MISMATCH (the
 *     comparison failed); W4MOE_CANCELLED.
 * Threads: uses the context's. One conversion to a given output at a time.
 */
extern W4MOE_API w4moe_status w4moe_convert(const w4moe_ctx *ctx,
        w4moe_convert_report *report, const char *out_path, const char *in_path,
        const w4moe_convert_options *options) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
