#!/usr/bin/env bash
# Machines with Debian's own kernel, emulated by QEMU: netem, cgroup v2, loadable modules, a boot of their own. For
# function, never for speed: they compute at a fiftieth of this machine's. Needs root, about 3 GB of disk, and
# qemu-system-x86, mmdebstrap, e2fsprogs, iproute2, openssh-client, ansible-core.
#
#   scripts/realkernel.sh build DIR      makes the kernel and the root file system; takes some minutes, once
#   scripts/realkernel.sh up DIR 4 [PROGRAM]   starts machines n1 to n4; DIR gets keys, an ssh_config and an
#                                        inventory.yml, by which the playbook installs that depbench
#   scripts/realkernel.sh in DIR CMD     runs a command where they can be reached
#   scripts/realkernel.sh crash DIR 2    cuts the power of n2; `boot` starts it again, with its disk
#   scripts/realkernel.sh down DIR       removes the machines; `build` need not be repeated
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
verb=${1:?build, up, in, crash, boot or down}
dir=$(realpath -m "${2:?a directory}")
shift 2

# What the playbook would install: the machines have no way to a package server.
packages=linux-image-cloud-amd64,systemd-sysv,udev,kmod,dbus,openssh-server,python3-minimal,python3-apt,sudo,chrony
packages+=,iproute2,iptables,e2fsprogs,etcd-server

build() {
    mkdir -p "$dir"
    [ ! -e "$dir/base.img" ] || return 0
    # From where this machine takes its packages.
    local suite source root=$dir/root
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    source=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" | head -n 1)
    [ -d "$root" ] || mmdebstrap --variant=apt --include="$packages" "$suite" "$root" "deb $source $suite main"
    [ -e "$dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
    install -d -m 700 "$root/root/.ssh"
    install -m 600 "$dir/key.pub" "$root/root/.ssh/authorized_keys"
    chroot "$root" systemctl enable systemd-networkd ssh >/dev/null 2>&1
    # Servers belong to experiments.
    chroot "$root" systemctl mask etcd apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1
    echo '/dev/vda / ext4 noatime 0 1' >"$root/etc/fstab"
    cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
    cp "$root"/boot/initrd.img-* "$dir/initrd"
    mke2fs -q -t ext4 -d "$root" "$dir/base.img.new" 3G
    mv "$dir/base.img.new" "$dir/base.img"
    rm -rf "$root"
}

boot() { # number
    local i=$1
    setsid nsenter --net="/run/netns/$tag" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -smp 1 -m 640 \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$dir/n$i.log" \
        -kernel "$dir/vmlinuz" -initrd "$dir/initrd" -append "root=/dev/vda rw console=ttyS0 quiet mitigations=off \
net.ifnames=0 systemd.hostname=n$i ip=10.79.0.$((10 + i))::10.79.0.1:255.255.255.0:n$i:eth0:off" \
        -drive "if=none,id=d0,file=$dir/n$i.img,format=raw,cache=unsafe" -device virtio-blk-pci,drive=d0 \
        -netdev "tap,id=n0,ifname=tap$i,script=no,downscript=no" \
        -device "virtio-net-pci,netdev=n0,mac=52:54:00:79:00:1$i" -device virtio-rng-pci \
        </dev/null >>"$dir/n$i.err" 2>&1 &
    echo $! >"$dir/n$i.pid"
}

on() { # name, command
    nsenter --net="/run/netns/$tag" ssh -F "$dir/ssh_config" -o BatchMode=yes -o ConnectTimeout=10 "$@"
}

await() { # number
    for _ in $(seq 1 120); do
        on "n$1" true 2>/dev/null && return
        kill -0 "$(cat "$dir/n$1.pid")" || break
        sleep 5
    done
    echo "n$1 does not answer:" >&2
    tail -n 20 "$dir/n$1.log" "$dir/n$1.err" >&2
    exit 1
}

up() { # how many, the last of which drives load
    local count=$1
    tag=dbk$$
    echo "$tag $count" >"$dir/tag"
    ip netns add "$tag"
    ip -n "$tag" link set lo up
    ip -n "$tag" link add br0 type bridge
    ip -n "$tag" addr add 10.79.0.1/24 dev br0
    ip -n "$tag" link set br0 up
    cat >"$dir/ssh_config" <<END
User root
IdentityFile $dir/key
IdentitiesOnly yes
UserKnownHostsFile $dir/known_hosts
StrictHostKeyChecking accept-new
END
    cat >"$dir/inventory.yml" <<END
all:
  vars:
    ansible_user: root
    ansible_ssh_common_args: -F $dir/ssh_config
    depbench_node_module_packages: []
    depbench_program_source: ${program:+$(realpath "$program")}
  children:
    servers: {hosts: {'n[1:$((count - 1))]': {}}}
    clients: {hosts: {n$count: {}}}
END
    rm -f "$dir/known_hosts"
    for i in $(seq 1 "$count"); do
        printf 'Host n%s\n    HostName 10.79.0.%s\n' "$i" $((10 + i)) >>"$dir/ssh_config"
        cp --sparse=always "$dir/base.img" "$dir/n$i.img"
        nsenter --net="/run/netns/$tag" ip tuntap add dev "tap$i" mode tap
        ip -n "$tag" link set "tap$i" master br0 up
        boot "$i"
    done
    for i in $(seq 1 "$count"); do await "$i"; done
}

down() {
    [ -e "$dir/tag" ] || return 0
    read -r tag count <"$dir/tag"
    for i in $(seq 1 "$count"); do
        [ ! -e "$dir/n$i.pid" ] || kill -9 "$(cat "$dir/n$i.pid")" 2>/dev/null || true
        rm -f "$dir/n$i".{pid,img,log,err}
    done
    ip netns del "$tag" 2>/dev/null || true
    rm -f "$dir/tag"
}

case $verb in
build) build ;;
up)
    program=${2:-}
    up "${1:?how many}"
    ;;
in)
    read -r tag _ <"$dir/tag"
    exec nsenter --net="/run/netns/$tag" "$@"
    ;;
crash)
    kill -9 "$(cat "$dir/n${1:?which}.pid")"
    ;;
boot)
    read -r tag _ <"$dir/tag"
    boot "${1:?which}"
    await "$1"
    ;;
down) down ;;
*)
    echo "$verb: expected build, up, in, crash, boot or down" >&2
    exit 2
    ;;
esac
