#!/usr/bin/env bash
# Prints, one per line, everything on this machine that depbench could have left: run it before and after, and compare.
set -u
pgrep -x depbench | while read -r pid; do
    printf 'process %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-120)"
done
find /sys/fs/cgroup -maxdepth 4 -type d -name 'depbench*' 2>/dev/null | sed 's/^/cgroup /'
losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | grep depbench | sed 's/^/loop /'
grep -h depbench /sys/block/dm-*/dm/name 2>/dev/null | sed 's/^/device /'
awk '$1 ~ /^\/dev\/loop/ { print "swap " $1 }' /proc/swaps
ip -o link 2>/dev/null | grep -oE '\bdb-[^:@ ]*' | sed 's/^/link /'
ip netns list 2>/dev/null | sed 's/^/netns /'
grep depbench /proc/self/mounts | cut -d' ' -f1,2 | sed 's/^/mount /'
tc qdisc show 2>/dev/null | grep -i depbench | sed 's/^/qdisc /'
iptables-save 2>/dev/null | grep DEPBENCH | sed 's/^/iptables /'
find "${DEPBENCH_STATE_DIR:-/var/lib/depbench}" -type f ! -name gate 2>/dev/null | sed 's/^/state /'
find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'depbench*' 2>/dev/null | sed 's/^/file /'
exit 0
