//! The programs that come with Redis.

use std::process::Command;
use std::time::Duration;

use crate::group::{Group, Options, pause};

/// What a program prints; nothing if it is not installed.
fn run(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some(String::from_utf8_lossy(&text).into_owned())
        }
        Err(error) => {
            eprintln!("skipped: {program} cannot be run: {error}");
            None
        }
    }
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[test]
fn redis_cli_follows_to_the_leader() {
    let group = Group::start(3);
    let follower = group.follower();
    let port = port(group.client_address(follower));
    let Some(answer) = run("redis-cli", &["-c", "-p", port, "SET", "k", "v"]) else {
        return;
    };
    assert!(answer.contains("OK"), "{answer}");
    for protocol in ["-2", "-3"] {
        let answer = run(
            "redis-cli",
            &["-c", protocol, "-p", port, "MGET", "k", "none"],
        )
        .unwrap();
        assert!(answer.contains('v'), "{answer}");
    }
    let without = run("redis-cli", &["-p", port, "GET", "k"]).unwrap();
    assert!(without.starts_with("MOVED 7629 127.0.0.1:"), "{without}");

    let address = format!("127.0.0.1:{port}");
    let report = run("redis-cli", &["--cluster", "check", &address]).unwrap();
    assert!(report.contains("All 16384 slots covered"), "{report}");
}

#[test]
fn without_a_leader_the_cluster_is_down_but_still_there() {
    let mut group = Group::start(3);
    let leader = group.leader();
    let [one, other] = [(leader + 1) % 3, (leader + 2) % 3];
    group.kill(leader);
    group.kill(one);
    let port = port(group.client_address(other)).to_owned();
    let ask = |words: &[&str]| run("redis-cli", &[&["-p", &port], words].concat());
    let is_down = || ask(&["SET", "k", "v"]).map(|answer| answer.contains("CLUSTERDOWN"));
    // Until it notices, it names the leader it knew.
    while let Some(false) = is_down() {
        pause();
    }
    let Some(slots) = ask(&["CLUSTER", "SLOTS"]) else {
        return;
    };
    assert!(slots.starts_with("0\n16383\n127.0.0.1\n"), "{slots}");
    assert_eq!(slots.lines().nth(3), Some(port.as_str()), "{slots}");
    let info = ask(&["CLUSTER", "INFO"]).unwrap();
    assert!(info.contains("cluster_state:fail"), "{info}");
}

#[test]
fn redis_benchmark_runs_against_the_cluster() {
    // redis-benchmark takes a change of the leader for an error, and on a busy machine leaders change easily.
    let options = Options {
        election_timeout: Duration::from_secs(3),
        ..Options::default()
    };
    let group = Group::start_with(3, options);
    let port = port(group.client_address(group.follower()));
    let args = [
        "--cluster",
        "-p",
        port,
        "-t",
        "set,get,incr,mset",
        "-n",
        "1000",
        "-c",
        "10",
        "-r",
        "100",
        "--csv",
    ];
    let Some(report) = run("redis-benchmark", &args) else {
        return;
    };
    for test in ["\"SET\"", "\"GET\"", "\"INCR\"", "\"MSET (10 keys)\""] {
        assert!(report.contains(test), "{test} is missing:\n{report}");
    }
    assert!(!report.contains("rror"), "{report}");
    let mut client = group.connect_to_leader();
    let keys: u32 = client.ask(["DBSIZE"]).unwrap().parse().unwrap();
    assert!(keys > 100, "{keys} keys were written");
}
