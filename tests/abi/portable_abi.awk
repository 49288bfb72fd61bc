# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Reads the output of abidw twice; prints it without what depends on where the
# library was built and with which MPI library: paths begin at the source
# folder, and MPI's handles, which are integers or pointers, become structs that
# are only declared.

function attribute(name,    text) {
    if (!match($0, " " name "='[^']*'")) {
        return ""
    }
    text = substr($0, RSTART, RLENGTH - 1)
    sub(/^[^']*'/, "", text)
    return text
}

# The first time: what the handles lead to.
FNR == NR {
    if (/<typedef-decl name='MPI_/) {
        behind[attribute("type-id")] = 1
    } else if (/<pointer-type-def /) {
        points_to[attribute("id")] = attribute("type-id")
    }
    next
}

FNR == 1 {
    for (id in behind) {
        if (id in points_to) {
            dropped[id] = dropped[points_to[id]] = 1
        }
    }
}

/<typedef-decl name='MPI_/ {
    printf "    <class-decl name='%s' is-struct='yes' visibility='default'" \
        " is-declaration-only='yes' id='%s'/>\n", \
        attribute("name"), attribute("id")
    next
}

/<(pointer-type-def|class-decl) .*\/>$/ && attribute("id") in dropped {
    next
}

/<abi-instr / {
    path = attribute("path")
    if (match(path, /.*\/(lib|mpi)\//)) {
        folder = substr(path, 1, RLENGTH)
        sub(/(lib|mpi)\/$/, "", folder)
        sub(/path='[^']*'/, "path='" substr(path, length(folder) + 1) "'")
    }
}

{
    print
}
