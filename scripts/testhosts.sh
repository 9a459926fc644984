#!/usr/bin/env bash
# Hosts on one machine that are reached over SSH, for trying things out: namespaces with an sshd each. Needs root.
#
#   scripts/testhosts.sh up DIR 4     makes hosts h1 to h4; DIR gets keys, known_hosts and an ssh_config
#   scripts/testhosts.sh in DIR CMD   runs a command where the hosts can be reached
#   scripts/testhosts.sh cut DIR 2    cuts the link of h2; `join` joins it again
#   scripts/testhosts.sh crash DIR 2  cuts the power of h2; `boot` starts it again
#   scripts/testhosts.sh down DIR     removes them
#
# All share this machine's kernel, processors and control groups; each has its own network, processes, host name, /root,
# /tmp, /run, /etc, /usr/local and /var/lib/depbench. 10.78.0.11 is h1 on eth0, where ssh reaches it; over eth1 the hosts reach
# each other as 10.79.0.11 and so on. A file DIR/h2/boot_id is what h2 tells its boot by;
# DIR/h2/clock, by how many seconds its clocks since boot are ahead of this machine's. Both count from its next `boot`.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
verb=${1:?up, in, cut, join, crash, boot or down}
dir=$(realpath -m "${2:?a directory}")
shift 2

make_host() { # number: its network, and what outlives its power
    local i=$1 home=$dir/h$1
    mkdir -p "$home"/{root,tmp,state}
    chmod 700 "$home/root"
    ssh-keygen -q -t ed25519 -N '' -f "$home/hostkey"
    cp "$dir/key.pub" "$home/authorized_keys"
    echo "10.78.0.$((10 + i)) $(cut -d' ' -f1,2 "$home/hostkey.pub")" >>"$dir/known_hosts"
    ip netns add "$tag-h$i"
    ip link add eth0 netns "$tag-h$i" type veth peer name "v$i" netns "$tag"
    ip -n "$tag" link set "v$i" master br0 up
    ip link add eth1 netns "$tag-h$i" type veth peer name "w$i" netns "$tag"
    ip -n "$tag" link set "w$i" master br1 up
    for net in 0 1; do
        ip -n "$tag-h$i" addr add "10.$((78 + net)).0.$((10 + i))/24" dev "eth$net"
        ip -n "$tag-h$i" link set "eth$net" up
    done
    ip -n "$tag-h$i" link set lo up
    cat >>"$dir/ssh_config" <<END
Host h$i
    HostName 10.78.0.$((10 + i))
    User root
    IdentityFile $dir/key
    IdentitiesOnly yes
    UserKnownHostsFile $dir/known_hosts
END
}

boot() { # number
    local i=$1 home=$dir/h$1
    local clock=()
    [ ! -e "$home/clock" ] || clock=(--time --monotonic "$(cat "$home/clock")" --boottime "$(cat "$home/clock")")
    nsenter --net="/run/netns/$tag-h$i" unshare --mount --propagation private --uts --ipc --pid "${clock[@]}" --fork --kill-child \
        sh -c '
            hostname "$1"
            mount -t proc proc /proc
            [ ! -e "$2/boot_id" ] || mount --bind "$2/boot_id" /proc/sys/kernel/random/boot_id
            for part in etc usr/local; do
                mkdir -p "$2/up/$part" "$2/work/$part"
                mount -t overlay overlay -o "lowerdir=/$part,upperdir=$2/up/$part,workdir=$2/work/$part" "/$part"
            done
            mount -t tmpfs tmpfs /run && mkdir -p /run/sshd
            mount --bind "$2/root" /root
            mkdir -p /var/lib/depbench && mount --bind "$2/state" /var/lib/depbench
            cp "$2/hostkey" /run/hostkey && chmod 600 /run/hostkey
            cp "$2/authorized_keys" /run/authorized_keys
            # Last, because what comes before may lie below it.
            mount --bind "$2/tmp" /tmp
            exec /usr/sbin/sshd -D -e -f /dev/null -h /run/hostkey -o UsePAM=no -o PidFile=none \
                -o AuthorizedKeysFile=/run/authorized_keys -o StrictModes=no -o MaxStartups=100 \
                -o "Subsystem=sftp internal-sftp"
        ' sh "h$i" "$home" >>"$home/log" 2>&1 </dev/null &
    echo $! >"$home/pid"
}

answers() { # number: whether sshd of a host answers
    nsenter --net="/run/netns/$tag" ssh -F "$dir/ssh_config" -o BatchMode=yes -o ConnectTimeout=2 "h$1" true 2>/dev/null
}

await() { # number
    for _ in $(seq 1 100); do
        answers "$1" && return
        sleep 0.1
    done
    echo "sshd of h$1 does not answer:" >&2
    cat "$dir/h$1/log" >&2
    exit 1
}

case $verb in
up)
    count=${1:?how many}
    mkdir -p "$dir"
    tag=dbt$$
    echo "$tag $count" >"$dir/tag"
    ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
    ip netns add "$tag"
    ip -n "$tag" link set lo up
    ip -n "$tag" link add br0 type bridge
    ip -n "$tag" addr add 10.78.0.1/24 dev br0
    ip -n "$tag" link set br0 up
    ip -n "$tag" link add br1 type bridge
    ip -n "$tag" link set br1 up
    for i in $(seq 1 "$count"); do make_host "$i"; done
    for i in $(seq 1 "$count"); do boot "$i"; done
    for i in $(seq 1 "$count"); do await "$i"; done
    ;;
in)
    read -r tag _ <"$dir/tag"
    exec nsenter --net="/run/netns/$tag" "$@"
    ;;
cut | join)
    read -r tag _ <"$dir/tag"
    [ "$verb" = cut ] && state=down || state=up
    ip -n "$tag" link set "v${1:?which}" "$state"
    ;;
crash)
    read -r tag _ <"$dir/tag"
    # Nothing is said to anybody any more; with its first process all others end.
    ip -n "$tag" link set "v${1:?which}" down
    ip -n "$tag" link set "w$1" down
    kill -9 "$(cat "$dir/h$1/pid")"
    for _ in $(seq 1 200); do
        [ -n "$(ip netns pids "$tag-h$1")" ] || break
        sleep 0.05
    done
    ;;
boot)
    read -r tag _ <"$dir/tag"
    boot "${1:?which}"
    ip -n "$tag" link set "v$1" up
    ip -n "$tag" link set "w$1" up
    await "$1"
    ;;
down)
    read -r tag count <"$dir/tag"
    # Ends the first process of each host, and with it all of them; unshare itself ignores SIGTERM.
    for i in $(seq 1 "$count"); do
        [ ! -e "$dir/h$i/pid" ] || kill -9 "$(cat "$dir/h$i/pid")" 2>/dev/null || true
        ip netns del "$tag-h$i" 2>/dev/null || true
    done
    ip netns del "$tag" 2>/dev/null || true
    rm -rf "$dir"
    ;;
*)
    echo "$verb: expected up, in, cut, join, crash, boot or down" >&2
    exit 2
    ;;
esac
