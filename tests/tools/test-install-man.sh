#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The man pages as they are installed: the index that the system makes of them
# has every tool, function and page by its name, also those of which a stub
# leads to the page of their group, which is shown. With man-db, with mandoc, or
# with both. Pages of libw4moe-mpi are there with MPI only (HAVE_MPI).
set -eu

srcdir=${srcdir:-.}
top_builddir=${top_builddir:-.}
# makewhatis is not for everybody.
PATH=$PATH:/usr/sbin:/sbin
HAVE_MPI=${HAVE_MPI:-no}
LC_ALL=C
export PATH LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# make's variables of the run that started this test must not reach this one.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$top_builddir" \
    DESTDIR="$work/root" install-man > "$work/log" 2>&1 || {
    cat "$work/log"
    fail "make install-man"
}
man=$(find "$work/root" -type d -name man)
[ -d "$man/man3" ] || fail "no folder man3 was installed"
(cd "$srcdir/man" && ls ./*.[0-9]) | sed 's|^\./\(.*\)\.\([0-9]\)$|\1 \2|' \
    > "$work/pages"
if [ "$HAVE_MPI" != yes ]; then
    mv "$work/pages" "$work/all"
    grep -v '^w4moe_mpi_' "$work/all" > "$work/pages"
    [ -z "$(find "$man" -name 'w4moe_mpi_*')" ] ||
        fail "pages of libw4moe-mpi were installed without it"
fi

# check_index PROGRAM COMMAND...: COMMAND finds all pages by the word w4moe. It
# prints lines "name (section) - text" or "name, name(section) - text".
check_index() {
    program=$1
    shift
    "$@" -M "$man" -k w4moe > "$work/found" 2> "$work/log" || {
        cat "$work/log"
        fail "$program finds nothing"
    }
    while read -r name section; do
        grep -q "\(^\|, \)$name\(, .*\)\{0,1\} *($section)" "$work/found" ||
            fail "$program: the index lacks $name($section)"
    done < "$work/pages"
    echo "$program finds $(wc -l < "$work/pages") pages"
}

# check_stub PROGRAM COMMAND...: COMMAND shows the stub w4moe_workspace_size as
# the page that it leads to.
check_stub() {
    program=$1
    shift
    "$@" > "$work/shown" 2> "$work/log" || {
        cat "$work/log"
        fail "$program does not show w4moe_workspace_size"
    }
    grep -q 'compute a mixture-of-experts layer' "$work/shown" ||
        fail "$program does not show w4moe_forward for w4moe_workspace_size"
}

found=no
if command -v mandb > /dev/null && man --version 2> /dev/null |
    grep -q '^man [0-9]'; then
    mandb --quiet --create --user-db "$man" > "$work/log" 2>&1 || {
        cat "$work/log"
        fail "mandb"
    }
    check_index man-db man
    check_stub man-db env MANPAGER=cat man -M "$man" 3 w4moe_workspace_size
    found=yes
fi
if command -v makewhatis > /dev/null && command -v mandoc > /dev/null; then
    makewhatis "$man"
    check_index mandoc mandoc
    # A stub's path begins in the folder of all sections.
    cd "$man"
    check_stub mandoc mandoc -T ascii man3/w4moe_workspace_size.3
    found=yes
fi
if [ "$found" = no ]; then
    echo "skipped: neither man-db nor mandoc is here"
    exit 77
fi
