//! The verbs that need no cluster, run as a person runs them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn depbench(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_depbench"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn plan_shows_trials_in_order() {
    let output = depbench(&root(), &["plan", "experiments/slow-follower.yaml"]);
    let plan = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        plan.starts_with("slow-follower: 6 trials of 2 cells, about "),
        "{plan}"
    );
    assert!(
        plan.contains("fault slow-follower: cpu.quota 5% on one follower during fault"),
        "{plan}"
    );
    assert_eq!(
        plan.lines()
            .filter(|line| line.contains("baseline 10s"))
            .count(),
        6,
        "{plan}"
    );
    assert_eq!(
        output.stdout,
        depbench(&root(), &["plan", "experiments/slow-follower.yaml"]).stdout
    );
}

#[test]
fn a_wrong_file_is_shown_and_ends_with_3() {
    let output = depbench(
        &root(),
        &["plan", "harness/tests/wrong_files/unknown-field.yaml"],
    );
    assert_eq!(output.status.code(), Some(3));
    let shown = text(&output.stderr);
    assert!(
        shown.starts_with("harness/tests/wrong_files/unknown-field.yaml:4:1: error: "),
        "{shown}"
    );
    assert!(
        shown.contains("did you mean `workload`?") && !shown.contains('\x1b'),
        "{shown}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_missing_file_and_a_wrong_command_end_with_3() {
    let output = depbench(&root(), &["plan", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).starts_with("error: cannot read nowhere.yaml: "),
        "{output:?}"
    );
    assert_eq!(depbench(&root(), &["plna"]).status.code(), Some(3));
    assert_eq!(depbench(&root(), &["--help"]).status.code(), Some(0));
}

#[test]
fn init_writes_once_and_what_it_writes_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(depbench(folder, &["init"]).status.code(), Some(0));
    std::fs::write(folder.join("experiment.yaml"), "mine").unwrap();
    let refused = depbench(folder, &["init"]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        text(&refused.stderr).contains("exists already"),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_to_string(folder.join("experiment.yaml")).unwrap(),
        "mine"
    );
    assert_eq!(
        depbench(folder, &["init", "--force"]).status.code(),
        Some(0)
    );
    assert_eq!(
        depbench(folder, &["plan", "experiment.yaml"]).status.code(),
        Some(0)
    );
}

#[test]
fn the_schema_is_json() {
    let output = depbench(&root(), &["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "Experiment of depbench");
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&depbench(&root(), &["completions", shell]).stdout).contains("plan"));
    }
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    for arguments in [&["list"][..], &["schema"], &["--help"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_depbench"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr).as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}
