#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# usage: libraries.sh FOLDER ARCHITECTURE...
#
# Unpacks the libraries of other Debian architectures that w4moe is linked with
# into FOLDER/ARCHITECTURE. Only apt's sources and keys of this machine are
# used: neither its own packages nor its package lists change, so that the two
# cannot disagree about versions. The C library comes with the cross compiler.
set -eu
folder=$1
shift
packages="libjansson-dev libxxhash-dev check libsubunit-dev"

ready=1
for architecture in "$@"; do
    [ -e "$folder/$architecture/complete" ] || ready=0
done
[ "$ready" = 0 ] || exit 0

rm -rf "$folder"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
cd "$folder"
: > apt/status

# apt COMMAND...: apt-get with state of its own, for these architectures.
architectures=$(printf -- ' -o APT::Architectures::=%s' "$@")
apt() {
    # shellcheck disable=SC2086
    apt-get -q -o Dir::State="$PWD/apt" -o Dir::Cache="$PWD/apt" \
        -o Dir::State::status="$PWD/apt/status" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
        $architectures "$@"
}

# An index that cannot be had may be one that nothing is needed of.
apt update || true
for architecture in "$@"; do
    # shellcheck disable=SC2046,SC2086
    if ! apt download $(printf "%s:$architecture " $packages); then
        echo "Debian's libraries for $architecture are not to be had here"
        exit 1
    fi
    for package in *_"$architecture".deb; do
        dpkg-deb -x "$package" "$architecture"
    done
    touch "$architecture/complete"
done
rm -rf apt ./*.deb
