# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# awk -v number=N -f readme_program.awk README.md: its Nth program in C.
/^```c$/ { on = ++n == number; next }
/^```$/ { on = 0 }
on
