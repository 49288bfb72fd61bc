#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
#
# ep-network.sh BUILD MICROSECONDS MBIT [OPTION...]: moe-bench --ep with two
# ranks on two hosts that are network namespaces of this one, joined by a link
# of that latency and bandwidth. As root, with Open MPI 4 and iproute2. Options
# are moe-bench's; RANKS_EACH ranks (1) run on each host.
set -eu
build=$(cd "$1" && pwd)
latency=$2
rate=$3
shift 3
top=$(cd "$(dirname "$0")/.." && pwd)
each=${RANKS_EACH:-1}
work=$(mktemp -d)
link=
clean() {
    [ -z "$link" ] || kill "$link" 2> /dev/null || true
    ip netns del w4moe0 2> /dev/null || true
    ip netns del w4moe1 2> /dev/null || true
    rm -rf "$work"
}
trap clean EXIT

${CC:-cc} -O2 -o "$work/slow_link" "$top/bench/slow_link.c"
ip netns add w4moe0
ip netns add w4moe1
"$work/slow_link" w4moe0 w4moe1 "$latency" "$rate" > "$work/ready" &
link=$!
until grep -q ready "$work/ready"; do
    kill -0 "$link"
    sleep 0.1
done
for i in 0 1; do
    ip -n w4moe$i link set lo up
    ip -n w4moe$i link set slow0 mtu 65000
    ip -n w4moe$i addr add 10.99.0.$((i + 1))/24 dev slow0
    ip -n w4moe$i link set slow0 up
done

# What starts programs on the other host, in the place of ssh.
cat > "$work/agent" << 'EOF'
#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
shift
exec ip netns exec w4moe1 unshare --uts sh -c "hostname w4moe1; $*"
EOF
chmod +x "$work/agent"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export W4MOE_BACKEND_DIR="$work" W4MOE_LIBEXEC_DIR="$build/tools/.libs"
ip netns exec w4moe0 unshare --uts sh -c 'hostname w4moe0; exec "$@"' sh \
    mpirun -n $((2 * each)) --host "10.99.0.1:$each,10.99.0.2:$each" \
    --oversubscribe --bind-to none \
    --mca plm_rsh_agent "$work/agent" --mca btl tcp,self,vader \
    --mca btl_vader_single_copy_mechanism none \
    --mca btl_tcp_if_include slow0 --mca oob_tcp_if_include slow0 \
    -x OMPI_ALLOW_RUN_AS_ROOT -x OMPI_ALLOW_RUN_AS_ROOT_CONFIRM \
    -x LD_LIBRARY_PATH="$build/.libs" -x W4MOE_BACKEND_DIR \
    -x W4MOE_LIBEXEC_DIR \
    "$build/tools/.libs/moe-bench" --ep "$@"
