//! Faults through agents: injected at their site, felt by probes, cleared.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::time::{Duration, Instant};

use ::node::cgroup::Mode;
use common::{Ground, needs_root, node as name, small, spawn};
use depbench::agent::wire::{ExitCause, FaultOrder, Layer};
use depbench::cluster::spec::{ClusterSpec, ModeSpec};
use depbench::cluster::{Cluster, Node, Settings};
use faults::spec::DelayedBy;
use faults::{Availability, FaultType, LatencyWish, Reading, Site, available, effect, residue};
use results::ProbeMoment;
use vocab::units::Span;

const FAULTS: [&str; 9] = [
    r#"{"cpu.quota": {"share": "10%"}}"#,
    r#"{"cpu.contention": {"weight": "15x"}}"#,
    r#"{"disk.throughput": {"rate": "128KB/s"}}"#,
    r#"{"memory.contention": {"bytes": "64MiB"}}"#,
    r#"{"net.delay": {"delay": "40ms"}}"#,
    r#"{"net.loss": {"share": "30%"}}"#,
    r#"{"net.partition": {}}"#,
    r#"{"process.pause": {}}"#,
    r#"{"process.kill": {}}"#,
];

/// Injects, probes and clears one fault on `s1`; says whether it could be had.
async fn bites(cluster: &Cluster, text: &str) -> bool {
    let kind: FaultType = serde_json::from_str(text).unwrap();
    let s1 = cluster.node(&name("s1")).unwrap();
    let facts = s1.facts().await.unwrap();
    if let Availability::No { reason, .. } = available(&kind, &facts, cluster.wiring()) {
        println!("skipped: {kind}: {reason}");
        return false;
    }
    let site = match kind.site(&facts, cluster.wiring()) {
        Site::Node => Some(s1),
        Site::Hub => cluster.hub(),
    };
    let Some(site) = site else {
        println!("skipped: {kind}: no hub");
        return false;
    };
    let busy = match kind.name().starts_with("disk.") {
        true => {
            "while :; do dd if=/dev/zero of=wal bs=4096 count=64 conv=notrunc oflag=dsync 2>/dev/null; done"
        }
        false => "while :; do :; done",
    };
    let server = s1.spawn(spawn("busy", &["sh", "-c", busy])).await.unwrap();
    let fault = "slow".parse().unwrap();
    let order = FaultOrder {
        fault,
        kind: kind.clone(),
        victim: name("s1"),
        address: s1.address(),
        flow: faults::Flow::default(),
    };
    let before = site
        .probe(order.clone(), ProbeMoment::Before)
        .await
        .unwrap();
    let injected = site.inject(order.clone(), Span::seconds(60)).await.unwrap();
    println!("{kind} by {}: {before:?}", injected.detail);
    let during = |readings: &[Reading]| {
        let effect = effect(&kind, &before, readings);
        effect.objection().map(str::to_owned)
    };
    probe_until(site, &order, ProbeMoment::During, during).await;
    site.clear(order.clone()).await.unwrap();
    let after = |readings: &[Reading]| residue(&kind, &before, readings);
    probe_until(site, &order, ProbeMoment::After, after).await;
    server
        .signal(nix::sys::signal::Signal::SIGKILL)
        .await
        .unwrap();
    server.wait().await.unwrap();
    true
}

/// Probes until nothing is to be objected to; on a busy machine that may take a while.
async fn probe_until(
    site: &Node,
    order: &FaultOrder,
    moment: ProbeMoment,
    objection: impl Fn(&[Reading]) -> Option<String>,
) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let readings = site.probe(order.clone(), moment).await.unwrap();
        let Some(objection) = objection(&readings) else {
            return;
        };
        println!("not yet: {objection}: {readings:?}");
        assert!(Instant::now() < deadline, "{}: {objection}", order.kind);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn all_bite(mode: ModeSpec, least: usize) {
    let ground = Ground::new("bite");
    let cluster = ground.up(small(1, 1, mode)).await;
    let mut bit = 0;
    for text in FAULTS {
        bit += usize::from(bites(&cluster, text).await);
    }
    assert!(bit >= least, "only {bit} faults could be had");
    cluster.down().await.unwrap();
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn with_root() {
    if needs_root() {
        all_bite(ModeSpec::Root, 4).await;
    }
}

#[tokio::test]
async fn in_a_user_namespace() {
    all_bite(ModeSpec::User, 3).await;
}

#[tokio::test]
async fn the_disk_is_late_under_a_layer() {
    for mode in [ModeSpec::Root, ModeSpec::User] {
        if mode == ModeSpec::Root && !needs_root() {
            continue;
        }
        let ground = Ground::new("layer");
        let settings = Settings {
            layer: Layer::Latency(LatencyWish {
                by: DelayedBy::Auto,
                shortest: Span::millis(20),
                longest: Span::millis(20),
            }),
            ..ground.settings(Span::seconds(15))
        };
        let spec = ClusterSpec::Local(small(1, 1, mode));
        let cluster = Cluster::up(&spec, settings, |_| {}).await.unwrap();
        let s1 = cluster.node(&name("s1")).unwrap();
        s1.put_file(&s1.data().join("old"), b"x", 0o600)
            .await
            .unwrap();
        s1.wipe().await.unwrap();
        assert_eq!(s1.list_dir(&s1.data()).await.unwrap(), []);
        bites(&cluster, r#"{"disk.latency": {"delay": "20ms"}}"#).await;
        cluster.down().await.unwrap();
        assert_eq!(ground.leftovers(), Default::default());
    }
}

#[tokio::test]
async fn as_plain_processes() {
    all_bite(ModeSpec::Plain, 2).await;
}

#[tokio::test]
async fn an_out_of_memory_kill_is_told_as_such() {
    if !needs_root() {
        return;
    }
    let ground = Ground::new("oom");
    let cluster = ground.up(small(1, 1, ModeSpec::Root)).await;
    let s1 = cluster.node(&name("s1")).unwrap();
    let kind: FaultType =
        serde_json::from_str(r#"{"memory.limit": {"bytes": "20MB", "swap": "none"}}"#).unwrap();
    let facts = s1.facts().await.unwrap();
    if facts.cgroups.mode() != Mode::V1 {
        println!("skipped: a server that grows past its limit is slowed here, not killed");
    } else {
        // Grows without end once its limit is there.
        let grow = spawn(
            "grow",
            &[
                "sh",
                "-c",
                "until [ -e go ]; do sleep 0.01; done; exec tail /dev/zero",
            ],
        );
        let server = s1.spawn(grow).await.unwrap();
        let fault = "small".parse().unwrap();
        let order = FaultOrder {
            fault,
            kind,
            victim: name("s1"),
            address: s1.address(),
            flow: faults::Flow::default(),
        };
        s1.inject(order, Span::seconds(60)).await.unwrap();
        s1.put_file(&s1.data().join("go"), &[], 0o600)
            .await
            .unwrap();
        assert_eq!(server.wait().await.unwrap().cause, ExitCause::OutOfMemory);
    }
    cluster.down().await.unwrap();
}
