//! Disk faults on real disks: each node a loop device of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::Command;

use common::{
    Rig, has_disks, in_a_mount_namespace, kind, probe_until, shell, until_bit, until_gone, value,
    wait_for,
};
use depbench_faults::{Fault, Probe, Reading, effect};
use node::blockdev::WholeDisk;
use node::cgroup::{Child, Mode, Scope};

/// A server that writes so many bytes and syncs, over and over, into one place.
fn syncing(rig: &Rig, block: usize) -> Command {
    let file = rig.disk_dir().join("wal");
    shell(&format!(
        "while :; do dd if=/dev/zero of={} bs={block} count=64 conv=notrunc oflag=dsync 2>/dev/null; done",
        file.display()
    ))
}

/// A node with a disk of its own, on which its server writes.
fn rig_with_a_busy_disk() -> Rig {
    let mut rig = Rig::with_disk(1.0);
    let server = syncing(&rig, 4096);
    rig.serve(server);
    wait_until_written(&rig, 1 << 20);
    rig
}

/// Waits until so many bytes were charged to the server's group.
fn wait_until_written(rig: &Rig, bytes: u64) {
    let group = rig.group.as_ref().unwrap();
    let server = Scope::Child(Child::Server);
    let disk = WholeDisk::under(&rig.disk_dir()).unwrap().number;
    group.count_disk(server, disk).unwrap();
    let written = || group.disk_stat(server, disk).unwrap().write_bytes;
    let start = written();
    wait_for("writing", || written() >= start + bytes);
}

/// Before, during and after, judged to have bitten and to be gone, with the journal as it was.
fn course(rig: &Rig, text: &str, meanwhile: impl Fn()) -> [Vec<Reading>; 3] {
    let kind = kind(text);
    let standing = rig.standing();
    let mut fault = Fault::prepare(&kind, &rig.context()).unwrap();
    wait_until_written(rig, 64 << 10);
    let before = fault.probe().unwrap();
    let injected = fault.inject().unwrap();
    println!("{text}: {}: {}", injected.backend, injected.detail);
    meanwhile();
    let during = until_bit(&mut fault, &before);
    fault.clear().unwrap();
    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    wait_until_written(rig, 64 << 10);
    let after = until_gone(&mut fault, &before);
    println!("  before {before:?}\n  during {during:?}\n  after {after:?}");
    [before, during, after]
}

#[test]
fn a_limit_on_bytes_is_kept_and_lifted() {
    if !has_disks("disk.throughput") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = rig_with_a_busy_disk();
        let [_, during, _] = course(&rig, "{disk.throughput: {rate: 128KB/s}}", || {
            wait_until_written(&rig, 384 << 10);
        });
        // More is what a limit of the kernel never lets through, however busy the machine is.
        assert!(value(&during, Probe::DiskWriteRate) < 128e3 * 1.25);
    });
}

#[test]
fn a_limit_on_operations_is_kept_and_lifted() {
    if !has_disks("disk.iops") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = rig_with_a_busy_disk();
        let [_, during, _] = course(&rig, "{disk.iops: {rate: 40/s}}", || {
            wait_until_written(&rig, 480 << 10);
        });
        assert!(value(&during, Probe::DiskOperations) < 40.0 * 1.25);
    });
}

#[test]
fn a_limit_never_reached_is_without_effect() {
    if !has_disks("disk limit never reached") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::with_disk(1.0);
        rig.serve(common::idle());
        let kind = kind("{disk.throughput: {rate: 50MB/s}}");
        let mut fault = Fault::prepare(&kind, &rig.context()).unwrap();
        let before = fault.probe().unwrap();
        fault.inject().unwrap();
        let during = fault.probe().unwrap();
        // What the neighbours of this machine do to its disk is not to decide.
        let calm: Vec<_> = during
            .iter()
            .copied()
            .map(|reading| match reading.probe {
                Probe::SyncedWrite => Probe::SyncedWrite.reading(0.1),
                _ => reading,
            })
            .collect();
        let effect = effect(&kind, &before, &calm);
        assert!(
            effect.objection().unwrap().contains("never reached"),
            "{effect}"
        );
    });
}

#[test]
fn in_version_1_buffered_writes_are_told_to_escape() {
    if !has_disks("buffered writes") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::with_disk(1.0);
        let file = rig.disk_dir().join("data");
        rig.serve(shell(&format!(
            "while :; do head -c 65536 /dev/zero; sleep 0.02; done | exec dd of={} bs=64k iflag=fullblock count=1400 2>/dev/null",
            file.display()
        )));
        let context = rig.context();
        if context.facts.cgroups.mode() != Mode::V1 {
            println!("buffered writes skipped: version 2 limits them too");
            return;
        }
        let kind = kind("{disk.throughput: {rate: 1MB/s}}");
        let mut fault = Fault::prepare(&kind, &context).unwrap();
        fault.inject().unwrap();
        let during = probe_until(&mut fault, "a write past the limit", |during| {
            value(during, Probe::UnseenWrites) > 64e3
        });
        println!("buffered writes: {during:?}");
    });
}

#[test]
fn a_disk_that_is_not_there_is_refused_before_anything_is_changed() {
    if !has_disks("no disk") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    rig.serve(common::idle());
    let standing = rig.standing();
    for (disk, message) in [
        (Some("/proc"), "/proc lies on no single disk"),
        (Some("/nowhere"), "cannot look at /nowhere"),
        (None, "the node's disk is not known"),
    ] {
        let context = depbench_faults::FaultContext {
            disk: disk.map(Into::into),
            ..rig.context()
        };
        for text in [
            "{disk.throughput: {rate: 128KB/s}}",
            "{disk.contention: {}}",
        ] {
            let error = match Fault::prepare(&kind(text), &context) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{text} on {disk:?}"),
            };
            assert!(error.contains(message), "{error}");
        }
    }
    assert_eq!(rig.standing(), standing);
}

#[test]
fn a_cgroup_removed_underneath_is_told_and_nothing_is_left() {
    if !has_disks("cgroup removed") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::with_disk(1.0);
        rig.serve(common::idle());
        let context = rig.context();
        let mut fault =
            Fault::prepare(&kind("{disk.throughput: {rate: 128KB/s}}"), &context).unwrap();
        rig.group.as_ref().unwrap().remove().unwrap();
        let standing = rig.standing();
        let error = fault.inject().unwrap_err().to_string();
        assert!(
            error.contains("/server is gone: somebody else removed"),
            "{error}"
        );
        drop(fault);
        assert_eq!(rig.standing(), standing);
    });
}

#[test]
fn a_writer_beside_the_server_slows_its_disk_and_ends() {
    if !has_disks("disk.contention") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = rig_with_a_busy_disk();
        for text in [
            "{disk.contention: {writers: 2}}",
            "{disk.contention: {block: 64KiB, sync: fsync}}",
        ] {
            let kind = kind(text);
            let standing = rig.standing();
            let mut fault = Fault::prepare(&kind, &rig.context()).unwrap();
            let before = fault.probe().unwrap();
            fault.inject().unwrap();
            let group = rig.group.as_ref().unwrap();
            assert_eq!(group.members(Child::Contention).unwrap().len(), 1);
            let during = probe_until(&mut fault, "writing beside the server", |during| {
                value(during, Probe::ContentionWriteRate) > 0.0
            });
            println!("{text}: before {before:?} during {during:?}");
            fault.clear().unwrap();
            assert_eq!(rig.standing(), standing);
            assert!(group.members(Child::Contention).unwrap().is_empty());
            until_gone(&mut fault, &before);
        }
    });
}

#[test]
fn a_writer_without_room_is_refused() {
    if !has_disks("no room") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::with_disk(1.0);
        rig.serve(common::idle());
        let standing = rig.standing();
        let kind = kind("{disk.contention: {writers: 64, block: 16MiB}}");
        let mut fault = Fault::prepare(&kind, &rig.context()).unwrap();
        let error = fault.inject().unwrap_err().to_string();
        assert!(
            error.contains("does not hold 64 blocks of 16MiB"),
            "{error}"
        );
        assert_eq!(rig.standing(), standing);
    });
}
