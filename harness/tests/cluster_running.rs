//! The verbs that look into a cluster that another process holds: `exec`, `logs`, `heal`.

#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::process::{Command, Output};

use common::{Ground, PROGRAM, needs_root, node, small, spawn};
use depbench::cluster::spec::ModeSpec;

fn depbench(ground: &Ground, arguments: &[&str]) -> Output {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env("DEPBENCH_STATE_DIR", ground.path())
        .output()
        .unwrap();
    println!("{arguments:?}: {output:?}");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn look_into(mode: ModeSpec) {
    let ground = Ground::new("look");
    let cluster = ground.up(small(1, 1, mode)).await;
    let s1 = cluster.node(&node("s1")).unwrap();
    let told = s1
        .spawn(spawn("told", &["sh", "-c", "echo one; echo two >&2"]))
        .await
        .unwrap();
    told.wait().await.unwrap();

    let namespaces = depbench(
        &ground,
        &["exec", "s1", "--", "readlink", "/proc/self/ns/net"],
    );
    let expected = std::fs::read_link(format!("/proc/{}/ns/net", s1.agent_pid().unwrap())).unwrap();
    assert_eq!(stdout(&namespaces).trim(), expected.to_str().unwrap());
    let variables = [
        "exec",
        "s1",
        "--",
        "sh",
        "-c",
        "echo $DEPBENCH_NODE $DEPBENCH_ADDRESS; pwd",
    ];
    let expected = format!("s1 {}\n{}\n", s1.address(), s1.data().display());
    assert_eq!(stdout(&depbench(&ground, &variables)), expected);
    let exits = depbench(&ground, &["exec", "s1", "--", "sh", "-c", "exit 7"]);
    assert_eq!(exits.status.code(), Some(7));
    let full = format!("{}/s1", ground.run());
    assert!(
        depbench(&ground, &["exec", &full, "--", "true"])
            .status
            .success()
    );
    let unknown = depbench(&ground, &["exec", "s9", "--", "true"]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("/s1"));

    let logs = stdout(&depbench(&ground, &["logs"]));
    assert!(logs.contains("s1/told.out: one\n"), "{logs}");
    assert!(logs.contains("s1/told.err: two\n"), "{logs}");

    let healed = depbench(&ground, &["heal"]);
    assert!(healed.status.success());
    assert!(stdout(&healed).contains("alive"));
    assert_eq!(s1.lost(), None);
    s1.facts().await.unwrap();

    cluster.down().await.unwrap();
    assert!(stdout(&depbench(&ground, &["heal"])).contains("nothing to heal"));
    assert!(!depbench(&ground, &["logs"]).status.success());
    assert_eq!(ground.leftovers(), Default::default());
}

#[tokio::test]
async fn with_root() {
    if needs_root() {
        look_into(ModeSpec::Root).await;
    }
}

#[tokio::test]
async fn in_a_user_namespace() {
    look_into(ModeSpec::User).await;
}

#[tokio::test]
async fn as_plain_processes() {
    look_into(ModeSpec::Plain).await;
}
