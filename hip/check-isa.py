#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Checks what a compiler made of the kernels, and tabulates it.

usage: check-isa.py [--table FILE] LABEL=FOLDER...

FOLDER has a folder for each architecture, with the assembler listings (clang's
-S) of all source files; LABEL names the compiler. Fails on scratch memory or
spilled vector registers, on kernels that are missing, on an amount of shared
memory that is not the expected one, on matrix or dot-product instructions that
are missing, and on instructions of a kind that clang 17 gets wrong. --table
rewrites the part of a Markdown file between the markers "isa begin" and "isa
end".
"""
import argparse
import collections
import os
import re
import sys

# In full in the table; the others in a line each.
FULL = ("gfx1100", "gfx1200")

# clang 15 gives kernels 128 vector registers at most, whatever they ask for,
# and breaks a rule of gfx11 (see listings.sh). What it makes is for checking
# that the sources compile: Debian 12, which has it, has no runtime for these
# GPUs either. Its spills are reported only.
LENIENT = ("clang-15",)

FAMILIES = {
    # Name: bytes of shared memory, with and without zero points; both are
    # sizes of arrays in dot_run.h and mma.h.
    "dot1": (2048, 2048),
    "dot2": (4096, 4096),
    "dot4": (8192, 8192),
    "dot8": (16384, 16384),
    "dot1_gather": (2048, 2048),
    "dot4_gather": (8192, 8192),
    "dot1_any": (2048, 2048),
    "token": (4096, 4096),
    "token_gather": (4096, 4096),
    "token_any": (4096, 4096),
    "mma16": (9472, 8448),
    "mma32": (18944, 16896),
    "mma64": (22528, 18432),
}
OTHERS = {
    "w4_logits": 0,
    "w4_route": 0,
    "w4_align": 20608,
    "w4_spread": 0,
    "w4_count": 4096,
    "w4_reduce": 0,
    "w4_combine": 0,
    "w4_activate": 0,
    "w4_clear": 0,
}


def expected_kernels(arch):
    """Names and bytes of shared memory."""
    kernels = dict(OTHERS)
    for family, (int4, e2m1) in FAMILIES.items():
        if arch.startswith("gfx10") and family.startswith("mma"):
            continue
        for dtype in ("bf16", "f16"):
            kernels[f"w4_{family}_{dtype}_int4"] = int4
            kernels[f"w4_{family}_{dtype}_e2m1"] = e2m1
    return kernels


# Vector registers of a lane: in all, and given out in units of. Waves of a
# SIMD at most: 16.
def registers(arch):
    if arch in ("gfx1100", "gfx1101", "gfx1151", "gfx1200", "gfx1201"):
        return 1536, 24
    return 1024, 16


# Bytes of shared memory of a workgroup processor, which has 4 SIMDs.
SHARED_OF_4 = 128 * 1024


class Kernel:
    def __init__(self, name, notes):
        self.name = name
        self.notes = notes
        self.mix = collections.Counter()
        # Dual instructions with more constants than can be encoded.
        self.miscompiled = []

    def note(self, key):
        return int(self.notes[key])

    @property
    def shared(self):
        return self.note("group_segment_fixed_size")

    @property
    def scratch(self):
        return self.note("private_segment_fixed_size")

    def waves(self, arch):
        """Of a SIMD, by registers and shared memory."""
        n, unit = registers(arch)
        used = -(-max(self.note("vgpr_count"), 1) // unit) * unit
        waves = min(16, n // used)
        if self.shared:
            groups = SHARED_OF_4 // self.shared
            waves_of_group = self.note("max_flat_workgroup_size") // 32
            waves = min(waves, groups * waves_of_group // 4)
        return waves


def classify(mnemonic, operands):
    """The kinds of an instruction; the first is the unit that runs it."""
    if "wmma" in mnemonic:
        return ["wmma"]
    if mnemonic.startswith("v_"):
        both = mnemonic + operands
        return ["VALU", "dot2"] if "dot2" in both else ["VALU"]
    if mnemonic.startswith("flat_"):
        return ["VMEM", "flat"]
    if mnemonic.startswith(("global_", "buffer_", "scratch_")):
        return ["VMEM"]
    if mnemonic.startswith("ds_"):
        return ["LDS"]
    if mnemonic.startswith(("s_load", "s_buffer_load")):
        return ["SMEM"]
    if mnemonic in ("s_nop", "s_delay_alu", "s_clause", "s_code_end"):
        return []
    if mnemonic.startswith("s_wait"):
        return []
    if mnemonic.startswith("s_"):
        return ["SALU"]
    return ["other"]


def is_miscompiled(operands):
    """A dual instruction has room for one constant. clang 17 pairs others with
    a v_dot2acc_f32_f16 whose packed constant it takes for one that needs no
    room; both halves get the same then."""
    constants = set(re.findall(r"\b0x[0-9a-f]+\b", operands))
    return "::" in operands and len(constants) > 1


def read_notes(text):
    """Values of each kernel's metadata, by its name."""
    kernels = {}
    block = re.search(r"\.amdgpu_metadata\n(.*?)\.end_amdgpu_metadata", text,
                      re.S)
    if block is None:
        return kernels
    # A list item for each kernel; the entries of its own are indented by 4.
    for item in re.split(r"^  - ", block[1], flags=re.M)[1:]:
        notes = dict(re.findall(r"^(?:    )?\.(\w+): +(\S+)$", item, re.M))
        if "name" in notes:
            kernels[notes["name"]] = notes
    return kernels


def read_listing(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    kernels = {}
    for name, notes in read_notes(text).items():
        kernel = Kernel(name, notes)
        body = re.search(rf"^{name}:(.*?)^\.Lfunc_end", text, re.S | re.M)
        if body is None:
            raise ValueError(f"{path}: {name} has notes, but no code")
        for mnemonic, operands in re.findall(r"^\t([a-z]\w+)(.*)$", body[1],
                                             re.M):
            kernel.mix.update(classify(mnemonic, operands))
            if is_miscompiled(operands):
                kernel.miscompiled.append(mnemonic + operands)
        kernels[name] = kernel
    return kernels


def read_folder(folder):
    kernels = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".s"):
            kernels.update(read_listing(os.path.join(folder, file)))
    return kernels


def faults_of(kernel, arch, shared):
    """What is wrong with a kernel; what only a poor compiler excuses."""
    wrong = []
    poor = []
    if kernel.scratch:
        poor.append(f"{kernel.scratch} bytes of scratch")
    if kernel.note("vgpr_spill_count"):
        poor.append(f"{kernel.note('vgpr_spill_count')} vector registers "
                    "spilled")
    if kernel.shared != shared:
        wrong.append(f"{kernel.shared} bytes of shared memory, expected "
                     f"{shared}")
    if kernel.miscompiled:
        wrong.append(f"{len(kernel.miscompiled)} instructions with two "
                     f"constants, the first: {kernel.miscompiled[0]}")
    is_mma = kernel.name.startswith("w4_mma")
    is_dot = kernel.name.startswith(("w4_dot", "w4_token"))
    # gfx10 has no dot product of bf16.
    may_lack_dot2 = arch.startswith("gfx10") and "_bf16_" in kernel.name
    if is_mma and not kernel.mix["wmma"]:
        wrong.append("no v_wmma")
    if is_dot and not kernel.mix["dot2"] and not may_lack_dot2:
        wrong.append("no v_dot2")
    return wrong, poor


def check(label, arch, kernels, out):
    """Prints what is wrong; returns whether nothing is."""
    good = True
    lenient = label in LENIENT
    expected = expected_kernels(arch)
    for name in sorted(set(expected) - set(kernels)):
        out(f"{label} {arch} {name}: missing")
        good = False
    for name in sorted(set(kernels) - set(expected)):
        out(f"{label} {arch} {name}: not in the table of kernels")
        good = False
    for name in sorted(set(kernels) & set(expected)):
        wrong, poor = faults_of(kernels[name], arch, expected[name])
        for text in wrong + ([] if lenient else poor):
            out(f"{label} {arch} {name}: {text}")
            good = False
    return good


KINDS = ("VALU", "dot2", "wmma", "VMEM", "flat", "LDS", "SMEM", "SALU")


def full_table(arch, kernels):
    lines = ["| kernel | VGPR | SGPR | LDS | waves | spills v/s | "
             + " | ".join(KINDS) + " |",
             "|---|" + "---:|" * (5 + len(KINDS))]
    for name in sorted(kernels):
        k = kernels[name]
        spills = f"{k.note('vgpr_spill_count')}/{k.note('sgpr_spill_count')}"
        cells = [name[3:], k.note("vgpr_count"), k.note("sgpr_count"),
                 k.shared, k.waves(arch), spills]
        cells += [k.mix[kind] for kind in KINDS]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def summary_line(arch, kernels):
    def most(key):
        name = max(sorted(kernels), key=lambda n: kernels[n].note(key))
        n = kernels[name].note(key)
        return f"{n} ({name[3:]})" if n else "0"

    spilled = [n for n in kernels if kernels[n].note("vgpr_spill_count")]
    worst = min(sorted(kernels), key=lambda n: kernels[n].waves(arch))
    return (f"| {arch} | {len(kernels)} | {most('vgpr_count')} | "
            f"{kernels[worst].waves(arch)} ({worst[3:]}) | {len(spilled)} | "
            f"{most('sgpr_spill_count')} |")


def report(builds):
    lines = []
    for label, archs in builds.items():
        lines += ["", f"### {label}", ""]
        if label in LENIENT:
            lines += ["Limits itself to 128 VGPRs, hence the spills, and "
                      "breaks a rule of gfx11: only for checking that the "
                      "sources compile.", ""]
        lines += ["| arch | kernels | most VGPRs | fewest waves | kernels with "
                  "VGPR spills | most SGPR spills |",
                  "|---|---:|---|---|---:|---|"]
        lines += [summary_line(arch, archs[arch]) for arch in sorted(archs)]
        for arch in FULL:
            if arch in archs:
                lines += ["", f"{label}, {arch}:", ""]
                lines += full_table(arch, archs[arch])
    return lines


def put(path, name, lines):
    """Replaces what is between the markers NAME begin and NAME end."""
    begin, end = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(begin)
    _, after = rest.split(end)
    new = begin + "\n" + "\n".join(lines).strip("\n") + "\n" + end
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + new + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("builds", nargs="+", metavar="LABEL=FOLDER")
    parser.add_argument("--table", metavar="FILE")
    args = parser.parse_args()
    builds = {}
    good = True
    for build in args.builds:
        label, folder = build.split("=", 1)
        builds[label] = {}
        for arch in sorted(os.listdir(folder)):
            kernels = read_folder(os.path.join(folder, arch))
            builds[label][arch] = kernels
            good = check(label, arch, kernels, print) and good
            spilled = sum(k.note("vgpr_spill_count") > 0
                          for k in kernels.values())
            scalars = sum(k.note("sgpr_spill_count") > 0
                          for k in kernels.values())
            print(f"{label} {arch}: {len(kernels)} kernels; with spills: "
                  f"{spilled} of VGPRs, {scalars} of SGPRs")
    if args.table:
        put(args.table, "isa", report(builds))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
