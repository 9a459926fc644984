//! A disk of a node's own, on the real kernel. Needs root and loop devices; skipped with a reason otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use node::facts::Facts;
use node::loopdisk::{DiskSpec, LoopDisk};
use node::tool::Program;
use vocab::units::Bytes;

/// Runs `test` on a thread with a mount namespace of its own, which ends with it.
fn in_a_mount_namespace(test: impl FnOnce() + Send) {
    let facts = Facts::gather().unwrap();
    if !facts.is_root()
        || !facts.loop_devices.is_yes()
        || facts.program(Program::MkfsExt4).is_none()
    {
        println!(
            "skipped: needs root, loop devices ({}) and mkfs.ext4",
            facts.loop_devices
        );
        return;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none: Option<&str> = None;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            test();
        });
        thread.join().unwrap();
    });
}

fn spec(dir: &tempfile::TempDir) -> DiskSpec {
    let mount_point = dir.path().join("disk");
    fs::create_dir(&mount_point).unwrap();
    DiskSpec {
        size: DiskSpec::LEAST_SIZE,
        image_dir: dir.path().to_owned(),
        mount_point,
    }
}

/// Whether a loop device still has a file behind it; it is cleared a moment after its last user is gone.
fn is_cleared(device: &str) -> bool {
    let backing = format!("/sys/block/{device}/loop/backing_file");
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::exists(&backing).unwrap() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn a_disk_holds_files_and_leaves_nothing() {
    in_a_mount_namespace(|| {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec(&dir);
        let disk = LoopDisk::create(&spec).unwrap();
        let device = disk
            .device()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let dio = fs::read_to_string(format!("/sys/block/{device}/loop/dio")).unwrap();
        assert_eq!(dio.trim(), "1", "direct I/O");
        let number = fs::read_to_string(format!("/sys/block/{device}/dev")).unwrap();
        assert_eq!(number.trim(), disk.number().to_string());
        let mut file = fs::File::create(disk.mount_point().join("wal")).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        drop(file);
        disk.unmount().unwrap();
        assert!(is_cleared(&device));
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["disk"], "no image");
    });
}

#[test]
fn a_disk_goes_with_its_mount_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = String::new();
    in_a_mount_namespace(|| {
        let disk = LoopDisk::create(&spec(&dir)).unwrap();
        device = disk
            .device()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        fs::write(disk.mount_point().join("file"), "x").unwrap();
    });
    if !device.is_empty() {
        assert!(is_cleared(&device));
        assert_eq!(fs::read_dir(dir.path().join("disk")).unwrap().count(), 0);
    }
}

#[test]
fn what_cannot_be_is_said_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut too_small = spec(&dir);
    too_small.size = Bytes(1 << 20);
    let error = LoopDisk::create(&too_small).unwrap_err().to_string();
    assert!(
        error.contains("1MiB is too small: at least 64MiB"),
        "{error}"
    );
    if Program::MkfsExt4.find().is_none() {
        println!("skipped: no mkfs.ext4");
        return;
    }
    let too_large = DiskSpec {
        size: Bytes(1 << 50),
        ..too_small
    };
    let error = LoopDisk::create(&too_large).unwrap_err().to_string();
    assert!(
        error.contains("are free, and 512MiB are to stay so"),
        "{error}"
    );
}
