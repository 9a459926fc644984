//! The etcd driver and the poll against a real etcd.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use depbench_workloads::etcd::MemberPoll;
use depbench_workloads::{
    Arrivals, DriverKind, Keys, LoadError, LoadJob, LoadReport, Mode, Workload,
};
use history::{Budget, Verdict, check};
use nix::sys::signal::Signal;
use results::{ErrorKind, OpKind};
use support::{Running, Server, count, free_address, job, run};
use vocab::ids::Phase;
use vocab::units::{Share, Span};

fn start_etcd(data: &Path) -> Option<Server> {
    let client = free_address();
    let peer = SocketAddr::from((client.ip(), client.port() + 10_000));
    let args = [
        "--name=m1".to_owned(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls=http://{client}"),
        format!("--advertise-client-urls=http://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=m1=http://{peer}"),
    ];
    let server = Server::start("etcd", &args, client)?;
    let polled = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        poll(client).is_ok_and(|status| status.is_leader())
    });
    assert!(polled, "etcd does not elect itself");
    Some(server)
}

fn poll(
    server: SocketAddr,
) -> Result<depbench_workloads::etcd::MemberStatus, depbench_workloads::etcd::PollError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        MemberPoll::new(server, Duration::from_secs(2))
            .status()
            .await
    })
}

fn small() -> Workload {
    Workload {
        clients: count(16),
        connections: count(4),
        write: Share::from_fraction(0.5).unwrap(),
        keys: Keys::Uniform { count: 50 },
        sample_keys: 20,
        ..Workload::default()
    }
}

fn etcd_job(servers: &[SocketAddr], workload: Workload) -> LoadJob {
    job(DriverKind::Etcd, servers, workload)
}

#[test]
fn both_loops_reach_etcd_and_what_it_does_is_linearizable() {
    let data = tempfile::tempdir().unwrap();
    let Some(server) = start_etcd(data.path()) else {
        return;
    };
    let status = poll(server.address).unwrap();
    assert!(status.is_leader() && status.term > 0, "{status:?}");
    assert!(status.version.starts_with("3."), "{status:?}");

    let reported = run(etcd_job(&[server.address], small()));
    reported.assert_consistent();
    assert_eq!(reported.cuts(OpKind::Write).len(), 3);
    assert_eq!(reported.cuts(OpKind::Read)[2], (Phase::Baseline, 1300, 200));
    assert!(matches!(reported.0[0], LoadReport::Ready { connected: 4 }));
    let totals = reported.totals();
    assert!(totals.ok > 50 && totals.errors.is_empty(), "{totals:?}");
    let operations = reported.operations();
    assert!(!operations.is_empty());
    assert_eq!(check(&operations, Budget::default()), Verdict::Ok);
    assert_eq!(operations.last().unwrap().key, 19, "read back");

    let mode = Mode::Open {
        rate: "100/s".parse().unwrap(),
        arrivals: Arrivals::Constant,
    };
    let workload = Workload {
        mode,
        sample_keys: 0,
        ..small()
    };
    let reported = run(etcd_job(&[server.address], workload));
    reported.assert_consistent();
    let totals = reported.totals();
    let sent = totals.ok + totals.unfinished + totals.dropped;
    assert!((130..=150).contains(&sent), "{totals:?}");
}

#[test]
fn a_stalled_member_makes_requests_time_out() {
    let data = tempfile::tempdir().unwrap();
    let Some(server) = start_etcd(data.path()) else {
        return;
    };
    let workload = Workload {
        timeout: Span::millis(200),
        ..small()
    };
    let running = Running::start(etcd_job(&[server.address], workload));
    running.wait_for_start();
    server.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(600));
    server.signal(Signal::SIGCONT);
    let (result, reported) = running.finish();
    result.unwrap();
    reported.assert_consistent();
    let totals = reported.totals();
    assert!(
        totals.errors.contains_key(&ErrorKind::Timeout),
        "{totals:?}"
    );
    assert!(
        reported.intervals().last().unwrap().ok > 0,
        "it goes on afterwards"
    );
}

#[test]
fn a_killed_member_loses_connections() {
    let data = tempfile::tempdir().unwrap();
    let Some(server) = start_etcd(data.path()) else {
        return;
    };
    let address = server.address;
    let workload = Workload {
        sample_keys: 0,
        ..small()
    };
    let running = Running::start(etcd_job(&[address], workload));
    running.wait_for_start();
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    let (result, reported) = running.finish();
    result.unwrap();
    reported.assert_consistent();
    let totals = reported.totals();
    let lost = totals
        .errors
        .get(&ErrorKind::Connection)
        .copied()
        .unwrap_or_default();
    // 16 clients, each with an attempt every 20 ms for 1.2 s at most.
    assert!((1..1200).contains(&lost), "{totals:?}");
    assert!(poll(address).is_err());
}

#[test]
fn without_a_member_there_is_no_load() {
    let (result, _) = Running::start(etcd_job(&[free_address()], small())).finish();
    assert!(matches!(result, Err(LoadError::Unreachable { .. })));
}
