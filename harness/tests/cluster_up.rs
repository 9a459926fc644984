//! Clusters come up, do what they are asked, and go down without a trace, in every mode.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::time::{Duration, Instant};

use common::{Ground, calls, needs_root, node, small, spawn};
use depbench::agent::wire::ExitCause;
use depbench::cluster::spec::ModeSpec;
use depbench::cluster::{Cluster, NodeError, NodeEvent};
use nix::sys::signal::Signal;
use results::SampleScope;
use vocab::units::Span;

/// Everything a cluster does in any mode.
async fn exercise(cluster: &Cluster) {
    let (s1, s2) = (
        cluster.node(&node("s1")).unwrap(),
        cluster.node(&node("s2")).unwrap(),
    );
    let c1 = cluster.node(&node("c1")).unwrap();

    // Nodes reach each other, through the hub where there is one.
    calls::assert_reaches(s2, s1).await;
    calls::assert_reaches(c1, s2).await;

    // Input goes in, lines come out, in order and completely.
    let input: String = (0..5000).map(|n| format!("{n}\n")).collect();
    let mut job = s1
        .run_job(spawn("echo", &["cat"]), input.clone().into_bytes())
        .await
        .unwrap();
    let mut output = String::new();
    while let Some(line) = job.next_line().await {
        output.push_str(&line);
        output.push('\n');
    }
    assert_eq!(output, input);

    // Signals, exits, logs.
    let sleeper = s1
        .spawn(spawn("sleeper", &["sleep", "1000"]))
        .await
        .unwrap();
    assert_eq!(sleeper.exit(), None);
    sleeper.signal(Signal::SIGTERM).await.unwrap();
    assert_eq!(sleeper.wait().await.unwrap().cause, ExitCause::Signal(15));
    let gone = sleeper.signal(Signal::SIGTERM).await.unwrap_err();
    assert!(gone.to_string().contains("has ended"), "{gone}");
    let failed = s1
        .spawn(spawn("failing", &["ls", "/no/such"]))
        .await
        .unwrap();
    assert_eq!(failed.wait().await.unwrap().cause, ExitCause::Code(2));
    let log = s1
        .fetch(&s1.logs().join("failing.err"), 1000)
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&log).contains("/no/such"));
    let missing = s1
        .spawn(spawn("missing", &["no-such-program"]))
        .await
        .err()
        .unwrap();
    assert!(matches!(missing, NodeError::Refused { .. }), "{missing}");
    assert!(missing.to_string().contains("no-such-program"), "{missing}");

    // Files, larger than one frame.
    let content: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let path = s1.data().join("sub/file");
    s1.put_file(&path, &content, 0o640).await.unwrap();
    assert_eq!(s1.fetch(&path, usize::MAX).await.unwrap(), content);
    let entries = s1.list_dir(&s1.data()).await.unwrap();
    assert!(entries.iter().any(|entry| entry.name == "sub"));
    s1.wipe().await.unwrap();
    assert!(s1.list_dir(&s1.data()).await.unwrap().is_empty());

    usage_is_reported(cluster).await;
}

async fn usage_is_reported(cluster: &Cluster) {
    let s1 = cluster.node(&node("s1")).unwrap();
    let mut events = cluster.events();
    let busy = s1
        .spawn(spawn("busy", &["sh", "-c", "while :; do :; done"]))
        .await
        .unwrap();
    s1.sample(Span::millis(100)).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let (mut server, mut whole) = (None, None);
    while server.is_none() || whole.is_none() {
        assert!(
            Instant::now() < deadline,
            "no samples: {server:?} {whole:?}"
        );
        let event = tokio::time::timeout(Duration::from_secs(60), events.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(event.node, node("s1"));
        if let NodeEvent::Sample(sample) = event.event {
            assert!(sample.usage.cpu_ns.is_some() && sample.usage.memory_bytes.is_some());
            let used = sample.usage.cpu_ns.filter(|cpu| *cpu > 0);
            match sample.usage.scope {
                SampleScope::Server => server = server.or(used),
                SampleScope::Node => whole = whole.or(used),
                SampleScope::Client | SampleScope::Contention => {}
            }
        }
    }
    busy.signal(Signal::SIGKILL).await.unwrap();
    assert_eq!(busy.wait().await.unwrap().cause, ExitCause::Signal(9));
}

async fn up_and_down(test: &str, mode: ModeSpec) {
    let ground = Ground::new(test);
    let cluster = ground.up(small(2, 1, mode)).await;
    println!("{:#?}\n{:#?}", cluster.limitations(), cluster.environment());
    exercise(&cluster).await;
    let begun = Instant::now();
    cluster.down().await.unwrap();
    println!("down after {:?}", begun.elapsed());
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn with_root() {
    if needs_root() {
        up_and_down("root", ModeSpec::Root).await;
    }
}

#[tokio::test]
async fn in_a_user_namespace() {
    up_and_down("user", ModeSpec::User).await;
}

#[tokio::test]
async fn as_plain_processes() {
    up_and_down("plain", ModeSpec::Plain).await;
}
