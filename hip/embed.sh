#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: embed.sh FOLDER/ARCH/NAME.co...
#
# Writes, to the standard output, a C file with these code objects and their
# table, w4_gpu_images of gpu.h. The assembler finds them by the names that are
# given here: compile it in the folder that they are relative to.
set -eu

cat << 'END'
/* Made by hip/embed.sh. */
#include "gpu.h"

#define IMAGE(label, file)                                                     \
    __asm__(".section .rodata\n.balign 64\n.hidden " #label "\n.globl " #label \
            "\n" #label ":\n.incbin \"" file "\"\n.byte 0\n.previous");        \
    extern const char label[] __attribute__((visibility("hidden")));

END

i=0
for file; do
    echo "IMAGE(w4_gpu_image_$i, \"$file\")"
    i=$((i + 1))
done
echo
echo "const struct w4_gpu_image w4_gpu_images[] = {"
i=0
for file; do
    folder=${file%/*}
    name=${file##*/}
    echo "        {\"${folder##*/}\", \"${name%.co}\", w4_gpu_image_$i},"
    i=$((i + 1))
done
echo "};"
echo "const size_t w4_gpu_n_images = $i;"
