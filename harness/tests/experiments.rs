//! The committed experiments, the starter and the schema: what a person copies must work.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::{Path, PathBuf};

use depbench::experiment::{Experiment, from_text, load, schema, starter};
use depbench::plan::Plan;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments")
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Experiment {
    load(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_experiment_is_right_and_says_what_it_is() {
    let files = files();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let experiment = read(&path);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(experiment.spec.name.as_str(), stem);
        assert!(experiment.spec.description.is_some(), "{stem}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=depbench.schema.json\n"),
            "{stem}"
        );
    }
}

#[test]
fn a_resolved_experiment_is_the_same_experiment() {
    for path in files() {
        let experiment = read(&path);
        let again =
            from_text("resolved", experiment.resolved()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.spec, experiment.spec, "{}", path.display());
        assert_eq!(again.cells, experiment.cells, "{}", path.display());
        assert_eq!(Plan::of(&again), Plan::of(&experiment));
        assert_eq!(again.resolved(), experiment.resolved());
    }
}

#[test]
fn the_quickstart_is_quick() {
    let experiment = read(&folder().join("quickstart.yaml"));
    assert!(Plan::of(&experiment).estimate().as_secs() < 60);
}

#[test]
fn the_starter_is_right_as_it_is() {
    let experiment =
        from_text("starter", starter::TEXT.to_owned()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(experiment.cells.len(), 1);
}

/// What the starter only mentions in comments must be right, too.
#[test]
fn the_starter_with_everything_switched_on_is_right() {
    let code = |line: &str| {
        let Some(rest) = line.trim_start().strip_prefix("# ") else {
            return line.to_owned();
        };
        let indent = " ".repeat(line.len() - line.trim_start().len());
        let is_code = [
            "sweep:",
            "  workload.",
            "  faults.",
            "clients:",
            "mode:",
            "budget:",
            "disk:",
            "- etcd",
        ]
        .iter()
        .any(|start| rest.starts_with(start));
        if is_code {
            format!("{indent}{rest}")
        } else {
            String::new()
        }
    };
    let text: Vec<String> = starter::TEXT.lines().map(code).collect();
    let experiment =
        from_text("starter", text.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(experiment.cells.len(), 2 * 3 * 2);
}

/// `BLESS=1 cargo test --test experiments` writes the schema anew, as `depbench schema` does.
#[test]
fn the_committed_schema_is_up_to_date() {
    let path = folder().join("depbench.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, schema::text()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema::text(),
        "experiments/depbench.schema.json is out of date: run `depbench schema > experiments/depbench.schema.json`"
    );
}
