// SPDX-License-Identifier: MIT
// Copyright (C) 2026 The w4moe authors
//
// What use_headers.cc is to the other headers, for <w4moe/mpi.h>: a program in
// C++17 that fills every struct and calls every function, on any number of
// ranks.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <w4moe/mpi.h>

namespace
{

constexpr std::size_t E = 2;
constexpr std::size_t H = 64;
constexpr std::size_t I = 32;
constexpr std::size_t G = 32;
constexpr std::size_t T = 3;
constexpr std::size_t K = 2;

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

// Weights of all experts, all of them 0.
class Packed
{
  public:
    w4moe_matrix matrix = sized<w4moe_matrix>();

    Packed(const w4moe_ctx *ctx, std::size_t n_out, std::size_t n_in, int gated)
        : codes(E * n_out * n_in / 8), zeros(E * n_out * n_in / G),
          scales(E * n_out * n_in / G)
    {
        matrix.order = W4MOE_ORDER_TILE;
        matrix.code = W4MOE_CODE_INT4;
        matrix.n_experts = E;
        matrix.n_out = n_out;
        matrix.n_in = n_in;
        matrix.group_size = G;
        matrix.gated = gated;
        matrix.scale_dtype = W4MOE_BF16;
        matrix.qweight = codes.data();
        matrix.qzeros = zeros.data();
        matrix.scales = scales.data();
        const std::vector<float> zero(n_out * n_in);
        auto src = sized<w4moe_float_weight>();
        src.n_out = n_out;
        src.n_in = n_in;
        src.weights = zero.data();
        src.dtype = W4MOE_F32;
        src.row_stride = n_in;
        src.column_stride = 1;
        for (std::size_t expert = 0; expert < E; expert++) {
            ok(w4moe_quantize(ctx, &matrix, &src, expert, 0), "quantize");
        }
    }

  private:
    std::vector<std::uint32_t> codes;
    std::vector<std::uint32_t> zeros;
    std::vector<std::uint16_t> scales;
};

void
use_forward(const w4moe_mpi_layer *layer)
{
    w4moe_mpi_workspace *ws = nullptr;
    const std::vector<std::uint16_t> x(T * H);
    std::vector<std::uint16_t> out(T * H);
    const std::int32_t ids[T * K] = {0, 1, 0, 1, 0, 1};
    const float weights[T * K] = {1, 1, 1, 1, 1, 1};
    auto args = sized<w4moe_forward_args>();
    args.out = out.data();
    args.x = x.data();
    args.dtype = W4MOE_BF16;
    args.n_tokens = T;
    args.top_k = K;
    args.ids = ids;
    args.weights = weights;
    args.flags = W4MOE_HOST_IO;
    auto times = sized<w4moe_mpi_times>();
    times.total = times.prepare = times.dispatch = times.compute = 0;
    times.combine = times.add = 0;
    times.n_chunks = 0;
    times.n_rows = times.n_slots = 0;
    times.bytes_dispatched = times.bytes_combined = 0;
    ok(w4moe_mpi_workspace_create(layer, &ws, T, K), "mpi_workspace_create");
    ok(w4moe_mpi_forward(layer, ws, &args, &times), "mpi_forward");
    w4moe_mpi_workspace_destroy(ws);
}

// All experts on rank 0; the others have the layer all the same.
void
use_layers(const w4moe_mpi *mpi, const w4moe_ctx *ctx)
{
    const Packed w13(ctx, 2 * I, H, 1);
    const Packed w2(ctx, H, I, 0);
    auto desc = sized<w4moe_layer_desc>();
    desc.w13 = &w13.matrix;
    desc.w2 = &w2.matrix;
    desc.activation = sized<w4moe_activation>();
    desc.activation.kind = W4MOE_ACT_SILU;
    w4moe_layer *local = nullptr;
    w4moe_mpi_layer *layer = nullptr;
    const std::int32_t owners[E] = {0, 0};
    ok(w4moe_layer_create(ctx, &local, &desc, 0), "layer_create");
    ok(w4moe_mpi_layer_create(mpi, &layer, local, owners), "mpi_layer_create");
    expect(w4moe_mpi_layer_local(layer) == local ? W4MOE_OK : W4MOE_MISMATCH,
            W4MOE_OK, "mpi_layer_local");
    use_forward(layer);
    w4moe_mpi_layer_destroy(layer);
    w4moe_layer_destroy(local);
    expect(w4moe_mpi_layer_load(mpi, &layer, nullptr, 0, nullptr, 0),
            W4MOE_INVALID, "mpi_layer_load");
}

} // namespace

int
main(int argc, char **argv)
{
    int level = 0;
    w4moe_ctx *ctx = nullptr;
    w4moe_mpi *mpi = nullptr;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &level);
    auto ctx_options = sized<w4moe_ctx_options>();
    ctx_options.backend = "cpu";
    ctx_options.n_threads = 2;
    auto options = sized<w4moe_mpi_options>();
    options.chunk_tokens = 2;
    options.progress = W4MOE_MPI_PROGRESS_AUTO;
    ok(w4moe_ctx_create(&ctx, &ctx_options), "ctx_create");
    ok(w4moe_mpi_create(ctx, &mpi, MPI_COMM_WORLD, &options), "mpi_create");
    if (mpi == nullptr) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    ok(w4moe_mpi_agree(mpi, W4MOE_OK), "mpi_agree");
    use_layers(mpi, ctx);
    w4moe_mpi_destroy(mpi);
    if (failures != 0) {
        std::printf("%s\n", w4moe_ctx_error(ctx));
    }
    w4moe_ctx_destroy(ctx);
    MPI_Finalize();
    return failures != 0;
}
