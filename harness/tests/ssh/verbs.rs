//! Looking into machines while a run holds them, and faults on demand there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::QUIET;
use crate::hosts::{Hosts, PROGRAM, processes, text, wait_until};

/// A time that no other process sleeps for.
const SLEEP: &str = "98765.4321";

/// A run that leaves its cluster up.
struct Kept(Option<Child>);

impl Kept {
    /// Waits until its first node can be looked into.
    fn start(hosts: &Hosts) -> Kept {
        let file = hosts.experiment("kept", QUIET);
        let file = file.to_str().unwrap();
        let run = hosts.start(&["run", "--keep", "--quiet", file, "--out", "out"]);
        let mut kept = Kept(Some(run));
        wait_until("the cluster is up", || {
            let run = kept.0.as_mut().unwrap();
            assert!(run.try_wait().unwrap().is_none(), "it ended early");
            hosts
                .depbench(&["exec", "h1", "--", "true"])
                .status
                .success()
        });
        kept
    }

    /// Interrupts it and waits for its end.
    fn end(mut self) -> Output {
        let run = self.0.take().unwrap();
        kill(Pid::from_raw(run.id() as i32), Signal::SIGINT).unwrap();
        run.wait_with_output().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(run) = &mut self.0 {
            let _ended_before = run.kill();
            let _ended = run.wait();
        }
    }
}

/// What a process prints from now on.
fn heard(child: &mut Child) -> Arc<Mutex<String>> {
    let heard = Arc::new(Mutex::new(String::new()));
    let (printed, hearing) = (child.stdout.take().unwrap(), Arc::clone(&heard));
    std::thread::spawn(move || {
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            hearing.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    heard
}

fn is_asleep() -> bool {
    processes()
        .iter()
        .any(|line| line.starts_with(&format!("sleep {SLEEP}")))
}

#[test]
fn a_cluster_is_looked_into() {
    let Some(hosts) = Hosts::up(2) else { return };
    let kept = Kept::start(&hosts);

    let line = "hostname; echo $DEPBENCH_NODE $DEPBENCH_ADDRESS; echo two >&2; exit 7";
    let said = hosts.depbench(&["exec", "h1", "--", "sh", "-c", line]);
    assert_eq!(said.status.code(), Some(7), "{}", text(&said));
    assert_eq!(String::from_utf8_lossy(&said.stdout), "h1\nh1 10.78.0.11\n");
    assert_eq!(String::from_utf8_lossy(&said.stderr), "two\n");

    // Several pieces, all of them, in order.
    let sum = |made: &str| hosts.run("/bin/sh", &["-c", &format!("{made} | cksum")]);
    let many = sum(&format!("{PROGRAM} exec h2 -- seq 1 50000"));
    assert_eq!(text(&many), text(&sum("seq 1 50000")));

    let killed = hosts.depbench(&["exec", "h1", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(137), "{}", text(&killed));
    for (node, program, code, expected) in [
        ("h1", "/no/such", 127, "cannot start `/no/such`"),
        ("h1", "a'; $(id)", 127, "cannot start `a'; $(id)`"),
        ("h9", "true", 4, "/h1"),
    ] {
        let failed = hosts.depbench(&["exec", node, "--", program]);
        assert_eq!(failed.status.code(), Some(code), "{}", text(&failed));
        assert!(text(&failed).contains(expected), "{}", text(&failed));
    }

    // A program ends with the one who wanted it.
    let mut wanted = hosts.start(&["exec", "h1", "--", "sleep", SLEEP]);
    wait_until("the program runs", is_asleep);
    wanted.kill().unwrap();
    wanted.wait().unwrap();
    wait_until("the program has ended", || !is_asleep());

    let logs = hosts.depbench(&["logs", "h1"]);
    assert!(logs.status.success(), "{}", text(&logs));
    assert!(text(&logs).contains(".err: two\n"), "{}", text(&logs));
    let unknown = hosts.depbench(&["logs", "h9"]);
    assert!(text(&unknown).contains("/h1"), "{}", text(&unknown));

    // Until they go down.
    let mut follower = hosts.start(&["logs", "h1", "--follow"]);
    let heard = heard(&mut follower);
    let marked = hosts.depbench(&["exec", "h1", "--", "echo", "the last word"]);
    assert!(marked.status.success(), "{}", text(&marked));
    wait_until("it is followed", || {
        heard.lock().unwrap().contains(".out: the last word\n")
    });
    let ended = kept.end();
    // Whether a trial without faults proves anything is another question.
    let code = ended.status.code();
    assert!(matches!(code, Some(0 | 2 | 130)), "{}", text(&ended));
    let followed = follower.wait_with_output().unwrap();
    assert!(followed.status.success(), "{}", text(&followed));
    let gone = hosts.depbench(&["exec", "h1", "--", "true"]);
    assert_eq!(gone.status.code(), Some(4), "{}", text(&gone));
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn a_machine_is_made_slow_on_demand() {
    let Some(hosts) = Hosts::up(2) else { return };
    let kept = Kept::start(&hosts);
    let fault = "process.pause=for=200ms,period=500ms";
    let mut said = String::new();
    wait_until("the server can be made slow", || {
        let done = hosts.depbench(&["inject", "--node", "h1", "--fault", fault, "--for", "3s"]);
        said = text(&done);
        // It may not have started yet; how much of it a busy machine lets through is another question.
        matches!(done.status.code(), Some(0 | 2))
    });
    assert!(
        said.contains("injected, for 3s") && said.contains("cleared"),
        "{said}"
    );
    let nowhere = hosts.depbench(&["inject", "--node", "h9", "--fault", fault]);
    assert!(text(&nowhere).contains("/h1"), "{}", text(&nowhere));
    let ended = kept.end();
    assert!(ended.status.code().is_some(), "{}", text(&ended));
    hosts.assert_clean();
}
