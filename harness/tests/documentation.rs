//! What the documentation shows must work as it stands there.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::{Path, PathBuf};

use depbench::experiment::{Experiment, from_text};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    pages
}

/// The whole experiments among the examples of a page; others are parts of one.
fn experiments(page: &Path) -> Vec<Experiment> {
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .filter(|block| block.starts_with("name:"))
        .map(|block| {
            let name = page.display().to_string();
            from_text(&name, block.to_owned()).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect()
}

#[test]
fn every_experiment_of_the_documentation_is_right() {
    let count: usize = pages(&docs())
        .iter()
        .map(|page| experiments(page).len())
        .sum();
    assert!(count > 0, "the examples are not found");
}

#[test]
fn every_fault_has_a_page_with_an_example_that_is_right() {
    for fault in faults::list() {
        let page = docs().join(format!("faults/{}.md", fault.name));
        let examples = experiments(&page);
        let of_it = |example: &&Experiment| {
            let faults = &example.spec.faults;
            faults.iter().any(|one| one.kind.name() == fault.name)
        };
        assert!(examples.iter().any(|one| of_it(&one)), "{}", page.display());
        let text = std::fs::read_to_string(&page).unwrap();
        for parameter in &fault.parameters {
            let row = format!("| `{}` |", parameter.name);
            assert!(text.contains(&row), "{}: no {row}", page.display());
        }
        // What all faults of the network have in common is on a page of its own.
        let common = docs().join("faults/network.md");
        let text = match fault.name.starts_with("net.") {
            true => text + &std::fs::read_to_string(common).unwrap(),
            false => text,
        };
        for heading in ["By which means", "Proof", "Undo", "In the papers"] {
            let heading = format!("\n## {heading}\n");
            assert!(text.contains(&heading), "{}: no{heading}", page.display());
        }
    }
}
