//! The program on its way to a machine: shown, interrupted, gone on with, and found damaged.

use std::fs;
use std::path::PathBuf;

use super::QUIET;
use super::reach::{cache, check};
use crate::hosts::{Hosts, PROGRAM, wait_until};

/// What the other end takes before it takes no more.
const TAKEN: usize = 5_000_000;

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Whether a share of an upload is on the screen.
fn shows_share(screen: &str) -> bool {
    let mut after = screen.split("bringing depbench to h").skip(1);
    after.any(|text| {
        let share = text
            .split_once(" %")
            .and_then(|(share, _)| share.split_once(": "));
        share.is_some_and(|(_, digits)| digits.parse::<u8>().is_ok())
    })
}

/// What stalls also holds the file open until the host goes.
#[test]
fn a_first_upload_is_interrupted_at_once_and_goes_on_where_it_stopped() {
    let Some(hosts) = Hosts::bare(2) else { return };
    let file = hosts.experiment("interrupted", QUIET);
    let stalling = format!(
        "#!/bin/sh\n[ $# -gt 0 ] && exec /bin/cat \"$@\"\nhead -c {TAKEN}\nexec sleep 100000\n"
    );
    fs::write(hosts.dir().join("h1/tmp/stalling"), stalling).unwrap();
    hosts.on(1, "install /tmp/stalling /usr/local/bin/cat");
    let (mut controller, mut terminal) =
        hosts.at_terminal(&["run", file.to_str().unwrap(), "--out", "out"]);
    let partial = || {
        let mut entries = fs::read_dir(cache(&hosts)).into_iter().flatten().flatten();
        entries.find(|entry| entry.path().extension().is_some_and(|end| end == "part"))
    };
    wait_until("the upload stalls, and is shown", || {
        let taken = partial().map_or(0, |entry| entry.metadata().unwrap().len());
        assert!(controller.try_wait().unwrap().is_none(), "it ended early");
        taken == TAKEN as u64 && shows_share(&terminal.seen())
    });
    terminal.press_ctrl_c();
    let ended = controller.wait().unwrap();
    let said = terminal.end();
    assert_eq!(ended.code(), Some(130), "{said}");
    assert!(
        said.contains("interrupted; everything was undone"),
        "{said}"
    );
    assert!(!file.with_file_name("out").exists(), "{said}");
    hosts.assert_no_masters();

    hosts.on(1, "rm /usr/local/bin/cat");
    let said = check(&hosts, &file, 0);
    let told = format!("of which {} are there already\n", mebibytes(TAKEN));
    assert!(said.contains(&told), "{said}");
    assert!(partial().is_none());
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn an_upload_that_broke_off_goes_on_where_it_stopped() {
    let Some(hosts) = Hosts::bare(2) else { return };
    let file = hosts.experiment("resumed", QUIET);
    let said = check(&hosts, &file, 0);
    for host in ["h1", "h2"] {
        let whole = mebibytes(fs::metadata(PROGRAM).unwrap().len() as usize);
        let told = format!("bringing depbench to {host}: {whole}\n");
        assert!(said.contains(&told), "{said}");
    }
    let listed: Vec<_> = fs::read_dir(cache(&hosts)).unwrap().flatten().collect();
    let [whole] = listed.as_slice() else {
        panic!("{listed:?}")
    };
    let (whole, program) = (whole.path(), fs::read(PROGRAM).unwrap());
    assert!(
        fs::read(&whole).unwrap() == program,
        "another program arrived"
    );
    let part = PathBuf::from(format!("{}.h1.part", whole.display()));
    let half = &program[..program.len() / 2];

    fs::remove_file(&whole).unwrap();
    fs::write(&part, half).unwrap();
    let said = check(&hosts, &file, 0);
    let told = format!(
        "bringing depbench to h1: {}, of which {} are there already\n",
        mebibytes(program.len()),
        mebibytes(half.len())
    );
    assert!(said.contains(&told), "{said}");
    assert!(said.contains("depbench is on h1\n"), "{said}");
    assert!(fs::read(&whole).unwrap() == program && !part.exists());

    // What was there is used, or damage in it would not be found; and it is not in the way the next time.
    fs::remove_file(&whole).unwrap();
    let mut damaged = half.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&part, damaged).unwrap();
    let said = check(&hosts, &file, 4);
    assert!(
        said.contains("what arrived is damaged, ") && said.contains("h1"),
        "{said}"
    );
    assert!(!part.exists() && !whole.exists());
    check(&hosts, &file, 0);
    assert!(fs::read(&whole).unwrap() == program);
    hosts.assert_no_masters();
}
