//! What an experiment names of a machine: its interface, its device, and a disk to be formatted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use results::RunDir;

use super::QUIET;
use crate::hosts::{Hosts, text, wait_until};

/// An experiment whose first host has these fields besides.
fn experiment(hosts: &Hosts, name: &str, fields: &str) -> String {
    let file = hosts.experiment(name, QUIET);
    let plain = std::fs::read_to_string(&file).unwrap();
    let with = plain.replace("roles: [server]}", &format!("roles: [server], {fields}}}"));
    assert_ne!(with, plain);
    std::fs::write(&file, with).unwrap();
    file.to_str().unwrap().to_owned()
}

fn assert_said(output: &Output, code: i32, parts: &[&str]) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_not_there_is_told() {
    let Some(hosts) = Hosts::up(2) else { return };
    for (fields, part) in [
        (
            "interface: eth7",
            "there is no interface `eth7`, only eth0, eth1, lo",
        ),
        (
            "device: /dev/null",
            "/dev/null is no block device, there are: ",
        ),
        (
            "prepare: {mkfs: {device: /dev/null}}",
            "/dev/null is not formatted: it is no block device",
        ),
    ] {
        let file = experiment(&hosts, "absent", fields);
        assert_said(&hosts.depbench(&["check", &file]), 4, &["h1", part]);
        let run = ["run", &file, "--out", "out", "--yes-format", "/dev/null"];
        let run = if fields.starts_with("prepare") {
            &run[..]
        } else {
            &run[..4]
        };
        assert_said(&hosts.depbench(run), 4, &["h1", part]);
    }
    let file = experiment(&hosts, "present", "interface: eth0");
    assert_said(&hosts.depbench(&["check", &file]), 0, &[]);
    hosts.assert_clean();
    hosts.assert_no_masters();
}

/// A disk of this machine, which the hosts share.
struct SpareDisk {
    path: PathBuf,
}

impl SpareDisk {
    fn make(hosts: &Hosts) -> Option<SpareDisk> {
        let image = hosts.file("disk", "");
        File::options()
            .write(true)
            .open(&image)
            .unwrap()
            .set_len(128 << 20)
            .unwrap();
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&image)
            .output()
            .unwrap();
        if !made.status.success() {
            println!("skipped: no loop device: {}", text(&made));
            return None;
        }
        let path = String::from_utf8(made.stdout).unwrap().trim().into();
        Some(SpareDisk { path })
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// What `blkid` knows of it.
    fn holds(&self) -> String {
        let told = Command::new("blkid")
            .arg("-p")
            .arg(&self.path)
            .output()
            .unwrap();
        text(&told)
    }

    /// Whether anybody has it mounted, in whatever namespace; asked without opening it, which would be in the way of the
    /// one who is about to mount it.
    fn is_mounted(&self) -> bool {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut mounts = processes
            .filter_map(|process| std::fs::read_to_string(process.path().join("mountinfo")).ok());
        mounts.any(|mounts| mounts.contains(&format!(" {} ", self.name())))
    }

    fn does(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program)
            .args(arguments)
            .arg(&self.path)
            .output()
            .unwrap();
        assert!(done.status.success(), "{program}: {}", text(&done));
    }
}

impl Drop for SpareDisk {
    fn drop(&mut self) {
        let _detached = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
    }
}

#[test]
fn a_disk_is_formatted_only_if_that_is_confirmed_and_nothing_is_lost() {
    let Some(hosts) = Hosts::up(2) else { return };
    let Some(disk) = SpareDisk::make(&hosts) else {
        return;
    };
    let name = disk.name();
    let file = experiment(
        &hosts,
        "disk",
        &format!("prepare: {{mkfs: {{device: {name}}}}}"),
    );
    let full = format!("h1:{name}");
    let confirmed = |out: &'static str| ["run", &file, "--out", out, "--yes-format", &full];

    // Not named, or another one named.
    let confirm = format!("--yes-format h1:{name}");
    assert_said(
        &hosts.depbench(&["run", &file, "--out", "no"]),
        3,
        &["h1", &confirm],
    );
    let other = hosts.depbench(&["run", &file, "--out", "no", "--yes-format", "/dev/loop999"]);
    assert_said(
        &other,
        3,
        &[&confirm, "/dev/loop999: the experiment does not ask"],
    );
    assert_said(&hosts.depbench(&["check", &file]), 0, &["h1", &confirm]);
    assert_eq!(disk.holds(), "");

    // Somebody's.
    for (program, arguments) in [
        ("mkfs.ext4", &["-q", "-L", "data"][..]),
        ("mkswap", &["-L", "depbench"][..]),
    ] {
        disk.does(program, arguments);
        let before = disk.holds();
        for verb in [&["check", &file][..], &confirmed("no")[..]] {
            assert_said(
                &hosts.depbench(verb),
                4,
                &["h1", "it holds ", "wipefs --all", name],
            );
        }
        assert_eq!(disk.holds(), before);
        disk.does("wipefs", &["--all"]);
    }

    // Nobody's.
    let ended = hosts.depbench(&confirmed("yes"));
    assert!(
        matches!(ended.status.code(), Some(0 | 2)),
        "{}",
        text(&ended)
    );
    assert!(
        disk.holds().contains("LABEL=\"depbench\""),
        "{}",
        disk.holds()
    );
    assert!(!disk.is_mounted(), "it is still mounted");
    let run = RunDir::open(&Path::new(&file).with_file_name("yes")).unwrap();
    let nodes = &run.environment().nodes;
    let h1 = nodes
        .iter()
        .find(|node| node.node.as_str() == "h1")
        .unwrap();
    assert_eq!(h1.disk, format!("{name}, formatted for the run: ext4"));

    // In use, even if it was made here.
    let mounted = hosts.dir().join("mounted");
    std::fs::create_dir(&mounted).unwrap();
    let mount = Command::new("mount")
        .arg(name)
        .arg(&mounted)
        .status()
        .unwrap();
    assert!(mount.success());
    let refused = hosts.depbench(&confirmed("no"));
    assert!(
        Command::new("umount")
            .arg(&mounted)
            .status()
            .unwrap()
            .success()
    );
    assert_said(&refused, 4, &["h1", "it is in use"]);

    // Made here and free: made anew, and let go when the controller is killed.
    let mut controller = hosts.start(&confirmed("killed"));
    wait_until("the disk is mounted", || {
        assert!(controller.try_wait().unwrap().is_none(), "it ended early");
        disk.is_mounted()
    });
    controller.kill().unwrap();
    controller.wait().unwrap();
    hosts.assert_clean();
    wait_until("the disk is let go", || !disk.is_mounted());
    hosts.assert_no_masters();
}

/// A file system of several layers does not tell its disk: it must be named, and is what the fault limits.
#[test]
fn a_fault_is_on_the_disk_that_is_named() {
    let Some(hosts) = Hosts::up(2) else { return };
    let Some(disk) = SpareDisk::make(&hosts) else {
        return;
    };
    let name = disk.name();
    disk.does("mkfs.ext4", &["-q"]);
    hosts.on(
        1,
        &format!(
            "mkdir /run/disk && mount {name} /run/disk && mkdir /run/disk/up /run/disk/work && mount -t overlay overlay -o \
             lowerdir=/var/lib/depbench,upperdir=/run/disk/up,workdir=/run/disk/work /var/lib/depbench"
        ),
    );
    let fault = "faults: [{name: slow, type: {disk.throughput: {rate: 1MiB/s}}, on: {node: h1, allow_majority: true}}]\n";
    let quiet = QUIET.replace("baseline: 2s", "baseline: 2s, fault: 3s");
    let file = hosts.experiment("layers", &format!("{quiet}{fault}"));
    let plain = std::fs::read_to_string(&file).unwrap();
    let events = |fields: &str, out: &str| {
        let with = format!("roles: [server], {fields}}}");
        std::fs::write(&file, plain.replace("roles: [server]}", &with)).unwrap();
        let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", out]);
        let events = file
            .with_file_name(out)
            .join("trials/depfast-raft/1/events.csv");
        let events = std::fs::read_to_string(events).unwrap_or_default();
        (text(&ended), events)
    };
    let (said, limited) = events(&format!("device: {name}"), "with");
    let short = name.trim_start_matches("/dev/");
    assert!(
        limited.contains("server limited to 1048576 bytes"),
        "{said}{limited}"
    );
    assert!(limited.contains(short), "{limited}");
    let (said, limited) = events("data_address: 10.78.0.11", "without");
    assert!(!limited.contains("server limited to"), "{said}{limited}");
    assert!(said.contains("h1") && said.contains("device"), "{said}");
    hosts.assert_clean();
    hosts.on(1, "umount /var/lib/depbench /run/disk");
    hosts.assert_no_masters();
}
