//! Replicas that are not dead, only slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::group::{Group, Options, pause};
use crate::{ask_leader, expect_all, write};

/// Longer than the machine keeps anybody from its CPU, so that only what the test does makes a leader be missed.
const PATIENT: Options = Options {
    election_timeout: Duration::from_secs(3),
    mitigation: false,
    snapshot_bytes: 1 << 20,
};

#[test]
fn a_starved_follower_does_not_stand_for_election() {
    let group = Group::start_with(3, PATIENT);
    let slow = group.follower();
    let stood = |group: &Group| {
        let info = group.connect(slow).and_then(|mut client| client.info());
        info.map(|info| {
            info.lines()
                .find(|line| line.starts_with("vote:"))
                .map(str::to_owned)
        })
    };
    let before = stood(&group).unwrap();
    // It runs for a twentieth of the time, for longer than it waits for a leader.
    for round in 0..70 {
        group.signal(slow, "STOP");
        thread::sleep(Duration::from_millis(95));
        group.signal(slow, "CONT");
        thread::sleep(Duration::from_millis(5));
        if round % 10 == 0 {
            write(&group, round..round + 3);
        }
    }
    expect_all(&group, 0..3);
    assert_eq!(stood(&group), Some(before), "it asks nobody for votes");
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over() {
    let mut group = Group::start_with(3, PATIENT);
    write(&group, 0..20);
    let old = group.leader();
    let before = pre_votes(&group);
    assert!(group.ask_to_stop(old).success());
    write(&group, 20..40);
    expect_all(&group, 0..40);
    let after = pre_votes(&group).into_iter().filter(|(id, _)| *id != old);
    let before = before.into_iter().filter(|(id, _)| *id != old);
    assert!(
        after.eq(before),
        "its heir stood for election because it was told to"
    );
}

/// What a replica's process occupies, in MiB.
fn resident(group: &Group, id: usize) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", group.process(id))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024
}

#[test]
fn a_stopped_follower_costs_its_leader_little_memory_and_catches_up() {
    let group = Group::start_with(
        3,
        Options {
            snapshot_bytes: 8 << 20,
            ..PATIENT
        },
    );
    write(&group, 0..1);
    let (leader, stopped) = (group.leader(), group.follower());
    group.signal(stopped, "STOP");
    let value = "x".repeat(16 << 10);
    let set = format!(
        "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${}\r\n{value}\r\n",
        value.len()
    );
    let pipeline = set.repeat(64).into_bytes();
    let mut client = group.connect(leader).unwrap();
    // 96 MiB, of which the follower gets nothing.
    for _ in 0..96 {
        client.send(&pipeline);
        for _ in 0..64 {
            assert_eq!(client.reply().unwrap(), "OK");
        }
    }
    let occupied = resident(&group, leader);
    println!("the leader occupies {occupied} MiB");
    assert!(
        occupied < 96,
        "{occupied} MiB: it keeps what the follower lacks"
    );
    group.signal(stopped, "CONT");
    let goal = field(&group, leader, "applied:");
    let reached = (0..2400).any(|_| {
        pause();
        field(&group, stopped, "applied:") >= goal
    });
    assert!(reached, "the follower does not catch up");
}

fn field(group: &Group, id: usize, name: &str) -> u64 {
    let info = group.connect(id).and_then(|mut client| client.info());
    let value = info.and_then(|info| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.parse().ok()
    });
    value.unwrap_or(0)
}

/// How often each replica found that it missed a leader.
fn pre_votes(group: &Group) -> Vec<(usize, Option<String>)> {
    let count = |id: &usize| {
        let info = group.connect(*id).unwrap().info().unwrap();
        let line = info.lines().find(|line| line.starts_with("pre-vote:"));
        (
            *id,
            line.map(|line| line.split_once("count=").unwrap().1.to_owned()),
        )
    };
    group.ids().iter().map(count).collect()
}

/// A control group with 5 % of a CPU, removed when it is dropped.
struct Starved(PathBuf);

impl Starved {
    fn begin(process: u32) -> Option<Self> {
        let name = format!("depfast-raft-test-{process}");
        let (v1, v2) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let limits: [(&str, &str); 2] = [
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "5000"),
        ];
        let (root, limits) = if v1.join("cgroup.procs").exists() {
            (v1, &limits[..])
        } else {
            (v2, &[("cpu.max", "5000 100000")][..])
        };
        let directory = root.join(name);
        fs::create_dir(&directory).ok()?;
        let this = Self(directory);
        for (file, text) in limits {
            fs::write(this.0.join(file), text).ok()?;
        }
        fs::write(this.0.join("cgroup.procs"), process.to_string()).ok()?;
        Some(this)
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        let parent = self.0.parent().unwrap().join("cgroup.procs");
        for _ in 0..400 {
            for process in fs::read_to_string(self.0.join("cgroup.procs"))
                .unwrap_or_default()
                .lines()
            {
                let _gone_perhaps = fs::write(&parent, process);
            }
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            pause();
        }
    }
}

#[test]
fn a_leader_at_five_per_cent_hands_over() {
    let options = Options {
        mitigation: true,
        ..PATIENT
    };
    let group = Group::start_with(3, options);
    write(&group, 0..10);
    let slow = group.leader();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let Some(_starved) = Starved::begin(group.process(slow)) else {
            println!("skipped: no control group can be made here");
            return;
        };
        let address = group.client_address(slow);
        scope.spawn(|| {
            // A leader that has nothing to do wants no CPU and does not notice.
            let pipeline = b"SET load value\r\n".repeat(200);
            while !over.load(Ordering::Relaxed) {
                let Some(mut client) = Client::connect(address) else {
                    continue;
                };
                client.send(&pipeline);
                for _ in 0..200 {
                    if client.reply().is_none() {
                        break;
                    }
                }
            }
        });
        let others: Vec<_> = group.ids().into_iter().filter(|id| *id != slow).collect();
        let handed_over = (0..2400).any(|_| {
            pause();
            others.iter().any(|id| {
                let info = group.connect(*id).and_then(|mut client| client.info());
                info.is_some_and(|info| info.contains("role:leader\r\n"))
            })
        });
        over.store(true, Ordering::Relaxed);
        assert!(handed_over, "{slow} leads on");
    });
    assert_eq!(ask_leader(&group, &mut None, ["GET", "k0"]), "v0");
}
