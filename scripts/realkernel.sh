#!/usr/bin/env bash
# Machines with Debian's own kernel: netem, cgroup v2, dm-delay, loadable modules, a boot of their own. For function,
# never for speed. They are User Mode Linux: programs compute as fast as here, a system call costs 50 times as much.
# Needs root, 3 GB of disk, 640 MB of memory for each machine, and mmdebstrap, e2fsprogs, iproute2, openssh-client,
# ansible-core, a C compiler; with `qemu` behind DIR also qemu-system-x86.
#
#   scripts/realkernel.sh build DIR      makes the kernel and the root file system; takes some minutes, once
#   scripts/realkernel.sh build DIR qemu [RELEASE]   the same for QEMU and the stock kernel of this Debian or of another
#                                        (trixie): emulated, a fiftieth as fast
#   scripts/realkernel.sh up DIR 4 [PROGRAM]   starts machines n1 to n4; DIR gets keys, an ssh_config and an
#                                        inventory.yml, by which the playbook installs that depbench
#   scripts/realkernel.sh in DIR CMD     runs a command where they can be reached
#   scripts/realkernel.sh crash DIR 2    cuts the power of n2; `boot` starts it again, with its disk
#   scripts/realkernel.sh down DIR       removes the machines; `build` need not be repeated
#
#   scripts/realkernel.sh suite DIR PROGRAM   builds, starts four, and goes through all that depbench does on them: ends
#                                        with an error at the first thing that is not as it should be
#   scripts/realkernel.sh short DIR PROGRAM   the same with fewer faults; on QEMU, two machines
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
here=$(dirname "$(realpath "$0")")
verb=${1:?build, up, in, crash, boot, down, suite or short}
dir=$(realpath -m "${2:?a directory}")
shift 2

# Ansible's ssh masters go by the names of the machines, which are the same in each DIR.
export ANSIBLE_SSH_CONTROL_PATH_DIR=$dir/cp

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# shellcheck source=scripts/realkernel/machine.sh
. "$here/realkernel/machine.sh"
# shellcheck source=scripts/realkernel/suite.sh
. "$here/realkernel/suite.sh"

case $verb in
build) build "${1:-uml}" "${2:-}" ;;
up)
    none_are_up
    trap '[ $? = 0 ] || down' EXIT
    trap 'exit 130' INT TERM HUP
    up "${1:?how many}" "${2:-}"
    ;;
in)
    joined
    exec nsenter --net="/run/netns/$tag" "$@"
    ;;
crash)
    joined
    crash "${1:?which}"
    ;;
boot)
    joined
    boot "${1:?which}"
    await "$1"
    ;;
down) down ;;
suite | short)
    program=$(realpath "${1:?a depbench}")
    [ -x "$program" ] || fail "$1 is not a program"
    none_are_up
    running=
    trap '[ -z "$running" ] || kill "$running"; down' EXIT
    trap 'exit 130' INT TERM HUP
    "$verb"
    ;;
*)
    echo "$verb: expected build, up, in, crash, boot, down, suite or short" >&2
    exit 2
    ;;
esac
