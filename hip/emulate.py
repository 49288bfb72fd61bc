#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Runs the kernels of AMD code objects on the processor, by emulation of their
instructions: results against float64, and how many instructions they execute.

usage: emulate.py --emulator FOLDER --tinygrad FOLDER [--table FILE] CODE...

CODE is a folder COMPILER/ARCH with the code objects of an architecture (gfx11
or gfx12), as listings.sh makes them. FOLDER of --emulator has gfx11_emulate.py,
which offers CodeObject and launch; that of --tinygrad is a checkout of
tinygrad, whose emulator it uses. Needs numpy and clang. --table rewrites the
part of a Markdown file between the markers "emulation begin" and "emulation
end".
"""
import argparse
import collections
import ctypes
import os
import re
import sys
import tempfile

import numpy as np

# Values of w4moe_dtype, w4moe_activation_kind and enum w4_gpu_result.
F16, BF16 = 2, 3
SILU = 1
ACTIVATED, SUMS, TOKENS = 1, 2, 3

TILE = 128
MAX_RATIO = 1.10


# ------------------------------------------------- the structs of params.h

SCALARS = {"uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64,
           "int32_t": ctypes.c_int32, "float": ctypes.c_float}


def read_structs(path):
    """ctypes structures for the structs of a header: scalars, pointers, and
    structs that came before."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    structs = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text,
                                 re.S | re.M):
        fields = []
        for declaration in body.split(";")[:-1]:
            *words, field = declaration.replace("*", " * ").split()
            words = [w for w in words if w not in ("const", "struct")]
            if "*" in words:
                kind = ctypes.c_uint64
            else:
                kind = {**SCALARS, **structs}[words[0]]
            fields.append((field, kind))
        structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return structs


def read_constants(path):
    """Values of enums; of those that depend on the platform AMD's, which are
    behind the others."""
    with open(path, encoding="utf-8") as file:
        return {name: int(value) for name, value in
                re.findall(r"\b(W4_GPU_\w+) = (\d+)", file.read())}


HERE = os.path.dirname(os.path.abspath(__file__))
PARAMS = os.path.join(HERE, "kernels", "params.h")
STRUCTS = read_structs(PARAMS)
CONSTANTS = read_constants(PARAMS)
Place = STRUCTS["w4_gpu_place"]
Matrix = STRUCTS["w4_gpu_matrix"]
Gemm = STRUCTS["w4_gpu_gemm"]
Divisor = STRUCTS["w4_gpu_divisor"]
Local = STRUCTS["w4_gpu_local"]
Activation = STRUCTS["w4_gpu_activation"]


def divisor(d):
    return Divisor(reciprocal=0 if d == 1 else -(-(1 << 32) // d), d=d)


# ------------------------------------------------------------------ numbers

def to_bf16(x):
    """float32 to bf16, to nearest even; finite."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)


def to_half(dtype, x):
    if dtype == BF16:
        return to_bf16(x)
    return np.asarray(x, np.float16).view(np.uint16)


def from_half(dtype, u):
    if dtype == BF16:
        return (u.astype(np.uint32) << 16).view(np.float32).astype(float)
    return u.view(np.float16).astype(float)


def silu(gate, up):
    return gate / (1 + np.exp(-gate)) * up


def ratio(got, exact, ideal):
    """How far off, in units of what rounding alone does."""
    if not np.isfinite(got).all():
        return np.inf
    return np.linalg.norm(got - exact) / np.linalg.norm(ideal - exact)


# ------------------------------------------------------------------ weights

def pack_words(q):
    """Codes [E][K][N] to words [E][K/8][N]."""
    n_experts, n_in, n_out = q.shape
    q = q.reshape(n_experts, n_in // 8, 8, n_out)
    words = np.zeros((n_experts, n_in // 8, n_out), np.uint32)
    for nibble, k in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
        words |= q[:, :, k] << np.uint32(4 * nibble)
    return words


def to_tiles(x, gated):
    """[E][R][N] to tiles, gate and up of the same outputs beside each other."""
    n = x.shape[2]
    if gated:
        half = TILE // 2
        columns = []
        for first in range(0, n // 2, half):
            width = min(half, n // 2 - first)
            columns += range(first, first + width)
            columns += range(n // 2 + first, n // 2 + first + width)
        x = x[:, :, columns]
    return np.concatenate([expert[:, first:first + TILE].ravel()
                           for expert in x for first in range(0, n, TILE)])


def place(n_in, n_out, n_groups, gated, index):
    first = index * TILE
    width = min(TILE, n_out - first)
    half = width // 2 if gated else width
    column = first // 2 if gated else first
    return Place(width=width, half=half, column=column,
                 column_up=column + (n_out // 2 if gated else 0),
                 word=first * n_in // 8, word_stride=width, up=half,
                 scale=first * n_groups, scale_stride=width,
                 zero=first * n_groups // 8, zero_stride=width // 8)


def difference(a, b):
    """What to add to places of tile a for those of b; sizes stay."""
    moving = ("column", "column_up", "word", "scale", "zero")
    return Place(**{f: getattr(b, f) - getattr(a, f) for f in moving})


class Weights:
    """A random matrix of each expert: .w in float64, .matrix for kernels."""

    def __init__(self, rng, n_experts, n_in, n_out, case, gated):
        n_groups = -(-n_in // case.group)
        groups = (n_experts, n_groups, n_out)
        q = rng.integers(0, 16, (n_experts, n_in, n_out), dtype=np.uint32)
        zeros = np.full(groups, 8, np.uint32)
        if case.zeros:
            zeros = rng.integers(0, 16, groups, dtype=np.uint32)
        scales = to_half(case.dtype, rng.uniform(0.005, 0.02, groups))
        of_row = np.arange(n_in) // case.group
        self.w = ((q.astype(float) - zeros[:, of_row]) *
                  from_half(case.dtype, scales)[:, of_row])
        # The kernels read these arrays.
        self.words = to_tiles(pack_words(q), gated)
        self.scales = to_tiles(scales, gated)
        nibbles = to_tiles(zeros - 1 & 15, gated).reshape(-1, 8)
        self.zeros = np.zeros(len(nibbles), np.uint32)
        for i in range(8):
            self.zeros |= nibbles[:, i] << np.uint32(4 * i)
        self.matrix = self.describe(n_experts, n_in, n_out, case, gated)

    def describe(self, n_experts, n_in, n_out, case, gated):
        n_groups = -(-n_in // case.group)
        n_tiles = -(-n_out // TILE)
        places = [place(n_in, n_out, n_groups, gated, i)
                  for i in range(n_tiles)]
        step = difference(places[0], places[1]) if n_tiles > 1 else Place()
        return Matrix(
            qweight=self.words.ctypes.data, scales=self.scales.ctypes.data,
            qzeros=self.zeros.ctypes.data if case.zeros else 0,
            n_experts=n_experts, n_out=n_out, n_in=n_in, gated=int(gated),
            group=divisor(case.group // 32), expert_words=n_in // 8 * n_out,
            expert_scale_bytes=2 * n_groups * n_out,
            expert_zeros=n_groups * n_out // 8, tile=places[0], step=step,
            last_tile=places[-1], n_tiles=n_tiles, scale_type=case.dtype)


# ------------------------------------------------------------------ running

S_NOP = 0xBF800000
# global_inv and global_wb of gfx12, of 3 words: the emulator has no caches, and
# does not know them.
CACHE_CONTROL = (0xEE0AC07C, 0xEE0B007C)


def without_cache_control(path, folder):
    """A copy of a gfx12 code object in which the emulator knows everything."""
    words = np.fromfile(path, np.uint8)
    words = words[:len(words) // 4 * 4].view(np.uint32).copy()
    for i in np.nonzero(np.isin(words, CACHE_CONTROL))[0]:
        words[i:i + 3] = S_NOP
    copy = os.path.join(folder, os.path.basename(path))
    words.tofile(copy)
    return copy


class Device:
    """The code objects of a folder."""

    def __init__(self, folder, emulator, tinygrad):
        # build/hip/COMPILER/ARCH
        of_compiler, self.arch = os.path.split(os.path.abspath(folder))
        self.name = f"{self.arch}, {os.path.basename(of_compiler)}"
        self.launch = emulator.launch
        self.objects = {}
        with tempfile.TemporaryDirectory() as work:
            for file in sorted(os.listdir(folder)):
                if not file.endswith(".co"):
                    continue
                path, machine = os.path.join(folder, file), "rdna3"
                if self.arch.startswith("gfx12"):
                    path, machine = without_cache_control(path, work), "rdna4"
                self.objects[file[:-3]] = emulator.CodeObject(
                    path, tinygrad, machine)

    def run(self, source, kernel, grid, threads, argument):
        """Counts of executed wave instructions; threads names a constant."""
        code = self.objects[source]
        size = code.descriptor(kernel)["kernarg"]
        if size != ctypes.sizeof(argument):
            raise ValueError(f"{kernel} takes {size} bytes of arguments, "
                             f"params.h says {ctypes.sizeof(argument)}")
        return self.launch(code, kernel, (*grid, 1),
                           (CONSTANTS[threads], 1, 1), bytes(argument))


Case = collections.namedtuple("Case", "dtype group zeros")


def type_name(case):
    return "bf16" if case.dtype == BF16 else "f16"


def case_name(case):
    return (f"{type_name(case)}, g {case.group}, "
            f"{'zero points' if case.zeros else 'symmetric'}")


def weight_gemm(weights, rows, n_slots, **fields):
    return Gemm(b=weights.matrix, a=rows.ctypes.data, a_stride=rows.shape[1],
                n_slots=n_slots, local=Local(n_global=weights.matrix.n_experts),
                **fields)


def decode(device, case, shape):
    """A token: forward's ratio, and counts of w13 and w2."""
    rng = np.random.default_rng(1)
    hidden, inner, top_k, n_experts = shape
    w13 = Weights(rng, n_experts, hidden, 2 * inner, case, True)
    w2 = Weights(rng, n_experts, inner, hidden, case, False)
    x = to_half(case.dtype, rng.standard_normal((1, hidden)))
    ids = rng.permutation(n_experts)[:top_k].astype(np.int32)
    factors = rng.uniform(0.1, 1, top_k).astype(np.float32)
    rows = np.zeros((top_k, inner), np.uint16)
    out = np.zeros((1, hidden), np.uint16)
    name = type_name(case)
    first = device.run(
        f"dot_{name}", f"w4_dot1_{name}_int4",
        (-(-2 * inner // TILE), top_k),
        "W4_GPU_DOT_THREADS",
        weight_gemm(w13, x, top_k, top_k=divisor(top_k),
                    ids=ids.ctypes.data, result=ACTIVATED,
                    out=rows.ctypes.data, out_stride=inner,
                    block_size=divisor(1), activation=Activation(kind=SILU)))
    second = device.run(
        f"dot_{name}", f"w4_token_{name}_int4",
        (-(-hidden // TILE), 1),
        "W4_GPU_TOKEN_THREADS",
        weight_gemm(w2, rows, top_k, top_k=divisor(1),
                    ids=ids.ctypes.data, result=TOKENS,
                    slot_weights=factors.ctypes.data, out=out.ctypes.data,
                    out_stride=hidden, block_size=divisor(1), choices=top_k))

    exact_rows = np.stack([silu(*np.split(
        from_half(case.dtype, x)[0] @ w13.w[e], 2)) for e in ids])
    rounded = from_half(case.dtype, to_half(case.dtype, exact_rows))

    def combined(of_rows):
        return sum(factors[j] * (of_rows[j] @ w2.w[e])
                   for j, e in enumerate(ids))

    exact = combined(exact_rows)
    ideal = from_half(case.dtype, to_half(case.dtype, combined(rounded)))
    got = from_half(case.dtype, out)[0]
    return ratio(got, exact, ideal), first, second


def prefill(device, case, n_rows, gated, shape):
    """A block of n_rows slots, 3 of them padding: w13's activated rows, whose
    ratio it returns, or w2's sums in fp32, whose relative error; and counts."""
    rng = np.random.default_rng(2)
    n_in, n_out = shape
    n_slots = n_rows - 3
    w = Weights(rng, 2, n_in, n_out, case, gated)
    x = to_half(case.dtype, rng.standard_normal((n_slots, n_in)))
    slots = np.full(n_rows, n_slots, np.int32)
    slots[:n_slots] = rng.permutation(n_slots)
    expert = np.array([1], np.int32)
    n_padded = np.array([n_rows], np.int32)
    n_columns = n_out // 2 if gated else n_out
    out = np.zeros((n_slots, n_columns), np.uint16 if gated else np.float32)
    name = type_name(case)
    counts = device.run(
        f"mma_{name}", f"w4_mma{n_rows}_{name}_int4",
        (-(-n_out // TILE), 1), "W4_GPU_MMA_THREADS",
        weight_gemm(w, x, n_slots, top_k=divisor(1),
                    sorted_slots=slots.ctypes.data,
                    expert_ids=expert.ctypes.data,
                    n_padded=n_padded.ctypes.data,
                    block_size=divisor(n_rows),
                    result=ACTIVATED if gated else SUMS,
                    out=out.ctypes.data, out_stride=n_columns,
                    activation=Activation(kind=SILU if gated else 0)))
    exact = from_half(case.dtype, x) @ w.w[1]
    if not gated:
        off = np.linalg.norm(out - exact) / np.linalg.norm(exact)
        return off if np.isfinite(out).all() else np.inf, counts
    exact = silu(*np.split(exact, 2, axis=1))
    ideal = from_half(case.dtype, to_half(case.dtype, exact))
    return ratio(from_half(case.dtype, out), exact, ideal), counts


def wmma_share(counts):
    """Of the vector unit's cycles: 32 for a WMMA, 1 for others."""
    wmma = 32 * sum(n for op, n in counts.items() if "WMMA" in op)
    other = sum(n for op, n in counts.items()
                if op.startswith("V_") and "WMMA" not in op)
    return wmma / max(wmma + other, 1)


# ------------------------------------------------------------------ reports

class Report:
    def __init__(self):
        self.lines = []
        self.good = True

    def add(self, line, good=True):
        self.lines.append(line)
        self.good = self.good and good
        print(line + ("" if good else "  <- FAILED"), flush=True)


CASES = [Case(dtype, group, zeros) for dtype in (BF16, F16)
         for group in (32, 128) for zeros in (False, True)]
# Sums in fp32 of products of numbers that are exact: far below 16 bits.
MAX_SUMS_ERROR = 1e-5


def decode_line(report, device, case, shape):
    """H, I, k, E: executed wave instructions per 1000 weights."""
    hidden, inner, top_k, _ = shape
    off, first, second = decode(device, case, shape)
    per = top_k * hidden * inner / 1000
    n13, n2 = sum(first.values()), sum(second.values())
    vector = sum(n for counts in (first, second)
                 for op, n in counts.items() if op.startswith("V_"))
    report.add(f"| {device.name} | {case_name(case)} | {hidden} | {inner} | "
               f"{top_k} | {off:.4f} | {n13 / per / 2:.1f} | {n2 / per:.1f} | "
               f"{(n13 + n2) / per / 3:.1f} | {vector / per / 3:.1f} |",
               off <= MAX_RATIO)


def prefill_line(report, device, case, n_rows):
    off13, counts13 = prefill(device, case, n_rows, True, (512, 256))
    off2, counts2 = prefill(device, case, n_rows, False, (512, 128))
    report.add(f"| {device.name} | {case_name(case)} | {n_rows} | "
               f"{off13:.4f} | {off2:.1e} | {wmma_share(counts13):.3f} | "
               f"{wmma_share(counts2):.3f} |",
               off13 <= MAX_RATIO and off2 <= MAX_SUMS_ERROR)


def run_all(devices, quick):
    report = Report()
    report.add("One token, w13 with silu, then w2 with the weighted sum. "
               "Ratio: error against float64, in units of what the two "
               "roundings alone do. Instructions: executed by waves, per 1000 "
               "weights.")
    report.add("")
    report.add("| code | case | H | I | k | ratio | w13 | w2 | forward | of "
               "these vector |")
    report.add("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for device in devices:
        for case in CASES:
            decode_line(report, device, case, (512, 192, 2, 4))
        if device.arch.startswith("gfx11") and not quick:
            for dtype in (BF16, F16):
                decode_line(report, device, Case(dtype, 128, False),
                            (2048, 768, 8, 8))
    report.add("")
    report.add("A block of rows (3 of them padding) of one expert, K = 512: "
               "w13 with silu (its ratio), w2's sums in fp32 (their relative "
               "error). Share: of WMMA (32 cycles each) in the cycles of "
               "vector instructions (1 each).")
    report.add("")
    report.add("| code | case | rows | w13 ratio | w2 error | w13 share | w2 "
               "share |")
    report.add("|---|---|---:|---:|---:|---:|---:|")
    for device in devices:
        for case in CASES:
            for n_rows in (16, 32, 64):
                if n_rows == 64 or case.zeros:
                    prefill_line(report, device, case, n_rows)
    return report


def put(path, lines):
    """Replaces what is between the markers."""
    begin, end = "<!-- emulation begin -->", "<!-- emulation end -->"
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
    after = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + "\n" + "\n".join(lines) + "\n" + end +
                   after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--emulator", required=True, metavar="FOLDER")
    parser.add_argument("--tinygrad", required=True, metavar="FOLDER")
    parser.add_argument("--table", metavar="FILE")
    parser.add_argument("--quick", action="store_true",
                        help="without the case of a real model's size")
    parser.add_argument("code", nargs="+", metavar="CODE")
    args = parser.parse_args()
    sys.path.insert(0, args.emulator)
    import gfx11_emulate
    devices = [Device(folder, gfx11_emulate, args.tinygrad)
               for folder in args.code]
    report = run_all(devices, args.quick)
    if args.table:
        put(args.table, report.lines)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
