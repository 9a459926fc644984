//! The layer over a server's data: what goes through it, and what it delays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{
    Rig, has_cgroups, in_a_mount_namespace, is_root, kind, probe_until, shell, value, wait_for,
};
use depbench_faults::{Effect, Fault, FaultContext, Latency, LatencyLayer, Probe, effect, residue};
use node::facts::Facts;

/// Says why a test is skipped where there is no FUSE.
fn has_fuse(test: &str) -> bool {
    let fuse = Facts::gather().unwrap().fuse;
    let has = is_root(test) && fuse.is_yes();
    if !has {
        println!("{test} skipped: FUSE: {fuse}");
    }
    has
}

/// A directory of ours with a layer over it.
fn layered(rig: &Rig) -> (LatencyLayer, PathBuf) {
    let dir = rig.disk_dir().join("depbench-data");
    fs::create_dir(&dir).unwrap();
    let context = rig.context();
    let layer = LatencyLayer::mount(
        &dir,
        context.cgroup.as_ref(),
        &context.journal,
        &context.helper,
    )
    .unwrap();
    (layer, dir)
}

fn context(rig: &Rig, layer: &LatencyLayer) -> FaultContext {
    FaultContext {
        latency: Some(Latency::Layer(layer.clone())),
        ..rig.context()
    }
}

fn is_mounted(dir: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    mounts.contains(dir.to_str().unwrap())
}

#[test]
fn files_are_as_they_would_be_without_it() {
    if !has_fuse("files through the layer") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = Rig::bare();
        let (layer, dir) = layered(&rig);
        assert!(is_mounted(&dir));

        // Written, read back, grown, cut, found to be of the right size.
        let path = dir.join("log");
        let mut log = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o640)
            .open(&path)
            .unwrap();
        let block: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
        log.write_all(&block).unwrap();
        log.write_all(b"tail").unwrap();
        log.sync_data().unwrap();
        log.sync_all().unwrap();
        log.seek(SeekFrom::Start(0)).unwrap();
        let mut back = Vec::new();
        log.read_to_end(&mut back).unwrap();
        assert!(back[..300_000] == block && &back[300_000..] == b"tail");
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.len(), meta.mode() & 0o7777), (300_004, 0o640));
        log.set_len(10).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 10);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);

        // Renamed over another while open, and unlinked while open.
        fs::write(dir.join("other"), "old").unwrap();
        fs::rename(&path, dir.join("other")).unwrap();
        assert_eq!(fs::read(dir.join("other")).unwrap(), block[..10]);
        fs::remove_file(dir.join("other")).unwrap();
        let mut ten = [0; 10];
        log.read_exact_at(&mut ten, 0).unwrap();
        assert_eq!(ten, block[..10]);
        drop(log);

        // Preallocated, written to in the middle, synced with its directory.
        let wal = File::create(dir.join("wal")).unwrap();
        nix::fcntl::fallocate(&wal, nix::fcntl::FallocateFlags::empty(), 0, 1 << 20).unwrap();
        wal.write_all_at(b"middle", 1000).unwrap();
        wal.sync_data().unwrap();
        File::open(&dir).unwrap().sync_all().unwrap();
        assert_eq!(wal.metadata().unwrap().len(), 1 << 20);

        // A file that must not be there, a link, a directory that must be empty.
        let error = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(dir.join("wal"));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        symlink("wal", dir.join("link")).unwrap();
        assert_eq!(fs::read_link(dir.join("link")).unwrap(), Path::new("wal"));
        assert_eq!(fs::metadata(dir.join("link")).unwrap().len(), 1 << 20);
        fs::hard_link(dir.join("wal"), dir.join("twin")).unwrap();
        assert_eq!(fs::metadata(dir.join("twin")).unwrap().nlink(), 2);
        fs::create_dir_all(dir.join("deep/er")).unwrap();
        for number in 0..300 {
            fs::write(dir.join("deep/er").join(number.to_string()), "x").unwrap();
        }
        assert_eq!(fs::read_dir(dir.join("deep/er")).unwrap().count(), 300);
        let error = fs::remove_dir(dir.join("deep")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
        fs::remove_dir_all(dir.join("deep")).unwrap();

        layer.unmount().unwrap();
        assert!(!is_mounted(&dir));
        // All of it is below.
        let mut names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["link", "twin", "wal"]);
        let mut middle = [0; 6];
        File::open(dir.join("twin"))
            .unwrap()
            .read_exact_at(&mut middle, 1000)
            .unwrap();
        assert_eq!(&middle, b"middle");
        assert_eq!(rig.standing(), 0);
    });
}

#[test]
fn a_sync_is_delayed_while_the_fault_is_in() {
    if !has_fuse("disk.latency") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::bare();
        let (layer, dir) = layered(&rig);
        rig.serve(shell(&format!(
            "while :; do dd if=/dev/zero of={} bs=4096 count=4 conv=notrunc,fsync 2>/dev/null; done",
            dir.join("wal").display()
        )));
        let latency = kind("{disk.latency: {delay: 30ms}}");
        let mut fault = Fault::prepare(&latency, &context(&rig, &layer)).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let before = fault.probe().unwrap();
        let injected = fault.inject().unwrap();
        println!("{}", injected.detail);
        let during = probe_until(&mut fault, "a delay", |during| {
            value(during, Probe::DelayedOperations) > 0.0
        });
        println!("disk.latency: before {before:?} during {during:?}");
        assert!(value(&during, Probe::SyncedWrite) >= 30.0);
        assert_eq!(effect(&latency, &before, &during), Effect::Bit);
        fault.clear().unwrap();
        // What was under way may still be counted; what comes later is not.
        wait_for("an end of the delays", || {
            let mut again = Fault::prepare(&latency, &context(&rig, &layer)).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            residue(&latency, &before, &again.probe().unwrap()).is_none()
        });
        rig.servers.clear();
        drop(fault);
        layer.unmount().unwrap();
    });
}

#[test]
fn reads_and_writes_are_delayed_only_if_all_are() {
    if !has_fuse("disk.latency on all") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::bare();
        let (layer, dir) = layered(&rig);
        rig.serve(common::idle());
        let file = File::create(dir.join("data")).unwrap();
        let mut injected = Vec::new();
        for text in [
            "{disk.latency: {delay: 20ms}}",
            "{disk.latency: {delay: 20ms, on: all}}",
        ] {
            let mut fault = Fault::prepare(&kind(text), &context(&rig, &layer)).unwrap();
            fault.inject().unwrap();
            let start = Instant::now();
            file.write_all_at(b"x", 0).unwrap();
            let took = start.elapsed();
            let count = value(&fault.probe().unwrap(), Probe::DelayedOperations);
            injected.push((took, count));
        }
        // A lower bound of time holds on the busiest machine; the count tells that the first was not delayed.
        assert_eq!(injected[0].1, 0.0, "{injected:?}");
        assert!(injected[1].0 >= Duration::from_millis(20), "{injected:?}");
        assert!(injected[1].1 >= 1.0, "{injected:?}");
        drop(file);
        layer.unmount().unwrap();
    });
}

#[test]
fn what_goes_through_the_layer_is_charged_to_the_server() {
    if !has_fuse("charged through the layer") || !common::has_disks("charged through the layer") {
        return;
    }
    in_a_mount_namespace(|| {
        let mut rig = Rig::with_disk(1.0);
        let (layer, dir) = layered(&rig);
        rig.serve(shell(&format!(
            "while :; do dd if=/dev/zero of={} bs=4096 count=16 conv=notrunc oflag=dsync 2>/dev/null; done",
            dir.join("wal").display()
        )));
        let limit = kind("{disk.throughput: {rate: 64KB/s}}");
        let mut fault = Fault::prepare(&limit, &context(&rig, &layer)).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let before = fault.probe().unwrap();
        fault.inject().unwrap();
        // What was saved up before is spent at once.
        let during = probe_until(&mut fault, "the limit", |during| {
            (1.0..64e3 * 1.25).contains(&value(during, Probe::DiskWriteRate))
                && effect(&limit, &before, during) == Effect::Bit
        });
        println!("limit through the layer: before {before:?} during {during:?}");
        drop(fault);
        rig.servers.clear();
        layer.unmount().unwrap();
    });
}

#[test]
fn a_layer_whose_program_was_killed_comes_off() {
    if !has_fuse("killed layer") || !has_cgroups("killed layer") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = Rig::bare();
        let (layer, dir) = layered(&rig);
        let tree = node::procfs::ProcessTree::under(std::process::id() as i32).unwrap();
        let layers = tree.processes.iter().filter(|sample| {
            let line =
                fs::read(format!("/proc/{}/cmdline", sample.process.pid)).unwrap_or_default();
            let cwd = String::from_utf8_lossy(&line).into_owned();
            cwd.contains("latency-layer") && holds(sample.process.pid, &dir)
        });
        let mine: Vec<_> = layers.collect();
        assert_eq!(mine.len(), 1);
        mine[0]
            .process
            .signal(nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        layer.unmount().unwrap();
        assert!(!is_mounted(&dir));
        assert_eq!(rig.standing(), 0);
    });
}

/// Whether a process lives in a mount namespace that has `dir` mounted.
fn holds(pid: i32, dir: &Path) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts.contains(dir.to_str().unwrap())
}

#[test]
fn without_the_layer_the_fault_is_refused() {
    let mut rig = Rig::bare();
    rig.serve(common::idle());
    if !has_fuse("no layer") {
        return;
    }
    let error = match Fault::prepare(&kind("{disk.latency: {delay: 30ms}}"), &rig.context()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("there is no layer"),
    };
    assert!(error.contains("must lie over the servers' data"), "{error}");
    let unmountable = LatencyLayer::mount(
        Path::new("/nowhere/depbench-x"),
        None,
        &rig.journal,
        &common::helper(),
    );
    let error = unmountable.unwrap_err().to_string();
    assert!(error.contains("cannot open the directory"), "{error}");
    assert_eq!(rig.standing(), 0);
}

/// The median time of a block written and synced, over many.
fn median_sync(dir: &Path) -> Duration {
    let file = File::create(dir.join("cost")).unwrap();
    file.set_len(1 << 20).unwrap();
    file.sync_all().unwrap();
    let mut times: Vec<Duration> = (0..500)
        .map(|number| {
            let start = Instant::now();
            file.write_all_at(&[7; 4096], number % 256 * 4096).unwrap();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement: prints what the layer costs at zero delay"]
fn what_the_layer_costs_at_zero_delay() {
    if !common::has_disks("cost of the layer") {
        return;
    }
    in_a_mount_namespace(|| {
        let rig = Rig::with_disk(1.0);
        let (layer, dir) = layered(&rig);
        for round in 1..=5 {
            // Side by side, so that neighbours of this machine disturb both alike.
            let plain = median_sync(&rig.disk_dir());
            let through = median_sync(&dir);
            let ratio = through.as_secs_f64() / plain.as_secs_f64();
            println!(
                "round {round}: 4 KiB and fdatasync: {plain:?} without, {through:?} through the layer, ratio {ratio:.2}"
            );
        }
        layer.unmount().unwrap();
    });
}
