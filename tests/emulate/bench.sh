#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# On an emulated machine moe-bench, which looks for instruction sets by itself,
# comes to its end. Its other tests take too long there.
set -eu
# shellcheck source=tests/tools/tool-lib.sh
. "${srcdir:-.}/tests/tools/tool-lib.sh"
must "$bench" --shape=8,2,256,128,64 --tokens=1 --repeat=1
cat "$tmp/stdout"
