//! Somebody removes the server's groups underneath a fault: that is told, and the undo is complete all the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use common::{Rig, has_disks, in_a_mount_namespace, kind, shell, wait_for};
use depbench_faults::Fault;
use node::cgroup::{Child, Hierarchies};

/// Moves what is in the groups of the rig's server to where the hierarchies begin, and removes them.
fn remove_underneath(rig: &Rig) {
    let server = rig.servers[0].id().pid;
    let groups = fs::read_to_string(format!("/proc/{server}/cgroup")).unwrap();
    let name = groups
        .lines()
        .find_map(|line| line.split('/').find(|part| part.starts_with("depbench-")));
    let name = name.unwrap().to_owned();
    for base in Hierarchies::detect().bases() {
        let child = base.join(&name).join("server");
        let inner = child.join("helpers");
        for dir in [inner, child].iter().filter(|dir| dir.exists()) {
            wait_for("the group being removed", || is_removed(dir, base));
        }
    }
}

fn is_removed(dir: &Path, base: &Path) -> bool {
    let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    for member in members.lines() {
        // It may end in this moment.
        let _ended = fs::write(base.join("cgroup.procs"), member);
    }
    fs::remove_dir(dir).is_ok()
}

#[test]
fn a_group_removed_underneath_a_limit_is_told_and_everything_is_undone() {
    if !has_disks("a group that is removed") {
        return;
    }
    for fault in [
        "{memory.limit: {bytes: 50MB}}",
        "{cpu.quota: {share: 5%}}",
        "{disk.throughput: {rate: 128KB/s}}",
    ] {
        in_a_mount_namespace(|| {
            let mut rig = Rig::with_disk(1.0);
            rig.serve(shell("while :; do sleep 0.01; done"));
            let standing = rig.standing();
            let mut fault = Fault::prepare(&kind(fault), &rig.context()).unwrap();
            let mut other =
                Fault::prepare(&kind("{cpu.contention: {weight: 2x}}"), &rig.context()).unwrap();
            fault.inject().unwrap();
            fault.probe().unwrap();
            remove_underneath(&rig);
            let told = fault.probe().unwrap_err().to_string();
            assert!(told.contains("/server is gone: somebody else"), "{told}");
            let refused = other.inject().unwrap_err().to_string();
            assert!(refused.contains("/server is gone"), "{refused}");
            fault.clear().unwrap();
            assert_eq!(rig.standing(), standing);
            let group = rig.group.clone().unwrap();
            assert!(group.check(Child::Server).is_err());
            // The rest of the node's groups goes as ever.
            group.remove().unwrap();
            assert!(group.check(Child::Contention).is_err());
        });
    }
}
