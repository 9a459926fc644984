//! Who is healed, how often, and what becomes of an entry of an earlier boot.

use node::journal::{self, Outcome, Undo};

use crate::Test;
use crate::stage::{Stage, ready};

pub(crate) const TESTS: [Test; 7] = [
    (
        "a_live_owner_is_never_touched",
        a_live_owner_is_never_touched,
    ),
    ("each_entry_is_healed_once", each_entry_is_healed_once),
    (
        "kernel_state_ends_with_its_boot",
        kernel_state_ends_with_its_boot,
    ),
    (
        "a_later_version_is_left_alone",
        a_later_version_is_left_alone,
    ),
    ("a_tampered_entry_is_refused", a_tampered_entry_is_refused),
    ("what_is_not_ours_is_refused", what_is_not_ours_is_refused),
    (
        "a_link_put_in_the_way_leads_nowhere",
        a_link_put_in_the_way_leads_nowhere,
    ),
];

fn a_live_owner_is_never_touched() {
    let stage = Stage::new();
    let mut holder = stage.command("holder").spawn().unwrap();
    ready(&mut holder);
    let report = journal::heal(&stage.journal()).unwrap();
    assert_eq!((report.healed.len(), report.live.len()), (0, 1));
    assert!(stage.tagged("held").exists());

    holder.kill().unwrap();
    holder.wait().unwrap();
    let report = journal::heal(&stage.journal()).unwrap();
    assert_eq!((report.healed.len(), report.live.len()), (1, 0));
    assert!(!stage.tagged("held").exists());
    let again = journal::heal(&stage.journal()).unwrap();
    assert_eq!(again.to_string(), "nothing to heal");
}

/// A journal whose owner is gone, with entries for directories that exist.
fn stale(stage: &Stage, numbers: std::ops::Range<u32>) {
    let journal = stage.open();
    for number in numbers {
        let path = stage.tagged(&number.to_string());
        std::fs::create_dir(&path).unwrap();
        drop(journal.record(Undo::RemoveDir { path }).unwrap());
    }
}

fn each_entry_is_healed_once() {
    let stage = Stage::new();
    stale(&stage, 0..20);
    stale(&stage, 20..40);
    let dir = stage.journal();
    let heals: Vec<_> = (0..8)
        .map(|_| {
            let dir = dir.clone();
            std::thread::spawn(move || journal::heal(&dir).unwrap())
        })
        .collect();
    let reports: Vec<_> = heals.into_iter().map(|heal| heal.join().unwrap()).collect();
    let healed: usize = reports.iter().map(|report| report.healed.len()).sum();
    assert_eq!(healed, 40);
    assert!(reports.iter().all(journal::Report::is_complete));
    assert!(stage.owners().is_empty());
}

/// Changes the text of every entry that stands.
fn edit(stage: &Stage, change: impl Fn(&str) -> String) {
    for owner in stage.owners() {
        for entry in std::fs::read_dir(owner).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, change(&text)).unwrap();
            }
        }
    }
}

fn kernel_state_ends_with_its_boot() {
    let stage = Stage::new();
    let mut bystander = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let process = node::identity::ProcessId::of(bystander.id() as i32)
        .unwrap()
        .unwrap();
    stale(&stage, 0..1);
    drop(stage.open().record(Undo::Kill { process }).unwrap());
    let boot = node::identity::BootId::current().unwrap().to_string();
    edit(&stage, |text| text.replace(&boot, "another-boot"));

    let report = journal::heal(&stage.journal()).unwrap();
    let outcome = |disk: bool| {
        let of_disk = |undo: &Undo| matches!(undo, Undo::RemoveDir { .. });
        let mut healed = report.healed.iter();
        healed
            .find(|one| of_disk(&one.undo) == disk)
            .unwrap()
            .outcome
    };
    assert_eq!(outcome(false), Outcome::EndedWithItsBoot);
    assert_eq!(outcome(true), Outcome::Undone);
    assert!(!stage.tagged("0").exists());
    assert!(
        bystander.try_wait().unwrap().is_none(),
        "the process of this boot lives"
    );
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(stage.owners().is_empty());
}

fn a_later_version_is_left_alone() {
    let stage = Stage::new();
    stale(&stage, 0..1);
    edit(&stage, |text| {
        text.replace("\"version\": 1", "\"version\": 2")
    });
    let report = journal::heal(&stage.journal()).unwrap();
    assert!(
        report.unhealed[0].reason.contains("has version 2"),
        "{report}"
    );
    assert!(stage.tagged("0").exists());
    assert_eq!(stage.owners().len(), 1, "the entry stays for who knows it");
}

fn a_tampered_entry_is_refused() {
    let stage = Stage::new();
    stale(&stage, 0..1);
    let precious = stage.dir().join("precious");
    std::fs::create_dir(&precious).unwrap();
    edit(&stage, |text| {
        text.replace("depbench-0", "depbench-0/../precious")
    });
    let report = journal::heal(&stage.journal()).unwrap();
    assert!(!report.is_complete(), "{report}");
    edit(&stage, |_| "{".to_owned());
    let report = journal::heal(&stage.journal()).unwrap();
    assert!(
        report.unhealed[0].reason.contains("no journal entry"),
        "{report}"
    );
    assert!(precious.exists());
}

fn a_link_put_in_the_way_leads_nowhere() {
    let stage = Stage::new();
    let tagged = stage.tagged("linked");
    let precious = stage
        .dir()
        .parent()
        .unwrap()
        .join(format!("precious-{}", std::process::id()));
    std::fs::create_dir_all(precious.join("data")).unwrap();
    let undo = Undo::RemoveDir {
        path: tagged.join("data"),
    };
    drop(stage.open().record(undo).unwrap());
    std::os::unix::fs::symlink(&precious, &tagged).unwrap();
    let report = journal::heal(&stage.journal()).unwrap();
    assert!(report.unhealed[0].reason.contains("not ours"), "{report}");
    assert!(precious.join("data").exists());
    std::fs::remove_dir_all(precious).unwrap();
}

fn what_is_not_ours_is_refused() {
    let stage = Stage::new();
    let journal = stage.open();
    let refused = [
        Undo::RemoveDir {
            path: "/etc".into(),
        },
        Undo::RemoveDir {
            path: "depbench-x".into(),
        },
        Undo::RemoveDir {
            path: "/tmp/depbench-x/../../etc".into(),
        },
        Undo::RemoveCgroup {
            paths: vec!["/sys/fs/cgroup/cpu".into()],
        },
        Undo::RemoveCgroup {
            paths: vec!["/tmp/depbench-x".into()],
        },
        Undo::write_file("/etc/passwd", ""),
        Undo::write_file("/sys/../etc/passwd", ""),
        Undo::DeleteLink {
            name: "eth0".parse().unwrap(),
        },
    ];
    for undo in refused {
        let error = journal.record(undo.clone()).unwrap_err();
        assert!(
            error.to_string().starts_with("undo refused"),
            "{undo}: {error}"
        );
    }
    journal.close().unwrap();
    assert!(stage.owners().is_empty());
}
