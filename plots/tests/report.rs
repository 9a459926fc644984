//! A run's files become figures and a report, and nothing in them can do harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod support;

use std::fs;
use std::path::Path;

use depbench_plots::{PlotError, Report, report};
use results::stats::Analysis;
use results::{RunDir, Validity};
use support::*;

fn draw(run: &RunDir) -> Result<Report, PlotError> {
    report(run, &Analysis::of(run)?)
}

fn svg(run: &RunDir, name: &str) -> String {
    fs::read_to_string(run.path().join("figures").join(name)).expect("the figure is there")
}

fn texts(svg: &str) -> Vec<&str> {
    svg.lines()
        .filter(|line| line.starts_with("<text"))
        .filter_map(|line| line.split_once('>')?.1.strip_suffix("</text>"))
        .collect()
}

#[test]
fn a_comparison_is_drawn_whole() {
    let dir = tempfile::tempdir().unwrap();
    let run = comparison(&dir.path().join("run"));
    let drawn = draw(&run).unwrap();
    // Throughput, distribution, and a timeline for each of twelve trials; each as SVG and PNG.
    assert_eq!(drawn.figures.len(), 2 * (2 + 12));
    for figure in drawn
        .figures
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "png"))
    {
        assert!(
            fs::read(figure).unwrap().starts_with(b"\x89PNG\r\n"),
            "{figure:?}"
        );
    }

    let bars = svg(&run, "throughput.svg");
    let words = texts(&bars);
    assert!(
        words.contains(&"depfast-raft") && words.contains(&"share 5%"),
        "{words:?}"
    );
    assert!(words.contains(&"1 of 3 trials invalid"), "{words:?}");
    assert!(
        words.contains(&"invalid"),
        "a cell without a valid trial is marked: {words:?}"
    );
    // Three cells with numbers, three bars each: the fourth has none.
    let numbers = words.iter().filter(|text| text.contains('×')).count();
    assert_eq!(numbers, 6, "{words:?}");
    assert!(
        words.iter().any(|text| text.starts_with("Note: no netem")),
        "{words:?}"
    );

    let timeline = svg(&run, "timeline-etcd,share=5%-1.svg");
    let words = texts(&timeline);
    for expected in [
        "warmup",
        "baseline",
        "fault",
        "recovery",
        "p50",
        "p99",
        "fault: slow on s2",
        "leader change",
        "process exit",
        "client notice",
        "CPU of s2",
        "operations/s",
        "latency (ms)",
    ] {
        assert!(words.contains(&expected), "{expected} in {words:?}");
    }
    assert!(timeline.contains("<title>18.000 s, leader change s3: s2 → s3, term 5</title>"));
    let invalid = svg(&run, "timeline-etcd,share=50%-1.svg");
    assert!(
        texts(&invalid)
            .iter()
            .any(|text| text.starts_with("invalid: fault `slow`"))
    );

    let page = fs::read_to_string(drawn.html).unwrap();
    assert_eq!(page.matches("<svg").count(), 2 + 12);
    assert!(page.contains("etcd, share 50%, trials 1, 2, 3"));
    for outside in ["src=", "href=", "@import", "<script", "url("] {
        assert!(
            !page.contains(outside),
            "the report needs no other file: {outside}"
        );
    }
}

/// The second figure of HotOS'21: clients, and three groups of which one has a wait on a single member.
#[test]
fn three_groups_are_drawn_with_who_waits_for_whom() {
    let dir = tempfile::tempdir().unwrap();
    let run = three_groups(&dir.path().join("run"));
    let drawn = draw(&run).unwrap();
    let figure = drawn.figures.iter().find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("waits-") && name.ends_with(".svg")
    });
    let figure = fs::read_to_string(figure.unwrap()).unwrap();
    let words = texts(&figure);
    for expected in [
        "shard 1",
        "shard 2",
        "shard 3",
        "c1",
        "s9",
        "waits for this one",
    ] {
        assert!(words.contains(&expected), "{expected} in {words:?}");
    }
    let count = |label: &str| words.iter().filter(|word| **word == label).count();
    assert_eq!(
        (count("2/3 × 12k"), count("1/1 × 90k"), count("1/1 × 0")),
        (6, 3, 1)
    );
    let page = fs::read_to_string(drawn.html).unwrap();
    assert!(page.contains("Slowness spreads along the edges"));
}

#[test]
fn drawing_again_gives_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let run = single(&dir.path().join("run"));
    let first = draw(&run).unwrap();
    let before: Vec<Vec<u8>> = first
        .figures
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let again = draw(&RunDir::open(run.path()).unwrap()).unwrap();
    let after: Vec<Vec<u8>> = again
        .figures
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert_eq!(before, after);
}

#[test]
fn crowded_figures_stay_within_their_edges() {
    let dir = tempfile::tempdir().unwrap();
    let run = crowded(&dir.path().join("run"));
    draw(&run).unwrap();
    let bars = svg(&run, "throughput.svg");
    // The two shares differ in their fault, so that their names must too.
    let words = texts(&bars);
    assert!(
        words.iter().any(|text| text.starts_with("quota.share 5%")),
        "{words:?}"
    );
    assert!(!bars.contains("x=\"-"), "no text starts left of the figure");
}

#[test]
fn a_sweep_of_clients_gives_the_curve() {
    let dir = tempfile::tempdir().unwrap();
    let run = client_sweep(&dir.path().join("run"));
    draw(&run).unwrap();
    let curve = svg(&run, "latency-throughput.svg");
    let words = texts(&curve);
    for expected in [
        "depfast-raft p50",
        "etcd p99",
        "1",
        "256",
        "throughput (operations/s)",
    ] {
        assert!(words.contains(&expected), "{expected} in {words:?}");
    }
    assert!(curve.contains("<title>64 clients: "));
}

#[test]
fn a_run_without_trials_or_with_only_a_begun_one_is_still_reported() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(&dir.path().join("run"), "name: x\n", &environment("x", &[])).unwrap();
    let drawn = draw(&run).unwrap();
    assert!(drawn.figures.is_empty());
    assert!(
        fs::read_to_string(drawn.html)
            .unwrap()
            .contains("No trial was begun.")
    );

    write_trial(&run, &Cell::new("etcd", 500.0, 2.0, 0.9), 0, 1, None);
    let page = fs::read_to_string(draw(&run).unwrap().html).unwrap();
    assert!(page.contains("incomplete: the trial did not run to its end"));
    assert!(page.contains("no valid trial, so no numbers"));
}

#[test]
fn nothing_in_the_files_becomes_markup() {
    let hostile = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
    let dir = tempfile::tempdir().unwrap();
    let mut environment = environment("x", &[hostile]);
    environment.provider = hostile.to_owned();
    environment.command = vec![hostile.to_owned()];
    environment
        .versions
        .insert(hostile.to_owned(), hostile.to_owned());
    environment.machines[0].host = hostile.to_owned();
    let run = RunDir::create(&dir.path().join("run"), hostile, &environment).unwrap();
    let leaked: &'static str = Box::leak(hostile.to_owned().into_boxed_str());
    let cell = Cell::new(leaked, 300.0, 2.0, 0.9).setting(leaked, hostile);
    let reason = hostile.to_owned();
    write_trial(&run, &cell, 0, 1, Some(Validity::Valid));
    write_trial(&run, &cell, 0, 2, Some(Validity::Invalid { reason }));
    let drawn = draw(&run).unwrap();
    let text_files = drawn
        .figures
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "svg"));
    for path in text_files
        .map(std::path::PathBuf::as_path)
        .chain([drawn.html.as_path()])
    {
        assert_harmless(path);
    }
}

fn assert_harmless(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        !text.contains("<script") && !text.contains("<img"),
        "{path:?}"
    );
    assert!(
        text.contains("&lt;script&gt;") || text.contains("&#60;script&#62;"),
        "{path:?} shows the name"
    );
}

#[test]
fn a_report_that_cannot_be_written_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let run = single(&dir.path().join("run"));
    fs::create_dir(run.path().join("report.html")).unwrap();
    let error = draw(&run).unwrap_err().to_string();
    assert!(
        error.contains("cannot write") && error.contains("report.html"),
        "{error}"
    );
}
