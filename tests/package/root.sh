# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
# shellcheck shell=sh
#
# Clean roots of Debian's suites, to be read with ".": $roots is the folder that
# they are in. Needs root's rights and mmdebstrap.

# make_root SUITE TARGET OPTION...: mmdebstrap with the mirror of this machine.
make_root() {
    made_of=$1
    target=$2
    shift 2
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' | grep -v security | head -n 1)
    # Snapshots of sid may be older than they say they stay valid.
    mmdebstrap --aptopt='Acquire::Check-Valid-Until "false"' "$@" \
        "$made_of" "$target" "$mirror"
}

# fresh NAME: a root with nothing but what $roots/root.tar has.
fresh() {
    rm -rf "${roots:?}/$1"
    mkdir -p "$roots/$1"
    tar -xpf "$roots/root.tar" -C "$roots/$1" --exclude='./dev/*'
}

# in_mounts NAME COMMAND...: COMMAND with the root's /proc, /sys and /dev in
# place, which are gone when it ends, however it does.
in_mounts() {
    mounted=$roots/$1
    shift
    unshare --mount --pid --fork --kill-child sh -ec '
        mount -t proc proc "$0/proc"
        mount -t sysfs -o ro sysfs "$0/sys"
        mount --rbind /dev "$0/dev"
        exec "$@"' "$mounted" "$@"
}

# in_root NAME COMMAND...: as root there.
in_root() {
    name=$1
    shift
    in_mounts "$name" chroot "$roots/$name" /usr/bin/env -i \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
        DEBIAN_FRONTEND=noninteractive "$@"
}

# offline NAME COMMAND...: the same without any network but loopback.
offline() {
    # shellcheck disable=SC2016
    unshare --net sh -ec 'ip link set lo up; . "$0"; in_root "$@"' \
        "$package_tests/root.sh" "$@"
}

# apt_install NAME PACKAGE...: packages, or files by a path there.
apt_install() {
    name=$1
    shift
    in_root "$name" apt-get -q update
    in_root "$name" apt-get -qy --no-install-recommends install "$@"
}
