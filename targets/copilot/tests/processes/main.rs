//! DepFast-Copilot as it is run: processes, real files, real sockets, kill -9 and SIGSTOP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the test is the world outside of the environment"
)]

mod chaos;
mod client;
mod group;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use depfast_copilot::Durability;
use history::{Budget, Verdict, check};

use client::work;
use group::{Group, become_replica_if_asked};

/// Five times what is aimed at: a busy machine makes every wake-up dearer.
const MOST: f64 = 0.1;

/// Not a test of its own: the other tests start this executable again to be a replica.
#[test]
fn replica_process() {
    become_replica_if_asked();
}

/// Has six clients work while `meanwhile` runs, and checks what they saw.
fn under_load(group: &mut Group, meanwhile: impl FnOnce(&mut Group)) {
    let (over, start, addresses) = (AtomicBool::new(false), Instant::now(), group.addresses());
    let mut operations = thread::scope(|scope| {
        let is_over = || over.load(Ordering::Relaxed);
        let worker = |number| {
            let addresses = &addresses;
            scope.spawn(move || work(number, addresses, start, is_over))
        };
        let workers: Vec<_> = (0..6).map(worker).collect();
        thread::sleep(Duration::from_millis(300));
        meanwhile(group);
        thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        let done = workers.into_iter().map(|worker| worker.join().unwrap());
        done.flatten().collect::<Vec<_>>()
    });
    operations.sort_by_key(|operation| operation.invoked);
    println!("{} operations", operations.len());
    assert!(operations.len() > 20, "the group served");
    if let Verdict::Violated(violation) = check(&operations, Budget::default()) {
        panic!("not linearizable: {violation:?}");
    }
}

#[test]
fn each_role_may_be_killed_and_come_back_under_load() {
    let mut group = Group::start(3, Durability::Fsync);
    under_load(&mut group, |group| {
        for role in ["pilot", "copilot", "follower"] {
            let victim = group.holder(role, &[0, 1, 2]);
            assert_eq!(group.insist(victim, &["SET", role, "kept"]), "OK");
            group.kill(victim);
            let others: Vec<_> = (0..3).filter(|id| *id != victim).collect();
            for held in ["pilot", "copilot"] {
                group.holder(held, &others);
            }
            assert_eq!(group.insist(others[0], &["GET", role]), "kept");
            group.start_replica(victim);
            assert_eq!(group.insist(victim, &["GET", role]), "kept");
        }
    });
}

#[test]
fn acknowledged_writes_survive_the_end_of_all() {
    let mut group = Group::start(3, Durability::Fsync);
    for key in 0..50 {
        assert_eq!(
            group.insist(key % 3, &["SET", &format!("k{key}"), "v"]),
            "OK"
        );
    }
    for id in 0..3 {
        group.kill(id);
    }
    // One does not come back.
    for id in 1..3 {
        group.start_replica(id);
    }
    for key in 0..50 {
        assert_eq!(group.insist(1, &["GET", &format!("k{key}")]), "v");
    }
}

/// The reference implementation lost nearly all acknowledged writes here.
#[test]
fn writes_are_readable_through_a_new_pilot_in_memory() {
    let mut group = Group::start(3, Durability::Memory);
    let mut client = group.connect(0).unwrap();
    for key in 0..600 {
        assert_eq!(client.ask(&["SET", &format!("k{key}"), "v"]).unwrap(), "OK");
    }
    group.kill(0);
    let pilot = group.holder("pilot", &[1, 2]);
    let mut client = group.connect(pilot).unwrap();
    for key in 0..600 {
        assert_eq!(client.ask(&["GET", &format!("k{key}")]).unwrap(), "v");
    }
}

/// The reference implementation stops for good here.
#[test]
fn the_group_goes_on_while_a_pilot_pauses_and_after() {
    let mut group = Group::start(3, Durability::Memory);
    under_load(&mut group, |group| {
        group.signal(0, "STOP");
        let resume = Instant::now() + Duration::from_secs(8);
        group.holder("pilot", &[1, 2]);
        let mut written = 0;
        while Instant::now() < resume {
            let text = written.to_string();
            assert_eq!(group.insist(1, &["SET", "meanwhile", &text]), "OK");
            assert_eq!(group.insist(2, &["GET", "meanwhile"]), text);
            written += 1;
        }
        println!("{written} writes while the pilot was paused");
        group.signal(0, "CONT");
        // It learns that it was replaced, and what it missed.
        group.holder("follower", &[0]);
        assert_eq!(group.insist(0, &["SET", "back", "1"]), "OK");
        assert_eq!(
            group.insist(0, &["GET", "meanwhile"]),
            (written - 1).to_string()
        );
    });
    assert_eq!(group.insist(1, &["GET", "back"]), "1");
}

/// Lets a replica run for a moment now and then only, and has another one serve meanwhile. Each time it wakes it has heard
/// nobody for longer than it takes to suspect them.
fn starve(group: &Group, victim: usize, served_by: usize, written: &mut u64) {
    for _ in 0..4 {
        group.signal(victim, "STOP");
        let end = Instant::now() + Duration::from_millis(1200);
        while Instant::now() < end {
            *written += 1;
            let text = written.to_string();
            assert_eq!(group.insist(served_by, &["SET", "meanwhile", &text]), "OK");
            assert_eq!(group.insist(served_by, &["GET", "meanwhile"]), text);
        }
        group.signal(victim, "CONT");
        thread::sleep(Duration::from_millis(80));
    }
}

/// The reference implementation dies when a starved follower suspects a healthy pilot.
#[test]
fn a_starved_follower_leaves_the_group_serving() {
    let mut group = Group::start(3, Durability::Memory);
    let mut written = 0;
    under_load(&mut group, |group| {
        starve(group, 2, 0, &mut written);
        println!("{written} writes while the follower suspects everybody");
        // Nobody hears the pilot for a while, so the follower does get the role.
        group.signal(0, "STOP");
        group.holder("pilot", &[2]);
        group.signal(0, "CONT");
        group.holder("follower", &[0]);
        starve(group, 2, 1, &mut written);
        println!("{written} writes, the later ones with a starved pilot");
    });
    for id in 0..3 {
        assert_eq!(group.insist(id, &["GET", "meanwhile"]), written.to_string());
    }
}

#[test]
fn a_repeated_command_gets_its_first_answer_from_anyone() {
    let group = Group::start(3, Durability::Memory);
    let session = |id| {
        let mut client = group.connect(id).unwrap();
        assert!(!client.ask(&["DF.SESSION", "7"]).unwrap().starts_with('-'));
        client
    };
    let mut clients = [0, 1, 2].map(session);
    for client in &mut clients {
        assert_eq!(client.ask(&["DF.DO", "1", "INCR", "n"]).unwrap(), "1");
    }
    assert_eq!(clients[2].ask(&["DF.DO", "2", "INCR", "n"]).unwrap(), "2");
    assert_eq!(clients[0].ask(&["DF.DO", "1", "INCR", "n"]).unwrap(), "1");
}

/// The reference implementation keeps half a core busy on each idle server.
#[test]
fn idle_replicas_hardly_use_the_cpu() {
    let group = Group::start(3, Durability::Memory);
    assert_eq!(group.insist(2, &["SET", "k", "v"]), "OK");
    // What the writes left to do is over by then.
    thread::sleep(Duration::from_secs(1));
    let used = || -> Duration { (0..3).map(|id| group.cpu_time(id)).sum() };
    let (start, before) = (Instant::now(), used());
    thread::sleep(Duration::from_secs(5));
    let share = (used() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!("three idle replicas use {:.2} % of a core", share * 100.0);
    assert!(share < MOST, "three idle replicas use {share} of a core");
}
