//! The RESP driver against a real redis-server.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use depbench_workloads::{
    Arrivals, DriverKind, Keys, LoadError, LoadJob, LoadReport, Mode, NoticeKind, ReadBack,
    Workload, read_back, run_worker,
};
use history::{Budget, Verdict, check};
use nix::sys::signal::Signal;
use results::{ErrorKind, OpKind};
use support::{Reported, Running, Server, count, free_address, job, run};
use vocab::ids::Phase;
use vocab::units::{Share, Span};

fn start_redis(address: SocketAddr, more: &[&str]) -> Option<Server> {
    let port = address.port().to_string();
    let fixed = [
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--port",
        &port,
    ];
    let args: Vec<_> = fixed.iter().chain(more).map(ToString::to_string).collect();
    Server::start("redis-server", &args, address)
}

/// Sends one inline request; gives the first line of the reply.
fn ask(server: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn small() -> Workload {
    Workload {
        clients: count(16),
        connections: count(4),
        write: Share::from_fraction(0.5).unwrap(),
        ..Workload::default()
    }
}

fn redis_job(servers: &[SocketAddr], workload: Workload) -> LoadJob {
    job(DriverKind::Resp, servers, workload)
}

fn notices(reported: &Reported, kind: NoticeKind) -> Vec<String> {
    let detail = |report: &LoadReport| match report {
        LoadReport::Notice(notice) if notice.kind == kind => Some(notice.detail.clone()),
        _ => None,
    };
    reported.0.iter().filter_map(detail).collect()
}

#[test]
fn the_closed_loop_reports_every_second_of_every_phase() {
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    let reported = run(redis_job(&[server.address], small()));
    reported.assert_consistent();
    let cuts = [
        (Phase::Warmup, 0, 300),
        (Phase::Baseline, 300, 1000),
        (Phase::Baseline, 1300, 200),
    ];
    assert_eq!(reported.cuts(OpKind::Write), cuts);
    assert_eq!(reported.cuts(OpKind::Read), cuts);
    assert!(reported.intervals().iter().all(|one| one.ok > 0));
    assert!(reported.totals().errors.is_empty());
    assert!(reported.totals().unfinished <= 16);
    assert!(matches!(reported.0[0], LoadReport::Ready { connected: 4 }));
    assert!(matches!(reported.0[1], LoadReport::Started { .. }));
}

#[test]
fn the_open_loop_keeps_its_rate() {
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let mode = Mode::Open {
            rate: "2000/s".parse().unwrap(),
            arrivals,
        };
        let workload = Workload { mode, ..small() };
        let reported = run(redis_job(&[server.address], workload));
        reported.assert_consistent();
        let totals = reported.totals();
        // 3000 in 1.5 s; Poisson's standard deviation is 55.
        let sent = totals.ok + totals.unfinished + totals.dropped;
        assert!((2700..3300).contains(&sent), "{arrivals:?} {totals:?}");
        assert!(totals.errors.is_empty());
    }
}

#[test]
fn a_lost_server_is_counted_and_found_again() {
    let address = free_address();
    let Some(server) = start_redis(address, &[]) else {
        return;
    };
    let running = Running::start(redis_job(&[address], small()));
    running.wait_for_start();
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    std::thread::sleep(Duration::from_millis(100));
    let _server = start_redis(address, &[]).unwrap();
    let (result, reported) = running.finish();
    result.unwrap();
    reported.assert_consistent();
    let totals = reported.totals();
    let lost = totals.errors.get(&ErrorKind::Connection).copied();
    assert!((1..=16).contains(&lost.unwrap_or_default()), "{totals:?}");
    let last = reported.intervals().pop().unwrap();
    assert!(last.ok > 0, "{last:?}");
    let notices = notices(&reported, NoticeKind::ConnectionLost);
    assert!((1..=2).contains(&notices.len()), "{notices:?}");
    assert!(notices[0].starts_with(&address.to_string()), "{notices:?}");
}

#[test]
fn waiting_for_a_stalled_server_shows_in_the_open_loop() {
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    let workload = Workload {
        mode: Mode::Open {
            rate: "1000/s".parse().unwrap(),
            arrivals: Arrivals::Constant,
        },
        timeout: Span::millis(300),
        ..small()
    };
    let running = Running::start(redis_job(&[server.address], workload));
    running.wait_for_start();
    std::thread::sleep(Duration::from_millis(400));
    server.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(700));
    server.signal(Signal::SIGCONT);
    let (result, reported) = running.finish();
    result.unwrap();
    reported.assert_consistent();
    let totals = reported.totals();
    assert!(
        totals.errors.contains_key(&ErrorKind::Timeout),
        "{totals:?}"
    );
    assert!(totals.dropped > 0 && totals.late > 0, "{totals:?}");
    let longest = reported
        .intervals()
        .iter()
        .filter_map(|one| one.latency.max_ms())
        .fold(0.0, f64::max);
    assert!(
        longest > 50.0,
        "requests due in the stall waited: {longest} ms"
    );
}

#[test]
fn a_redirect_is_an_error_and_followed_by_the_next_request() {
    let files = tempfile::tempdir().unwrap();
    let dir = files.path().to_str().unwrap();
    let cluster = |name| {
        [
            "--cluster-enabled",
            "yes",
            "--dir",
            dir,
            "--cluster-config-file",
            name,
        ]
    };
    let Some(owner) = start_redis(free_address(), &cluster("owner")) else {
        return;
    };
    let other = start_redis(free_address(), &cluster("other")).unwrap();
    let slots = ask(owner.address, "CLUSTER ADDSLOTSRANGE 0 16383");
    assert_eq!(slots, "+OK");
    let port = owner.address.port();
    ask(other.address, &format!("CLUSTER MEET 127.0.0.1 {port}"));
    let redirects = |_: &u32| {
        std::thread::sleep(Duration::from_millis(100));
        ask(other.address, "GET x").starts_with("-MOVED")
    };
    assert!(
        (0..200).any(|attempt| redirects(&attempt)),
        "the nodes do not meet"
    );

    let workload = Workload {
        sample_keys: 5,
        ..small()
    };
    let reported = run(redis_job(&[other.address, owner.address], workload));
    reported.assert_consistent();
    let operations = reported.operations();
    assert_eq!(
        operations.last().unwrap().key,
        4,
        "read back over the redirect"
    );
    assert_eq!(check(&operations, Budget::default()), Verdict::Ok);
    let totals = reported.totals();
    let redirects = totals.errors.get(&ErrorKind::Redirect).copied();
    assert_eq!(redirects, Some(4), "one for each connection: {totals:?}");
    assert_eq!(totals.errors.len(), 1, "{totals:?}");
    assert!(totals.ok > 100, "{totals:?}");
    let expected = format!("from {} to {}", other.address, owner.address);
    assert_eq!(notices(&reported, NoticeKind::Redirected), [expected]);
}

#[test]
fn a_cluster_that_is_down_is_not_flooded() {
    let files = tempfile::tempdir().unwrap();
    let dir = files.path().to_str().unwrap();
    let Some(server) = start_redis(free_address(), &["--cluster-enabled", "yes", "--dir", dir])
    else {
        return;
    };
    let reported = run(redis_job(&[server.address], small()));
    reported.assert_consistent();
    let totals = reported.totals();
    assert_eq!(totals.ok, 0);
    // 4 connections, each with one request every 20 ms for 1.5 s, the first ones faster.
    let errors = totals.errors.get(&ErrorKind::ClusterDown).copied();
    assert!(
        (100..400).contains(&errors.unwrap_or_default()),
        "{totals:?}"
    );
}

#[test]
fn without_a_server_there_is_no_load() {
    let (result, reported) = Running::start(redis_job(&[free_address()], small())).finish();
    assert!(matches!(result, Err(LoadError::Unreachable { .. })));
    let [LoadReport::Failed { message }] = &reported.0[..] else {
        panic!("{reported:?}");
    };
    assert!(message.contains("Connection refused"), "{message}");
}

#[test]
fn sampled_keys_are_recorded_and_can_be_checked() {
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    let workload = Workload {
        keys: Keys::Uniform { count: 20 },
        sample_keys: 10,
        mode: Mode::Open {
            rate: "3000/s".parse().unwrap(),
            arrivals: Arrivals::Poisson,
        },
        ..small()
    };
    let reported = run(redis_job(&[server.address], workload.clone()));
    let operations = reported.operations();
    let (_, read_back) = operations.split_at(operations.len() - 10);
    assert!(
        read_back.iter().map(|one| one.key).eq(0..10),
        "each once more"
    );
    assert!(operations.len() > 1000, "{}", operations.len());
    assert!(operations.iter().all(|one| one.key < 10));
    ask(server.address, "FLUSHALL");
    assert_eq!(check(&operations, Budget::default()), Verdict::Ok);

    let running = Running::start(redis_job(&[server.address], workload));
    running.wait_for_start();
    std::thread::sleep(Duration::from_millis(500));
    ask(server.address, "FLUSHALL");
    let (_, reported) = running.finish();
    let Verdict::Violated(violation) = check(&reported.operations(), Budget::default()) else {
        panic!("a server that forgets was not found out");
    };
    assert_eq!(
        violation.operations.len(),
        2,
        "a write and a read of nothing: {violation}"
    );
}

#[test]
fn a_lost_write_is_found_out_without_any_read_in_the_load() {
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    let workload = Workload {
        write: Share::ALL,
        keys: Keys::Uniform { count: 1000 },
        sample_keys: 3,
        ..small()
    };
    let reported = run(redis_job(&[server.address], workload));
    let mut operations = reported.operations();
    assert_eq!(check(&operations, Budget::default()), Verdict::Ok);

    ask(server.address, "DEL key:000000000001");
    let Some(LoadReport::Started { at, .. }) = reported.0.get(1) else {
        panic!("{reported:?}");
    };
    let again = ReadBack {
        driver: DriverKind::Resp,
        servers: &[server.address],
        sample_keys: 3,
        start: *at,
        patience: Duration::from_millis(500),
    };
    operations.extend(read_back(again).unwrap());
    let Verdict::Violated(violation) = check(&operations, Budget::default()) else {
        panic!("not found");
    };
    assert_eq!(violation.key, 1);

    drop(server);
    let error = read_back(again).unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn nobody_to_report_to_ends_the_load() {
    struct Deaf;
    impl Write for Deaf {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let Some(server) = start_redis(free_address(), &[]) else {
        return;
    };
    let mut job = redis_job(&[server.address], small());
    job.cuts[1].length = Span::seconds(3600);
    run_worker(&job, Deaf).unwrap();
}
