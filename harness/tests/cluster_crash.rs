//! Whoever is killed, and however many at once: within the lease nothing of ours is left.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ground, calls, leftovers, needs_root, node, small, spawn};
use depbench::agent::wire::FaultOrder;
use depbench::cluster::spec::ModeSpec;
use depbench::cluster::{Cluster, Node, NodeEvent};
use faults::FaultType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vocab::units::Span;

/// Short, so that tests are.
const LEASE: Span = Span::seconds(6);

/// A busy machine may be late.
const GRACE: Duration = Duration::from_secs(120);

fn quota(cluster: &Cluster) -> FaultOrder {
    let s1 = cluster.node(&node("s1")).unwrap();
    let kind: FaultType = serde_json::from_str(r#"{"cpu.quota": {"share": "10%"}}"#).unwrap();
    let fault = "slow".parse().unwrap();
    FaultOrder {
        fault,
        kind,
        victim: node("s1"),
        address: s1.address(),
        flow: faults::Flow::default(),
    }
}

/// Starts a busy server on `s1` and makes it slow.
async fn make_slow(cluster: &Cluster, lease: Span) {
    let s1 = cluster.node(&node("s1")).unwrap();
    s1.spawn(spawn(
        "busy",
        &["sh", "-c", "sleep 1000 & while :; do :; done"],
    ))
    .await
    .unwrap();
    let injected = s1.inject(quota(cluster), lease).await.unwrap();
    println!("{}", injected.detail);
    assert!(injected.effective >= injected.commanded);
}

#[tokio::test]
#[ignore = "a controller of its own: holds a cluster with a fault until it is killed"]
async fn hold_a_cluster() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let ground = Ground::existing(variable("GROUND").as_ref(), &variable("RUN"));
    let mode = serde_json::from_str(&variable("MODE")).unwrap();
    let cluster = ground.up_with_lease(small(2, 1, mode), LEASE).await;
    make_slow(&cluster, Span::seconds(600)).await;
    let agents: Vec<i32> = cluster.nodes().filter_map(Node::agent_pid).collect();
    println!("HOLDING {}", serde_json::to_string(&agents).unwrap());
    std::future::pending::<()>().await;
}

/// A controller in a process of its own, and the cluster that it holds.
struct Held {
    controller: Child,
    /// Kept open: it would fail on a broken pipe.
    _output: BufReader<ChildStdout>,
    agents: Vec<i32>,
    guardians: Vec<i32>,
    namespaces: Vec<String>,
}

impl Held {
    fn start(ground: &Ground, mode: ModeSpec) -> Held {
        let me = std::env::current_exe().unwrap();
        let mut controller = Command::new(me)
            .args([
                "--exact",
                "hold_a_cluster",
                "--ignored",
                "--nocapture",
                "--quiet",
            ])
            .env("GROUND", ground.path())
            .env("RUN", ground.run().as_str())
            .env("MODE", serde_json::to_string(&mode).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(controller.stdout.take().unwrap());
        let told = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                println!("  {line}");
                line.strip_prefix("HOLDING ").map(str::to_owned)
            });
        let agents: Vec<i32> = serde_json::from_str(&told.expect("the cluster came up")).unwrap();
        let outside = leftovers::namespaces_of(std::process::id() as i32);
        let namespaces = agents.iter().flat_map(|pid| leftovers::namespaces_of(*pid));
        let namespaces = namespaces.filter(|name| !outside.contains(name)).collect();
        let guardians = agents.iter().map(|pid| parent(*pid)).collect();
        Held {
            controller,
            _output: output,
            agents,
            guardians,
            namespaces,
        }
    }

    fn controller(&self) -> i32 {
        self.controller.id() as i32
    }

    /// Waits until every trace is gone.
    fn assert_gone(mut self, ground: &Ground) {
        self.controller.wait().unwrap();
        ground.assert_clean_within(LEASE.duration() + GRACE);
        assert_empty(&self.namespaces);
    }
}

/// A process that is being killed may be seen a moment longer.
fn assert_empty(namespaces: &[String]) {
    let deadline = Instant::now() + GRACE;
    loop {
        let inside = leftovers::processes_in(namespaces);
        if inside.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still there: {inside:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn send(signal: Signal, pids: &[i32]) {
    for pid in pids {
        kill(Pid::from_raw(*pid), signal).unwrap();
    }
}

/// Kills all of these before any of them can do anything about it, and waits until they are dead.
fn kill_at_once(pids: &[i32]) {
    send(Signal::SIGSTOP, pids);
    send(Signal::SIGKILL, pids);
    let deadline = Instant::now() + GRACE;
    while pids.iter().any(|pid| !leftovers::is_dead(*pid)) {
        assert!(Instant::now() < deadline, "{pids:?} do not die");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn modes() -> Vec<ModeSpec> {
    let mut modes = vec![ModeSpec::User, ModeSpec::Plain];
    if needs_root() {
        modes.insert(0, ModeSpec::Root);
    }
    modes
}

#[test]
fn the_controller_is_killed() {
    for mode in modes() {
        let ground = Ground::new("controller");
        let held = Held::start(&ground, mode);
        assert!(
            !ground.leftovers().is_empty(),
            "the test sees what is there"
        );
        send(Signal::SIGKILL, &[held.controller()]);
        held.assert_gone(&ground);
    }
}

#[test]
fn the_controller_falls_silent() {
    for mode in modes() {
        let ground = Ground::new("silent");
        let held = Held::start(&ground, mode);
        send(Signal::SIGSTOP, &[held.controller()]);
        ground.assert_clean_within(LEASE.duration() + GRACE);
        send(Signal::SIGKILL, &[held.controller()]);
        held.assert_gone(&ground);
    }
}

#[test]
fn controller_and_agents_are_killed_at_once() {
    for mode in modes() {
        let ground = Ground::new("both");
        let held = Held::start(&ground, mode);
        let mut doomed = held.agents.clone();
        doomed.push(held.controller());
        kill_at_once(&doomed);
        held.assert_gone(&ground);
    }
}

#[test]
fn controller_and_guardians_are_killed_at_once() {
    for mode in modes() {
        let ground = Ground::new("guards");
        let held = Held::start(&ground, mode);
        let mut doomed = held.guardians.clone();
        doomed.push(held.controller());
        kill_at_once(&doomed);
        held.assert_gone(&ground);
    }
}

#[test]
fn all_three_are_killed_at_once_and_heal_restores_while_a_live_run_goes_on() {
    for mode in modes() {
        let ground = Ground::new("all");
        let neighbour = ground.neighbour("live");
        let dead = Held::start(&ground, mode);
        let live = Held::start(&neighbour, mode);
        kill_at_once(&[&dead.agents[..], &dead.guardians, &[dead.controller()]].concat());
        let mut controller = dead.controller;
        controller.wait().unwrap();
        assert!(!ground.leftovers().is_empty(), "somebody has to heal");

        assert_empty(&dead.namespaces);
        let report = node::journal::heal(&ground.state().journal()).unwrap();
        println!("{report}");
        assert!(report.is_complete(), "{report}");
        assert_eq!(ground.leftovers(), Default::default());
        assert!(
            live.agents.iter().all(|pid| alive(*pid)),
            "a live run is not touched"
        );
        assert!(!neighbour.leftovers().is_empty());
        send(Signal::SIGKILL, &[live.controller()]);
        live.assert_gone(&neighbour);
    }
}

fn alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

#[tokio::test]
async fn an_agent_is_killed_and_its_node_rebuilt() {
    for mode in modes() {
        let ground = Ground::new("agent");
        let mut cluster = ground.up_with_lease(small(2, 1, mode), LEASE).await;
        make_slow(&cluster, Span::seconds(600)).await;
        let mut events = cluster.events();
        let s1 = cluster.node(&node("s1")).unwrap().clone();
        let waiting = s1
            .spawn(spawn("sleeper", &["sleep", "1000"]))
            .await
            .unwrap();
        send(Signal::SIGKILL, &[s1.agent_pid().unwrap()]);
        let reason = tokio::time::timeout(GRACE, s1.until_lost()).await.unwrap();
        println!("lost: {reason}");
        let event = events.recv().await.unwrap();
        assert!(
            matches!(event.event, NodeEvent::AgentLost { .. }),
            "{event:?}"
        );
        assert!(waiting.wait().await.is_err());
        assert!(
            s1.facts()
                .await
                .unwrap_err()
                .to_string()
                .contains("lost its agent")
        );

        cluster
            .rebuild(&node("s1"), std::future::pending())
            .await
            .unwrap();
        assert_eq!(cluster.servers().count(), 2);
        let s1 = cluster.node(&node("s1")).unwrap();
        assert_eq!(s1.lost(), None);
        assert!(s1.list_dir(&s1.data()).await.unwrap().is_empty());
        let c1 = cluster.node(&node("c1")).unwrap();
        calls::assert_reaches(c1, s1).await;
        cluster.down().await.unwrap();
        assert_eq!(ground.leftovers(), Default::default());
    }
}

#[tokio::test]
async fn the_hub_is_killed_and_all_nodes_rebuilt() {
    let ground = Ground::new("hub");
    let mut cluster = ground
        .up_with_lease(small(2, 1, ModeSpec::Auto), LEASE)
        .await;
    let hub = cluster.hub().expect("namespaces work here").clone();
    send(Signal::SIGKILL, &[hub.agent_pid().unwrap()]);
    hub.until_lost().await;
    cluster
        .rebuild(&node("hub"), std::future::pending())
        .await
        .unwrap();
    assert_eq!(cluster.nodes().count(), 4);
    assert!(cluster.nodes().all(|node| node.lost().is_none()));
    cluster.down().await.unwrap();
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn an_agent_that_hangs_is_lost() {
    let ground = Ground::new("hang");
    let mut cluster = ground
        .up_with_lease(small(1, 1, ModeSpec::Auto), LEASE)
        .await;
    let s1 = cluster.node(&node("s1")).unwrap().clone();
    send(Signal::SIGSTOP, &[s1.agent_pid().unwrap()]);
    let reason = tokio::time::timeout(LEASE.duration() + GRACE, s1.until_lost())
        .await
        .unwrap();
    assert!(reason.contains("silent"), "{reason}");
    cluster
        .rebuild(&node("s1"), std::future::pending())
        .await
        .unwrap();
    cluster.down().await.unwrap();
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn a_fault_whose_time_is_over_is_cleared_by_the_agent() {
    for mode in modes() {
        let ground = Ground::new("over");
        let cluster = ground.up(small(1, 1, mode)).await;
        let mut events = cluster.events();
        make_slow(&cluster, Span::millis(300)).await;
        let event = tokio::time::timeout(GRACE, events.recv())
            .await
            .unwrap()
            .unwrap();
        let NodeEvent::FaultCleared {
            fault,
            victim,
            problem,
            ..
        } = event.event
        else {
            panic!("{event:?}")
        };
        assert_eq!(
            (fault.as_str(), victim, problem),
            ("slow", node("s1"), None)
        );
        cluster.down().await.unwrap();
        assert_eq!(ground.leftovers(), Default::default());
    }
}

#[tokio::test]
async fn a_dropped_cluster_goes_away_by_itself() {
    let ground = Ground::new("drop");
    let cluster = ground.up(small(1, 1, ModeSpec::Auto)).await;
    make_slow(&cluster, Span::seconds(600)).await;
    drop(cluster);
    // The agents' standard inputs close as soon as the tasks that hold them see it.
    let deadline = Instant::now() + GRACE;
    while !ground.leftovers().is_empty() {
        assert!(Instant::now() < deadline, "{:#?}", ground.leftovers());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn what_is_left_is_found() {
    let ground = Ground::new("find");
    let run = ground.run().as_str();
    let mut child = Command::new("sleep")
        .arg("60")
        .env("DEPBENCH_RUN", run)
        .spawn()
        .unwrap();
    // Between fork and exec it has the environment of this test.
    let deadline = Instant::now() + GRACE;
    while ground.leftovers().is_empty() {
        assert!(Instant::now() < deadline, "a stray process is not found");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ground.leftovers(), Default::default());
}
