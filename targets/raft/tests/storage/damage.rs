//! Damage on a real disk is refused, with its place; a torn end is not damage.

use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

use depfast::real;
use depfast_raft::Durability;
use depfast_raft::storage::{Damage, HardState, Options, Wal, What};
use depfast_raft::{LogIndex, Term};

use crate::model::{State, batch};

const SEGMENT: u64 = 8 << 10;
const BATCHES: u64 = 12;

fn options() -> Options {
    Options {
        durability: Durability::Fsync,
        log_memory: usize::MAX,
        segment_bytes: SEGMENT,
    }
}

/// Writes batches of 500 bytes, each in a frame of its own, over several segments; says where each ends.
fn write(directory: &Path) -> Vec<u64> {
    let ends = real::run(real::Options::new(directory), |env| async move {
        let (wal, recovered) = Wal::open(&env, &options(), None).await.unwrap();
        let mut log = recovered.log;
        let mut ends = Vec::new();
        for index in 1..=BATCHES {
            let batch = batch(1, index, &[(1, vec![index as u8; 1500])]);
            let end = wal.append(&batch);
            log.append(batch, end);
            wal.durable().wait("durable", |now| *now >= end).await;
            ends.push(end.0);
        }
        // The note that a segment is full, and the next one, are written when nobody waits for them.
        env.timeout("upkeep", std::time::Duration::from_millis(300))
            .await;
        ends
    });
    ends.unwrap()
}

/// What is found: how many entries, or the damage.
fn open(directory: &Path) -> Result<usize, What> {
    let opened = real::run(real::Options::new(directory), |env| async move {
        let (_, recovered) = Wal::open(&env, &options(), None).await?;
        Ok(State::of(&recovered).entries)
    });
    let result: io::Result<_> = opened.unwrap();
    match result {
        Ok(entries) => {
            for (entry, index) in entries.iter().zip(1..) {
                assert_eq!(entry.1, [index; 1500], "nothing is invented");
            }
            Ok(entries.len())
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            let damage = error.into_inner().unwrap().downcast::<Damage>().unwrap();
            assert!(damage.to_string().contains("restore the files"));
            Err(damage.what)
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn segments(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn file(segment: u64) -> String {
    format!("{segment:010}.log")
}

/// A log, and a place for copies of it that are spoilt.
struct Scene {
    good: tempfile::TempDir,
    bad: tempfile::TempDir,
    ends: Vec<u64>,
}

impl Scene {
    fn new() -> Self {
        let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ends = write(good.path());
        let scene = Self { good, bad, ends };
        assert_eq!(scene.spoilt(|_| {}), Ok(BATCHES as usize));
        assert!(scene.active() > 3, "there are several segments");
        scene
    }

    fn spoilt(&self, spoil: impl FnOnce(&Path)) -> Result<usize, What> {
        copy(self.good.path(), self.bad.path());
        spoil(self.bad.path());
        open(self.bad.path())
    }

    fn flip(&self, segment: u64, offset: u64) -> Result<usize, What> {
        self.spoilt(|directory| {
            let path = directory.join(file(segment));
            let mut bytes = fs::read(&path).unwrap();
            bytes[usize::try_from(offset).unwrap()] ^= 0x40;
            fs::write(path, bytes).unwrap();
        })
    }

    /// The segment with the last batch.
    fn active(&self) -> u64 {
        self.ends.last().unwrap() >> 32
    }
}

#[test]
fn a_changed_byte_is_refused_unless_it_may_be_a_torn_write() {
    let scene = Scene::new();
    for (position, end) in scene.ends.iter().enumerate() {
        let (segment, end) = (end >> 32, end & 0xffff_ffff);
        // In the entry, in the record before it, in the frame before that.
        for back in [1, 700, 1499, 1510, 1530, 1550] {
            let found = scene.flip(segment, end - back);
            if position as u64 == BATCHES - 1 {
                assert_eq!(found, Ok(position), "the last write may be torn");
            } else {
                match found.unwrap_err() {
                    What::Changed { file: at, offset } => {
                        assert_eq!(at, file(segment));
                        assert!((end - 1600..end).contains(&offset), "{offset} of {end}");
                    }
                    other => panic!("{other}"),
                }
            }
        }
    }
    for segment in 1..=scene.active() {
        let header = What::Header {
            file: file(segment),
        };
        assert_eq!(scene.flip(segment, 20), Err(header));
    }
}

#[test]
fn a_missing_or_shortened_segment_is_refused() {
    let scene = Scene::new();
    for segment in 1..=scene.active() {
        let missing = scene.spoilt(|directory| {
            fs::remove_file(directory.join(file(segment))).unwrap();
        });
        let name = file(segment);
        assert_eq!(missing, Err(What::Missing { file: name }), "{segment}");
        for length in [0, 4096, 5000] {
            let short = scene.spoilt(|directory| {
                let path = directory.join(file(segment));
                let mut bytes = fs::read(&path).unwrap();
                bytes.truncate(length);
                fs::write(path, bytes).unwrap();
            });
            let text = short.expect_err("damage").to_string();
            assert!(text.contains(&file(segment)), "{text}");
        }
    }
    // All from some segment on.
    let missing = scene.spoilt(|directory| {
        for name in segments(directory) {
            if name >= file(3) {
                fs::remove_file(directory.join(name)).unwrap();
            }
        }
    });
    assert_eq!(missing, Err(What::Missing { file: file(3) }));
}

#[test]
fn a_torn_end_is_cut_and_written_over() {
    let scene = Scene::new();
    let end = scene.ends.last().unwrap() & 0xffff_ffff;
    let path = scene.bad.path().join(file(scene.active()));
    // Pages of the last write are missing, its head is there.
    let torn = scene.spoilt(|_| {
        let mut bytes = fs::read(&path).unwrap();
        let end = usize::try_from(end).unwrap();
        bytes[end - 800..end].fill(0);
        fs::write(&path, bytes).unwrap();
    });
    assert_eq!(torn, Ok(BATCHES as usize - 1));
    for life in 1..4u64 {
        let directory = real::Options::new(scene.bad.path());
        let found = real::run(directory, move |env| async move {
            let (wal, recovered) = Wal::open(&env, &options(), None).await.unwrap();
            let found = State::of(&recovered);
            let state = HardState {
                term: Term(life),
                voted_for: None,
            };
            let end = wal.note(&state);
            wal.durable().wait("durable", |now| *now >= end).await;
            Rc::new(found)
        });
        let found = found.unwrap();
        assert_eq!(found.hard_state.term, Term(life - 1));
        assert_eq!(found.last(), BATCHES - 1);
        assert_eq!(found.start.after, LogIndex::ZERO);
    }
}
