# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""Makes checkpoints for tests; see generate.py."""
