//! Every wrong experiment file in `wrong_files/` and the message that a person gets for it.
//!
//! `NAME.yaml` is the file, `NAME.txt` what `depbench check` prints. `BLESS=1 cargo test --test wrong_files` writes the
//! messages anew; read the difference before you commit it.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::{Path, PathBuf};

use depbench::experiment::{LoadError, load};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong_files");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    cases
}

fn message(case: &Path) -> String {
    let text = match load(case) {
        Ok(_) => "nothing is wrong".to_owned(),
        Err(error @ LoadError::Wrong(_)) => error.to_string(),
        Err(error) => panic!("{}: {error}", case.display()),
    };
    let folder = format!("{}/", case.parent().unwrap().display());
    text.replace(&folder, "") + "\n"
}

#[test]
fn every_wrong_file_gets_its_message() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut differing = Vec::new();
    for case in cases() {
        let (expected, found) = (case.with_extension("txt"), message(&case));
        if bless {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            differing.push(found);
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn there_are_enough_of_them() {
    assert!(cases().len() >= 30, "{}", cases().len());
}
