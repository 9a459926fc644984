#!/usr/bin/env bash
# Passes all tests, installing what they need first. Needs Rust and a C compiler; as root on Debian or Ubuntu it
# installs the rest, otherwise it names what is missing and the tests that need it say that they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A packages=(
    [etcd]=etcd-server [redis-server]=redis-server [redis-benchmark]=redis-tools
    [ip]=iproute2 [iptables]=iptables [nft]=nftables [mkfs.ext4]=e2fsprogs [setpriv]=util-linux [cc]=gcc
    [sshd]=openssh-server [ssh]=openssh-client
    [sudo]=sudo [doas]=opendoas [script]=bsdutils [ansible-playbook]=ansible-core
)
missing=()
for program in "${!packages[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${missing[*]}"
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            # The packages' own services would compete with the tests for ports and cores.
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod +x /usr/sbin/policy-rc.d
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
    else
        echo "not installed, tests that need them are skipped: ${missing[*]}" >&2
    fi
fi

cargo test --workspace --locked --no-fail-fast "$@"
