#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# The dependency law of the modules, checked on the include graph:
#
#     base <- io <- format <- kernel <- runtime,   base <- route <- runtime
#
# A module includes its own headers and those of the modules before it. Of the
# public headers it includes those that declare its own work or that of modules
# before it; <w4moe/format.h> has types that all but io share. tools/ sees the
# public headers, io and base; the public headers see nothing of lib/. hip/, a
# module that is loaded, sees the public headers, base and five headers more.
# mpi/, a library above this one, sees the public headers alone, and nobody but
# it and tools/ep sees <w4moe/mpi.h>. System headers are free, but <mpi.h> is for
# mpi/ and its public header.
#
# Within tools/ the files of tools/ itself are for all its folders, and a tool's
# main file sees all of them; else
#
#     convert,   bench <- plan <- ep,   run <- ep
set -eu

srcdir=${srcdir:-.}
LC_ALL=C
export LC_ALL
cd "$srcdir"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for folder in lib include tools hip mpi; do
    [ ! -d "$folder" ] || find "$folder" -type f \( -name '*.[ch]' \
        -o -name '*.cc' -o -name '*.h.in' -o -name '*.hip' \)
done | sort > "$work/files"
if ! grep -q '^lib/' "$work/files"; then
    echo "no sources found under $srcdir/lib"
    exit 1
fi

# "file:line:include" of every include; the file names have no colon.
while read -r file; do
    awk -v file="$file" '/^[ \t]*#[ \t]*include/ {
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "")
        sub(/[ \t]*(\/[*\/].*)?$/, "")
        print file ":" FNR ":" $0
    }' "$file"
done < "$work/files" > "$work/includes"

# The module of a path under lib/, or nothing.
module_of() {
    case $1 in
    base/* | io/* | format/* | route/* | kernel/* | runtime/*)
        echo "${1%%/*}" ;;
    esac
}

# may USER USED NAME: whether one module may include the header NAME of
# another.
may() {
    case $1:$2 in
    hip:base) ;;
    hip:*)
        case $3 in
        format/layout.h | format/matrix.h | runtime/backend.h) ;;
        kernel/act/act_formulas.h | route/scores.h) ;;
        *) return 1 ;;
        esac ;;
    base:base) ;;
    io:base | io:io) ;;
    format:base | format:io | format:format) ;;
    route:base | route:route) ;;
    kernel:base | kernel:io | kernel:format | kernel:kernel) ;;
    runtime:*) ;;
    tools:base | tools:io | tools_ep:base | tools_ep:io) ;;
    *) return 1 ;;
    esac
}

# may_public USER HEADER: the same for the public headers.
may_public() {
    case $1:$2 in
    mpi:* | tools_ep:*) ;;
    *:w4moe/mpi.h) return 1 ;;
    include:* | tools:* | runtime:* | hip:*) ;;
    *:w4moe/base.h | *:w4moe/version.h) ;;
    io:*) return 1 ;;
    *:w4moe/format.h) ;;
    route:w4moe/route.h | kernel:w4moe/kernel.h) ;;
    *) return 1 ;;
    esac
}

# may_tool FILE HEADER: the same within tools/, where HEADER is a path in it.
may_tool() {
    case ${1#tools/}:$2 in
    moe-*.c:*) ;;
    *:*/*)
        case ${1#tools/}:$2 in
        plan/*:bench/* | ep/*:bench/* | ep/*:plan/* | ep/*:run/*) ;;
        *) return 1 ;;
        esac ;;
    esac
}

# judge FILE INCLUDE: prints what is wrong with it.
judge() {
    case $1 in
    lib/*) user=$(module_of "${1#lib/}") ;;
    tools/ep/*) user=tools_ep ;;
    *) user=${1%%/*} ;;
    esac
    name=${2#?}
    name=${name%?}
    used=$(module_of "$name")
    case $2 in
    \"*\" | \<*\>) ;;
    *)
        echo "neither \"file\" nor <file>; it cannot be judged"
        return ;;
    esac
    if [ -z "$user" ]; then
        echo "the file is in no module"
    elif [ -n "$used" ]; then
        if [ "$user" = include ]; then
            echo "a public header includes a header of lib/"
        elif ! may "$user" "$used" "$name"; then
            echo "$user may not include this header of $used"
        elif [ ! -e "lib/$name" ]; then
            echo "there is no lib/$name"
        fi
    else
        case $2 in
        \<w4moe.h\> | \<w4moe/*\>)
            may_public "$user" "$name" ||
                echo "$user may not include $2" ;;
        \<*..*\> | \"*..*\")
            echo "a path with \"..\"" ;;
        \<mpi.h\>)
            case $1 in
            mpi/* | include/w4moe/mpi.h) ;;
            *) echo "only mpi/ and its public header see MPI" ;;
            esac ;;
        \<*\> | \"config.h\") ;;
        *)
            if [ "$user" = include ]; then
                echo "a public header includes \"$name\""
            elif [ "${user%_ep}" = tools ] && [ -e "tools/$name" ]; then
                may_tool "$1" "$name" ||
                    echo "${1%/*} may not include this header of ${name%/*}"
            elif [ ! -e "${1%/*}/$name" ] &&
                    { [ "$user" != hip ] || [ ! -e "hip/$name" ]; }; then
                echo "not a header of a module, nor of the same folder"
            fi ;;
        esac
    fi
}

while IFS=: read -r file line include; do
    judge "$file" "$include" | sed "s|^|$file:$line: $include: |"
done < "$work/includes" > "$work/wrong"
if [ -s "$work/wrong" ]; then
    cat "$work/wrong"
    exit 1
fi
