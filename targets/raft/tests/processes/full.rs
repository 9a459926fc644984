//! Disks that are full: a real file system on a disk of its own, real processes.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::group::{Group, Options, pause};
use crate::{ask_leader, expect_all, write};

const DISK_BYTES: u64 = 24 << 20;
/// Nothing here takes nearly as long.
const ATTEMPTS: usize = 1200;

/// A file system on a small disk, for this thread and the processes it starts only: both are gone with them.
struct Small {
    place: PathBuf,
}

impl Drop for Small {
    fn drop(&mut self) {
        // So that the directory can be removed.
        let _gone = umount2(&self.place, MntFlags::MNT_DETACH);
    }
}

/// Makes the disk in `directory`.
fn mount_small(directory: &Path) -> Result<Small, String> {
    let (image, place) = (directory.join("disk"), directory.join("mounted"));
    fs::create_dir(&place).unwrap();
    let done = |output: std::io::Result<Output>| match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    let private = || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
    };
    private().map_err(|error| error.to_string())?;
    File::create(&image)
        .and_then(|file| file.set_len(DISK_BYTES))
        .unwrap();
    done(
        Command::new("mkfs.ext4")
            .args(["-q", "-m", "0"])
            .arg(&image)
            .output(),
    )?;
    done(
        Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &place])
            .output(),
    )?;
    Ok(Small { place })
}

/// Takes all the room there is; says how much that was.
fn take_all(path: &Path) -> usize {
    let mut file = File::create(path).unwrap();
    let mut taken = 0;
    for piece in [vec![1; 64 << 10], vec![1; 512]] {
        loop {
            match file.write(&piece) {
                Ok(count) => taken += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    break;
                }
            }
        }
    }
    file.sync_all().unwrap();
    taken
}

/// Writes from `key` on until that is refused; returns the first key that was.
fn write_until_refused(group: &Group, mut key: u32) -> u32 {
    let mut client = None;
    loop {
        let (name, value) = (format!("k{key}"), format!("v{key}"));
        match ask_leader(group, &mut client, ["SET", &name, &value]).as_str() {
            "OK" => key += 1,
            refusal => {
                assert!(refusal.starts_with("-MISCONF"), "{refusal}");
                return key;
            }
        }
    }
}

#[test]
fn a_group_whose_disk_is_full_refuses_writes_and_forgets_none() {
    let outside = tempfile::tempdir().unwrap();
    let small = match mount_small(outside.path()) {
        Ok(small) => small,
        Err(why) => {
            println!("skipped: mounting a small file system needs root and mkfs.ext4 ({why})");
            return;
        }
    };
    let directory = tempfile::tempdir_in(&small.place).unwrap();
    let other = small.place.join("somebody else's");
    let mut group = Group::start_in(directory, 3, Options::default());
    write(&group, 0..100);
    assert!(take_all(&other) > 1 << 20);
    let full = write_until_refused(&group, 100);
    expect_all(&group, 0..full);

    // Nobody forgets anything or gives up because the disk is full when it starts.
    for id in group.ids() {
        group.kill(id);
        group.start_replica(id);
        expect_all(&group, 0..full);
    }
    for id in group.ids() {
        group.kill(id);
    }
    for id in 0..3 {
        group.start_replica(id);
    }
    expect_all(&group, 0..full);

    fs::remove_file(other).unwrap();
    let mut client = None;
    let written = (0..ATTEMPTS).any(|_| {
        pause();
        ask_leader(&group, &mut client, ["SET", "after", "all"]) == "OK"
    });
    assert!(written, "there is room again");
    write(&group, full..full + 100);
    expect_all(&group, 0..full + 100);
}
