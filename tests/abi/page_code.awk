# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# C code from a man page in mdoc: with -v part=synopsis the functions of its
# SYNOPSIS as declarations behind the headers that it includes, with -v
# part=example -v number=N the display N, from 1 on, of those of its EXAMPLES
# that include a header of ours, with -v part=output the display after it that
# "It prints" announces. It knows as much of mdoc as these pages use.

# The words of a macro line, where quotes join: words[1..n]. Returns n.
function split_words(line,    n, word) {
    n = 0
    while (match(line, /"[^"]*"|[^ \t"]+/)) {
        word = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        gsub(/"/, "", word)
        words[++n] = word
    }
    return n
}

function declare(    i, list) {
    for (i = 1; i <= n_args; i++) {
        list = list (i > 1 ? ", " : "") args[i]
    }
    print "extern " type " " name "(" list ");"
}

/^\.Sh / {
    section = substr($0, 5)
}

part == "synopsis" && section == "SYNOPSIS" {
    n = split_words($0)
    if (words[1] == ".In") {
        print "#include <" words[2] ">"
    } else if (words[1] == ".Ft") {
        type = words[2]
    } else if (words[1] == ".Fn") {
        name = words[2]
        n_args = 0
        for (i = 3; i <= n; i++) {
            args[++n_args] = words[i]
        }
        declare()
    } else if (words[1] == ".Fo") {
        name = words[2]
        n_args = 0
    } else if (words[1] == ".Fa") {
        for (i = 2; i <= n; i++) {
            args[++n_args] = words[i]
        }
    } else if (words[1] == ".Fc") {
        declare()
    }
}

(part == "example" || part == "output") && section == "EXAMPLES" {
    if (/^\.Bd -literal/) {
        in_display = 1
        display = ""
    } else if (/^\.Ed/) {
        is_code = display ~ /#include <w4moe[.\/]/
        n_codes += is_code
        if (n_codes == number && (part == "example" ? is_code : announced)) {
            printf "%s", display
        }
        in_display = announced = 0
    } else if (in_display) {
        gsub(/\\e/, "\\")
        display = display $0 "\n"
    } else {
        announced = /^It prints$/
    }
}
