// SPDX-License-Identifier: MIT
// Copyright (C) 2026 The w4moe authors
//
// A program in C++17 that fills every struct of arguments and calls every
// function of the headers; check-headers.sh compiles, links and runs it, and
// looks that no function is missing. Results are not looked at: that is for the
// tests in C.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <w4moe.h>
#if __has_include(<dlpack/dlpack.h>)
#include <w4moe/dlpack.h>
#define HAVE_DLPACK 1
#endif

namespace
{

constexpr std::size_t E = 2;
constexpr std::size_t H = 64;
constexpr std::size_t I = 32;
constexpr std::size_t G = 32;
constexpr std::size_t T = 3;
constexpr std::size_t K = 2;
constexpr std::size_t BLOCK = 4;

int failures = 0;

void
expect(w4moe_status status, w4moe_status expected, const char *what)
{
    if (status != expected) {
        std::printf("%s: %s\n", what, w4moe_status_string(status));
        failures++;
    }
}

void
ok(w4moe_status status, const char *what)
{
    expect(status, W4MOE_OK, what);
}

// A struct with its struct_size, and zeros.
template <typename Struct>
Struct
sized()
{
    Struct value{};
    value.struct_size = sizeof(value);
    return value;
}

void
log_line(void *, w4moe_log_level, const char *)
{
}

int
progress(void *, const w4moe_progress *)
{
    return 0;
}

w4moe_activation
silu()
{
    auto activation = sized<w4moe_activation>();
    activation.kind = W4MOE_ACT_SILU;
    activation.limit = 0;
    activation.alpha = 0;
    activation.beta = 0;
    activation.linear_beta = 0;
    return activation;
}

w4moe_router
softmax()
{
    auto router = sized<w4moe_router>();
    router.kind = W4MOE_ROUTER_SOFTMAX_TOPK;
    router.renormalize = 1;
    router.scale = 1;
    router.n_group = 0;
    router.topk_group = 0;
    router.correction_bias_dtype = W4MOE_DTYPE_NONE;
    router.correction_bias = nullptr;
    router.weight = nullptr;
    router.bias = nullptr;
    router.weight_dtype = W4MOE_DTYPE_NONE;
    router.bias_dtype = W4MOE_DTYPE_NONE;
    return router;
}

// Rounded and re-packed weights, all of them 0 in the end.
class Packed
{
  public:
    w4moe_matrix matrix = sized<w4moe_matrix>();

    Packed(std::size_t n_out, std::size_t n_in, bool gated)
    {
        matrix.order = W4MOE_ORDER_TILE;
        matrix.code = W4MOE_CODE_INT4;
        matrix.n_experts = E;
        matrix.n_out = n_out;
        matrix.n_in = n_in;
        matrix.group_size = G;
        matrix.gated = gated ? 1 : 0;
        matrix.scale_dtype = W4MOE_BF16;
        matrix.offsets = nullptr;
        matrix.offset_dtype = W4MOE_DTYPE_NONE;
        matrix.perm = nullptr;
        matrix.n_perms = 0;
        matrix.bias = nullptr;
        matrix.bias_dtype = W4MOE_DTYPE_NONE;
        codes.resize(E * n_out * n_in / 8);
        zeros.resize(E * n_out * n_in / G);
        scales.resize(E * n_out * n_in / G);
        matrix.qweight = codes.data();
        matrix.qzeros = zeros.data();
        matrix.scales = scales.data();
    }

    void measure(const w4moe_ctx *ctx) const
    {
        auto sizes = sized<w4moe_matrix_sizes>();
        ok(w4moe_matrix_measure(ctx, &sizes, &matrix), "matrix_measure");
        expect(sizes.qweight == codes.size() * 4 ? W4MOE_OK : W4MOE_MISMATCH,
                W4MOE_OK, "size of codes");
    }

    void quantize(const w4moe_ctx *ctx, std::size_t expert)
    {
        const std::vector<float> zero(matrix.n_out * matrix.n_in);
        auto src = sized<w4moe_float_weight>();
        src.n_out = matrix.n_out;
        src.n_in = matrix.n_in;
        src.weights = zero.data();
        src.dtype = W4MOE_F32;
        src.row_stride = matrix.n_in;
        src.column_stride = 1;
        src.output_order = nullptr;
        ok(w4moe_quantize(ctx, &matrix, &src, expert, 0), "quantize");
        std::vector<float> rows(matrix.n_out * matrix.n_in);
        ok(w4moe_dequantize(ctx, rows.data(), &matrix, expert), "dequantize");
    }

    void repack(const w4moe_ctx *ctx)
    {
        const std::vector<std::uint32_t> bytes(matrix.n_out * matrix.n_in);
        auto ct = sized<w4moe_ct_weight>();
        ct.n_out = matrix.n_out;
        ct.n_in = matrix.n_in;
        ct.group_size = G;
        ct.packed = bytes.data();
        ct.scale = bytes.data();
        ct.scale_dtype = W4MOE_BF16;
        ct.zero_point = bytes.data();
        ct.input_order = nullptr;
        ct.output_order = nullptr;
        ok(w4moe_pack_ct(ctx, &matrix, &ct, 0, 0), "pack_ct");
        auto gptq = sized<w4moe_gptq_weight>();
        gptq.n_out = matrix.n_out;
        gptq.n_in = matrix.n_in;
        gptq.group_size = G;
        gptq.qweight = bytes.data();
        gptq.scales = bytes.data();
        gptq.scale_dtype = W4MOE_BF16;
        gptq.qzeros = bytes.data();
        gptq.v2 = 1;
        gptq.input_order = nullptr;
        gptq.output_order = nullptr;
        ok(w4moe_pack_gptq(ctx, &matrix, &gptq, 0, 0), "pack_gptq");
        auto awq = sized<w4moe_awq_weight>();
        awq.n_out = matrix.n_out;
        awq.n_in = matrix.n_in;
        awq.group_size = G;
        awq.qweight = bytes.data();
        awq.scales = bytes.data();
        awq.scale_dtype = W4MOE_BF16;
        awq.qzeros = bytes.data();
        awq.input_order = nullptr;
        awq.output_order = nullptr;
        ok(w4moe_pack_awq(ctx, &matrix, &awq, 0, 0), "pack_awq");
        auto mxfp4 = sized<w4moe_mxfp4_weight>();
        mxfp4.n_out = matrix.n_out;
        mxfp4.n_in = matrix.n_in;
        mxfp4.blocks = bytes.data();
        mxfp4.scales = bytes.data();
        mxfp4.output_order = nullptr;
        mxfp4.row_first = 0;
        mxfp4.row_step = 1;
        expect(w4moe_pack_mxfp4(ctx, &matrix, &mxfp4, 0, 0), W4MOE_INVALID,
                "pack_mxfp4 into codes of another kind");
    }

  private:
    std::vector<std::uint32_t> codes;
    std::vector<std::uint32_t> zeros;
    std::vector<std::uint16_t> scales;
};

void
use_words(const w4moe_ctx *ctx)
{
    std::uint32_t words[16] = {1, 2, 3};
    std::uint32_t others[16];
    std::uint8_t zeros[128];
    w4moe_zeros_fill(words, 16, 8);
    w4moe_zeros_unpack(zeros, words, 16);
    w4moe_zeros_pack(words, zeros, 16);
    w4moe_shuffle(others, words, 16);
    w4moe_unshuffle(words, others, 16);
    const std::int32_t g_idx[H] = {};
    std::int32_t order[H];
    ok(w4moe_ct_order(ctx, order, g_idx, H, H), "ct_order");
}

void
use_names()
{
    std::printf("%s (%u), %s, %s %d, %s, %zu\n", w4moe_version(),
            static_cast<unsigned>(w4moe_version_number()),
            w4moe_dtype_name(W4MOE_BF16), w4moe_activation_name(W4MOE_ACT_SILU),
            w4moe_activation_gated(W4MOE_ACT_SILU),
            w4moe_router_name(W4MOE_ROUTER_SIGMOID),
            w4moe_dtype_size(W4MOE_BF16));
}

void
use_files(const w4moe_ctx *ctx, const char *missing)
{
    w4moe_file *file = nullptr;
    w4moe_layer *layer = nullptr;
    expect(w4moe_file_open(ctx, &file, missing), W4MOE_IO, "file_open");
    if (file != nullptr) { // It is not: these are here to be linked.
        auto info = sized<w4moe_file_info>();
        auto matrix = sized<w4moe_matrix>();
        auto router = sized<w4moe_router>();
        ok(w4moe_file_get_info(file, &info), "file_get_info");
        ok(w4moe_file_get_matrix(file, &matrix, 0, W4MOE_W13),
                "file_get_matrix");
        ok(w4moe_file_get_router(file, &router, 0), "file_get_router");
        ok(w4moe_file_verify(file), "file_verify");
        ok(w4moe_layer_load(ctx, &layer, file, 0, W4MOE_LAYER_COPY),
                "layer_load");
        w4moe_layer_destroy(layer);
        ok(w4moe_layer_load_experts(ctx, &layer, file, 0, 0, 1, 0),
                "layer_load_experts");
        w4moe_layer_destroy(layer);
        const std::int32_t experts[] = {0, 2};
        ok(w4moe_layer_load_list(ctx, &layer, file, 0, experts, 2, 0),
                "layer_load_list");
        w4moe_layer_destroy(layer);
    }
    w4moe_file_close(file);
    const std::uint32_t layers[] = {0};
    auto options = sized<w4moe_convert_options>();
    options.order = W4MOE_ORDER_TILE;
    options.layers = layers;
    options.n_layers = 1;
    options.dry_run = 1;
    options.no_verify = 0;
    options.force = 0;
    options.progress = progress;
    options.progress_user = nullptr;
    options.first_expert = 0;
    options.n_experts = 0;
    options.group_size = 0;
    options.asymmetric = 0;
    options.requantize = 0;
    options.gptq_zero_wrap = 0;
    options.name_map = nullptr;
    options.max_shard_bytes = 0;
    auto report = sized<w4moe_convert_report>();
    expect(w4moe_convert(ctx, &report, nullptr, missing, &options), W4MOE_IO,
            "convert");
}

void
use_operators(const w4moe_ctx *ctx, const w4moe_matrix &w13)
{
    const float logits[T * E] = {};
    std::int32_t ids[T * K];
    float weights[T * K];
    const w4moe_router router = softmax();
    ok(w4moe_route(ctx, ids, weights, logits, W4MOE_F32, E, T, E, K, &router),
            "route");
    std::size_t capacity = 0;
    ok(w4moe_align_capacity(ctx, &capacity, T * K, E, BLOCK), "align_capacity");
    std::vector<std::int32_t> slots(capacity);
    std::vector<std::int32_t> experts(capacity / BLOCK);
    std::int32_t first_slot[E + 1];
    std::int32_t n_padded = 0;
    ok(w4moe_align(ctx, slots.data(), experts.data(), &n_padded, first_slot,
               ids, T * K, nullptr, E, BLOCK),
            "align");
    const std::vector<std::uint16_t> a(T * H);
    std::vector<std::uint16_t> c(T * K * 2 * I);
    auto args = sized<w4moe_gemm_args>();
    args.c = c.data();
    args.c_stride = 0;
    args.a = a.data();
    args.a_stride = 0;
    args.n_rows = T;
    args.dtype = W4MOE_BF16;
    args.b = &w13;
    args.sorted_slots = slots.data();
    args.expert_ids = experts.data();
    args.n_padded = &n_padded;
    args.capacity = capacity;
    args.block_size = BLOCK;
    args.top_k = K;
    args.topk_weights = weights;
    args.output_topk = 0;
    args.stream = nullptr;
    std::uint64_t n_bytes = 0;
    ok(w4moe_gemm_workspace(ctx, &n_bytes, &args), "gemm_workspace");
    std::vector<std::uint64_t> memory(n_bytes / 8 + 16);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    args.workspace = memory.data() + (64 - address % 64) % 64 / 8;
    args.workspace_size = n_bytes;
    ok(w4moe_gemm(ctx, &args), "gemm");
    const w4moe_activation activation = silu();
    std::vector<std::uint16_t> out(T * K * I);
    ok(w4moe_activate(ctx, out.data(), 0, c.data(), 0, W4MOE_BF16, T * K, I,
               &activation),
            "activate");
}

void
use_memory(const w4moe_ctx *ctx)
{
    const float rows[T * H] = {};
    const std::int32_t row_ids[] = {0, 1, 2, -1};
    void *sums = nullptr;
    ok(w4moe_memory_alloc(ctx, &sums, sizeof(rows), W4MOE_MEMORY_DEVICE),
            "memory_alloc");
    ok(w4moe_memory_copy(ctx, sums, rows, sizeof(rows), nullptr),
            "memory_copy");
    auto args = sized<w4moe_combine_args>();
    args.out = sums;
    args.out_stride = 0;
    args.out_dtype = W4MOE_F32;
    args.rows = rows;
    args.row_stride = 0;
    args.row_dtype = W4MOE_F32;
    args.n_rows = T;
    args.row_ids = row_ids;
    args.n_tokens = 2;
    args.k = 2;
    args.n_columns = H;
    args.flags = W4MOE_ACCUMULATE | W4MOE_HOST_IO;
    args.stream = nullptr;
    ok(w4moe_combine(ctx, &args), "combine");
    w4moe_memory_free(ctx, sums, sizeof(rows), W4MOE_MEMORY_DEVICE);
}

void
use_layer(const w4moe_ctx *ctx, const w4moe_matrix &w13, const w4moe_matrix &w2)
{
    auto desc = sized<w4moe_layer_desc>();
    desc.w13 = &w13;
    desc.w2 = &w2;
    desc.activation = silu();
    desc.router = softmax();
    desc.first_expert = 0;
    desc.n_experts_global = 0;
    desc.shared_w13 = nullptr;
    desc.shared_w2 = nullptr;
    desc.shared_gate = nullptr;
    desc.shared_gate_dtype = W4MOE_DTYPE_NONE;
    desc.shared_scale = 0;
    w4moe_layer *layer = nullptr;
    w4moe_workspace *ws = nullptr;
    ok(w4moe_layer_create(ctx, &layer, &desc, W4MOE_LAYER_PREFAULT),
            "layer_create");
    auto info = sized<w4moe_layer_info>();
    ok(w4moe_layer_get_info(layer, &info), "layer_get_info");
    std::uint64_t n_bytes = 0;
    ok(w4moe_workspace_size(layer, &n_bytes, T, K), "workspace_size");
    ok(w4moe_workspace_create(layer, &ws, T, K), "workspace_create");
    const std::vector<std::uint16_t> x(T * H);
    std::vector<std::uint16_t> out(T * H);
    const std::int32_t ids[T * K] = {0, 1, 0, 1, 0, 1};
    const float weights[T * K] = {1, 1, 1, 1, 1, 1};
    auto args = sized<w4moe_forward_args>();
    args.out = out.data();
    args.out_stride = 0;
    args.x = x.data();
    args.x_stride = 0;
    args.dtype = W4MOE_BF16;
    args.n_tokens = T;
    args.top_k = K;
    args.ids = ids;
    args.weights = weights;
    args.router_logits = nullptr;
    args.logits_dtype = W4MOE_DTYPE_NONE;
    args.expert_map = nullptr;
    args.n_experts_global = 0;
    args.flags = W4MOE_HOST_IO | W4MOE_BATCH_INVARIANT;
    args.stream = nullptr;
    args.expert_counts = nullptr;
    args.out_dtype = W4MOE_DTYPE_NONE;
    ok(w4moe_forward(layer, ws, &args), "forward");
    const float logits[T * E] = {};
    std::int32_t chosen[T * K];
    float chosen_weights[T * K];
    args.out = nullptr;
    args.ids = nullptr;
    args.weights = nullptr;
    args.router_logits = logits;
    args.logits_dtype = W4MOE_F32;
    ok(w4moe_choose(layer, ws, chosen, chosen_weights, &args), "choose");
#ifdef HAVE_DLPACK
    // Without x.
    auto tensors = sized<w4moe_dlpack_args>();
    expect(w4moe_forward_dlpack(layer, ws, &tensors), W4MOE_INVALID, "dlpack");
#endif
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
}

} // namespace

int
main(int, char **argv)
{
    auto options = sized<w4moe_ctx_options>();
    options.backend = "cpu";
    options.device = 0;
    options.n_threads = 2;
    options.memory_limit = 0;
    options.log = log_line;
    options.log_user = nullptr;
    w4moe_ctx *ctx = nullptr;
    ok(w4moe_ctx_create(&ctx, &options), "ctx_create");
    if (ctx == nullptr) {
        return 1;
    }
    Packed w13(2 * I, H, true);
    Packed w2(H, I, false);
    w13.measure(ctx);
    w13.repack(ctx);
    for (std::size_t expert = 0; expert < E; expert++) {
        w13.quantize(ctx, expert);
        w2.quantize(ctx, expert);
    }
    expect(w4moe_ctx_fail(ctx, W4MOE_IO, "a text"), W4MOE_IO, "ctx_fail");
    use_names();
    use_words(ctx);
    use_files(ctx, (std::string(argv[0]) + ".missing").c_str());
    use_operators(ctx, w13.matrix);
    use_layer(ctx, w13.matrix, w2.matrix);
    use_memory(ctx);
    std::printf("%s%s", w4moe_ctx_describe(ctx),
            failures != 0 ? w4moe_ctx_error(ctx) : "");
    w4moe_ctx_destroy(ctx);
    return failures != 0;
}
