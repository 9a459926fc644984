# Machines that are a kernel and a disk of their own; sourced by realkernel.sh.
# shellcheck shell=bash disable=SC2154

# What the playbook would install: the machines have no way to a package server.
packages=systemd-sysv,udev,kmod,dbus,openssh-server,python3-minimal,python3-apt,sudo,chrony
packages+=,iproute2,iptables,e2fsprogs,dmsetup,etcd-server

is_emulated() { [ "$(cat "$dir/kind" 2>/dev/null)" = qemu ]; }

build() { # uml or qemu; Debian's release, or this machine's
    local suite=${2:-} this source kernel tables root=$dir/root
    [ ! -e "$dir/base.img" ] || return 0
    case $1 in
    uml) kernel=user-mode-linux ;;
    qemu) kernel=linux-image-cloud-amd64 ;;
    *) fail "machines of the kind $1: expected uml or qemu" ;;
    esac
    mkdir -p "$dir"
    # From where this machine takes its packages.
    this=$(. /etc/os-release && echo "$VERSION_CODENAME")
    source=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $this" | head -n 1)
    suite=${suite:-$this}
    rm -rf "$root"
    mmdebstrap --quiet --variant=apt --include="$packages,$kernel" "$suite" "$root" "deb $source $suite main"
    [ -e "$dir/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
    install -d -m 700 "$root/root/.ssh"
    install -m 600 "$dir/key.pub" "$root/root/.ssh/authorized_keys"
    # The network generator reads the address on the kernel's command line. Servers belong to experiments; the others
    # have nothing to do here.
    chroot "$root" systemctl --quiet enable systemd-networkd systemd-network-generator ssh 2>/dev/null
    chroot "$root" systemctl --quiet mask etcd apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
        e2scrub_all.timer e2scrub_reap.service systemd-networkd-wait-online.service 2>/dev/null
    # User Mode Linux has the older packet filter only.
    for tables in iptables ip6tables; do
        chroot "$root" update-alternatives --quiet --set "$tables" "/usr/sbin/$tables-legacy"
    done
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root/etc/fstab"
    "kernel_of_$1" "$root"
    echo "$1" >"$dir/kind"
    mke2fs -q -t ext4 -d "$root" "$dir/base.img.new" 2G
    mv "$dir/base.img.new" "$dir/base.img"
    rm -rf "$root"
}

kernel_of_uml() { # root
    local modules
    modules=$(basename "$1"/usr/lib/uml/modules/*)
    mkdir -p "$1/lib/modules"
    ln -s "/usr/lib/uml/modules/$modules" "$1/lib/modules/$modules"
    mv "$1/usr/bin/linux.uml" "$dir/kernel"
    cc -O2 -Wall -shared -fPIC -o "$dir/registers.so" "$here/realkernel/registers.c"
}

kernel_of_qemu() { # root
    cp "$1"/boot/vmlinuz-* "$dir/kernel"
    cp "$1"/boot/initrd.img-* "$dir/initrd"
}

boot_uml() { # number, kernel's parameters
    # Its memory is a file, which must be in memory and may be executed; it ends with the machine.
    start "$1" sh -c '
        mount -t tmpfs -o mode=700 ram "$1" && cd "$1" && TMPDIR=$1 LD_PRELOAD=$2/registers.so exec "$2/kernel" \
            umid="$3" uml_dir="$1/" mem=640M ubd0="$2/$3.cow,$2/base.img" ubd1="$2/$3.data" root=/dev/ubda rootfstype=ext4 \
            vec0:transport=tap,ifname="$4",depth=64,gro=1,mac="$5" con=null con0=null,fd:1 $6
    ' sh "$dir/ram" "$dir" "n$1" "tap$1" "52:54:00:79:00:1$1" "$2:vec0:off"
}

boot_qemu() { # number, kernel's parameters
    [ -e "$dir/n$1.img" ] || cp --sparse=always "$dir/base.img" "$dir/n$1.img"
    # Without cx16: QEMU 7.2's emulation of it has left nonsense in the flags, which ended Debian 13's kernel.
    start "$1" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,-cx16 -M q35 -smp 1 -m 640 \
        -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -kernel "$dir/kernel" -initrd "$dir/initrd" \
        -append "root=/dev/vda console=ttyS0 mitigations=off net.ifnames=0 $2:eth0:off" \
        -drive "if=none,id=d0,file=$dir/n$1.img,format=raw,cache=unsafe" -device virtio-blk-pci,drive=d0 \
        -drive "if=none,id=d1,file=$dir/n$1.data,format=raw,cache=unsafe" -device virtio-blk-pci,drive=d1 \
        -netdev "tap,id=n0,ifname=tap$1,script=no,downscript=no" \
        -device "virtio-net-pci,netdev=n0,mac=52:54:00:79:00:1$1" -device virtio-rng-pci
}

start() { # number, command: it and all its processes end with the one whose number is noted
    local i=$1
    shift
    (
        # Held by every process of the machine: once it is free, they are gone.
        exec 9>"$dir/n$i.lock"
        flock 9
        exec setsid nsenter --net="/run/netns/$tag" unshare --mount --propagation private --pid --fork --kill-child \
            --mount-proc "$@" </dev/null >>"$dir/n$i.log" 2>&1
    ) &
    echo $! >"$dir/n$i.pid"
    disown
}

boot() { # number
    "boot_$(cat "$dir/kind")" "$1" \
        "rw quiet systemd.hostname=n$1 ip=10.79.0.$((10 + $1))::10.79.0.1:255.255.255.0:n$1"
}

crash() { # number
    kill -9 "$(cat "$dir/n$1.pid")" 2>/dev/null || true
    flock "$dir/n$1.lock" true
}

inside() { nsenter --net="/run/netns/$tag" "$@"; }

on() { # name, command
    inside ssh -F "$dir/ssh_config" -o BatchMode=yes -o ConnectTimeout=10 "$@"
}

await() { # number
    local until=$((SECONDS + 900))
    while [ "$SECONDS" -lt "$until" ]; do
        ! on "n$1" true 2>/dev/null || return 0
        kill -0 "$(cat "$dir/n$1.pid")" 2>/dev/null && ! grep -q 'Kernel panic' "$dir/n$1.log" || break
        sleep 1
    done
    tail -n 20 "$dir/n$1.log" >&2
    fail "n$1 does not answer"
}

joined() {
    [ -e "$dir/tag" ] || fail "no machines are up in $dir"
    read -r tag count <"$dir/tag"
}

none_are_up() {
    [ ! -e "$dir/tag" ] || fail "machines are up in $dir already: take them down first"
}

up() { # how many, the last of which drives load; depbench, or nothing
    local i disk=/dev/ubdb
    ! is_emulated || disk=/dev/vdb
    count=$1
    tag=dbk$$
    echo "$tag $count" >"$dir/tag"
    mkdir -p "$dir/ram"
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
ServerAliveInterval 10
END
    cat >"$dir/inventory.yml" <<END
all:
  vars:
    ansible_user: root
    ansible_ssh_common_args: -F $dir/ssh_config
    depbench_node_module_packages: []
    depbench_program_source: ${2:+$(realpath "$2")}
  children:
    servers: {hosts: {'n[1:$((count - 1))]': {}}, vars: {depbench_disk_device: $disk}}
    clients: {hosts: {n$count: {}}}
END
    for i in $(seq 1 "$count"); do
        truncate -s 2G "$dir/n$i.data"
        mke2fs -q -t ext4 "$dir/n$i.data"
        printf 'Host n%s\n    HostName 10.79.0.%s\n' "$i" $((10 + i)) >>"$dir/ssh_config"
        inside ip tuntap add dev "tap$i" mode tap
        ip -n "$tag" link set "tap$i" master br0 up
        boot "$i"
    done
    for i in $(seq 1 "$count"); do await "$i"; done
}

down() {
    [ -e "$dir/tag" ] || return 0
    joined
    for i in $(seq 1 "$count"); do
        [ ! -e "$dir/n$i.pid" ] || crash "$i"
        rm -f "$dir/n$i".{pid,lock,img,cow,data,log}
    done
    ip netns del "$tag" 2>/dev/null || true
    rm -rf "$dir"/{tag,ram,cp,known_hosts,ssh_config,inventory.yml}
}
