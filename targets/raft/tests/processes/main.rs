//! DepFast-Raft as it is run: three processes, real files, real sockets, kill -9.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the test is the world outside of the environment"
)]

mod chaos;
mod client;
mod full;
mod group;
mod idle;
mod slow;

use client::Client;
use group::{Group, become_replica_if_asked, pause};

/// Not a test of its own: the other tests start this executable again to be a replica.
#[test]
fn replica_process() {
    become_replica_if_asked();
}

/// Asks whoever leads, again if leadership changes meanwhile, as it may on a busy machine.
fn ask_leader<const N: usize>(
    group: &Group,
    client: &mut Option<Client>,
    command: [&str; N],
) -> String {
    for _ in 0..100 {
        let connected = client.get_or_insert_with(|| group.connect_to_leader());
        match connected.ask(command) {
            Some(answer)
                if !["-MOVED", "-CLUSTERDOWN", "-UNKNOWN"]
                    .iter()
                    .any(|kind| answer.starts_with(kind)) =>
            {
                return answer;
            }
            _ => *client = None,
        }
        pause();
    }
    panic!("no leader answers {command:?}");
}

fn write(group: &Group, keys: std::ops::Range<u32>) {
    let mut client = None;
    for key in keys {
        let (key, value) = (format!("k{key}"), format!("v{key}"));
        assert_eq!(ask_leader(group, &mut client, ["SET", &key, &value]), "OK");
    }
}

fn expect_all(group: &Group, keys: std::ops::Range<u32>) {
    let mut client = None;
    for key in keys {
        let (key, value) = (format!("k{key}"), format!("v{key}"));
        assert_eq!(ask_leader(group, &mut client, ["GET", &key]), value);
    }
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let mut group = Group::start(3);
    write(&group, 0..100);

    let old = group.leader();
    group.kill(old);
    expect_all(&group, 0..100);
    write(&group, 100..200);
    group.start_replica(old);

    for id in group.ids() {
        group.kill(id);
    }
    for id in 0..3 {
        group.start_replica(id);
    }
    expect_all(&group, 0..200);

    let follower = group.follower();
    assert!(
        group.ask_to_stop(follower).success(),
        "a replica that is asked to stop stops well"
    );
}

#[test]
fn clients_get_what_redis_would_give() {
    let group = Group::start(3);
    let leader = group.leader();
    let mut client = group.connect(leader).unwrap();

    // Answers come in the order of the requests, though some need a quorum and some do not.
    client.send(
        b"SET a 1\r\nPING\r\nGET a\r\nDEL a b\r\nECHO hello\r\nGET a\r\nEXISTS a a\r\nSELECT 0\r\nNONSENSE\r\n",
    );
    let expected = [
        "OK",
        "PONG",
        "1",
        "1",
        "hello",
        "nil",
        "0",
        "OK",
        "-ERR unknown command 'NONSENSE'",
    ];
    for reply in expected {
        assert_eq!(client.reply().unwrap(), reply);
    }
    assert_eq!(
        client.ask(["SET", "a"]).unwrap(),
        "-ERR wrong number of arguments for 'set' command"
    );
    assert_eq!(client.ask(["CONFIG", "GET", "save"]).unwrap(), "[save ]");
    assert!(client.ask(["HELLO", "4"]).unwrap().starts_with("-NOPROTO"));
    let long = "x".repeat(70_000);
    assert!(
        client
            .ask(["SET", &long, "v"])
            .unwrap()
            .contains("longer than the limit of 65536")
    );

    // The slot of "a" is 15495.
    let moved = format!("-MOVED 15495 {}", group.client_address(leader));
    let mut elsewhere = group.connect(group.follower()).unwrap();
    assert_eq!(elsewhere.ask(["SET", "a", "1"]).unwrap(), moved);

    // What is no request ends its connection, and only that.
    let mut broken = group.connect(leader).unwrap();
    broken.send(b"*1\r\n:3\r\n");
    assert!(broken.reply().unwrap().starts_with("-ERR Protocol error"));
    assert_eq!(broken.reply(), None);
    assert_eq!(client.ask(["PING"]).unwrap(), "PONG");
    assert_eq!(client.ask(["QUIT"]).unwrap(), "OK");
    assert_eq!(client.reply(), None);
}

#[test]
fn a_leader_without_a_majority_says_so() {
    let mut group = Group::start(3);
    write(&group, 0..10);
    let leader = group.leader();
    for id in group.ids() {
        if id != leader {
            group.kill(id);
        }
    }
    let mut client = group.connect(leader).unwrap();
    let answer = client.ask(["SET", "k0", "lost?"]).unwrap();
    assert!(answer.starts_with("-UNKNOWN"), "{answer}");
    let answer = client.ask(["GET", "k0"]).unwrap();
    assert!(answer.starts_with("-CLUSTERDOWN"), "{answer}");
    pause();
    for id in 0..3 {
        if id != leader {
            group.start_replica(id);
        }
    }
    expect_all(&group, 1..10);
}
