# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# Prints the names of the functions that C headers declare `extern`, one a
# line; with -v storage="static inline" of those instead: inline functions that
# are for callers are declared before they are defined, their helpers are not.
# It reads declarations, not C: macros are not expanded, so a name made by a
# macro is not seen (the house rules forbid them).

# The line without comments; one may go on over many lines.
function code(line,    out, i) {
    out = ""
    while (line != "") {
        if (in_comment) {
            i = index(line, "*/")
            if (i == 0) {
                return out
            }
            line = substr(line, i + 2)
            in_comment = 0
        } else {
            i = index(line, "/*")
            if (i == 0) {
                return out line
            }
            out = out substr(line, 1, i - 1) " "
            line = substr(line, i + 2)
            in_comment = 1
        }
    }
    return out
}

BEGIN {
    if (storage == "") {
        storage = "extern"
    }
}

{
    line = code($0)
    sub(/\/\/.*/, "", line)
}

# Preprocessor lines, with those that continue them.
in_directive || line ~ /^[ \t]*#/ {
    in_directive = line ~ /\\$/
    next
}

{
    text = text " " line
}

END {
    # What ends with a brace is a definition, or extern "C".
    gsub(/[{}]/, "&;", text)
    gsub(/[ \t]+/, " ", text)
    n = split(text, statements, /;/)
    for (i = 1; i <= n; i++) {
        statement = statements[i]
        if (index(" " statement, " " storage " ") == 0 ||
                statement !~ /\(/ || statement ~ /["{]/) {
            continue
        }
        sub(/[ \t]*\(.*/, "", statement)
        sub(/.*[^A-Za-z0-9_]/, "", statement)
        print statement
    }
}
