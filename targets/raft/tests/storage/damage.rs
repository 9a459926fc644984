//! Damage on a real disk is refused, with its place; a torn end is not damage.
//!
//! A log that nobody has written to for a moment ends in a frame that proves that the one before was durable.

use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use depfast::real;
use depfast_raft::Durability;
use depfast_raft::storage::{Damage, HardState, Options, Wal, What};
use depfast_raft::{LogIndex, Term};

use crate::model::{State, batch};

/// Where the frames of a segment begin.
const FIRST: u64 = 4096;
/// What precedes the records of a frame, and at multiples of what frames lie.
const HEAD: u64 = 32;
const ALIGNMENT: u64 = 8;

/// How large a log is.
#[derive(Clone, Copy)]
struct Shape {
    segment_bytes: u64,
    batches: u64,
    batch_bytes: usize,
}

/// Two batches to a segment.
const LARGE: Shape = Shape {
    segment_bytes: 8 << 10,
    batches: 12,
    batch_bytes: 1500,
};
/// So small that every byte can be tried.
const SMALL: Shape = Shape {
    segment_bytes: FIRST + 400,
    batches: 4,
    batch_bytes: 50,
};

impl Shape {
    fn options(self) -> Options {
        Options {
            durability: Durability::Fsync,
            log_memory: usize::MAX,
            segment_bytes: self.segment_bytes,
        }
    }
}

/// Writes batches, each in a frame of its own, over several segments; says where each ends.
fn write(directory: &Path, shape: Shape) -> Vec<u64> {
    let ends = real::run(real::Options::new(directory), move |env| async move {
        let (wal, recovered) = Wal::open(&env, &shape.options(), None).await.unwrap();
        let mut log = recovered.log;
        let mut ends = Vec::new();
        for index in 1..=shape.batches {
            let batch = batch(1, index, &[(1, vec![index as u8; shape.batch_bytes])]);
            let end = wal.append(&batch);
            log.append(batch, end);
            wal.durable().wait("durable", |now| *now >= end).await;
            ends.push(end.0);
        }
        // Of itself the log goes on only to prove its last frame.
        let last = wal.end();
        let proof = wal.durable().wait("proof", |now| *now > last);
        env.within("a minute", Duration::from_secs(60), proof)
            .await
            .expect("in time");
        // The note that a segment is full, and the next one, are written when nobody waits for them.
        env.timeout("upkeep", Duration::from_millis(300)).await;
        ends
    });
    ends.unwrap()
}

/// What is found: how many entries, or the damage.
fn open(directory: &Path, shape: Shape) -> Result<usize, What> {
    let opened = real::run(real::Options::new(directory), move |env| async move {
        let (_, recovered) = Wal::open(&env, &shape.options(), None).await?;
        Ok(State::of(&recovered).entries)
    });
    let result: io::Result<_> = opened.unwrap();
    match result {
        Ok(entries) => {
            for (entry, index) in entries.iter().zip(1..) {
                assert_eq!(
                    entry.1,
                    vec![index; shape.batch_bytes],
                    "nothing is invented"
                );
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
    shape: Shape,
    good: tempfile::TempDir,
    bad: tempfile::TempDir,
    ends: Vec<u64>,
}

impl Scene {
    fn new(shape: Shape) -> Self {
        let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ends = write(good.path(), shape);
        let scene = Self {
            shape,
            good,
            bad,
            ends,
        };
        assert_eq!(scene.spoilt(|_| {}), Ok(scene.all()));
        assert!(scene.active() > 1, "there are several segments");
        scene
    }

    fn all(&self) -> usize {
        self.ends.len()
    }

    fn spoilt(&self, spoil: impl FnOnce(&Path)) -> Result<usize, What> {
        copy(self.good.path(), self.bad.path());
        spoil(self.bad.path());
        open(self.bad.path(), self.shape)
    }

    fn changed(&self, segment: u64, change: impl FnOnce(&mut Vec<u8>)) -> Result<usize, What> {
        self.spoilt(|directory| {
            let path = directory.join(file(segment));
            let mut bytes = fs::read(&path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        })
    }

    fn flip(&self, segment: u64, offset: u64) -> Result<usize, What> {
        self.changed(segment, |bytes| {
            bytes[usize::try_from(offset).unwrap()] ^= 1 << (offset % 8);
        })
    }

    fn cut(&self, segment: u64, length: u64) -> Result<usize, What> {
        self.changed(segment, |bytes| {
            bytes.truncate(usize::try_from(length).unwrap());
        })
    }

    /// The segment with the last batch.
    fn active(&self) -> u64 {
        self.ends.last().unwrap() >> 32
    }

    /// Where frames end in a segment.
    fn ends_in(&self, segment: u64) -> impl DoubleEndedIterator<Item = u64> + Clone {
        let ends = self.ends.iter().filter(move |end| **end >> 32 == segment);
        ends.map(|end| end & 0xffff_ffff)
    }
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    let scene = Scene::new(SMALL);
    for segment in 1..=scene.active() {
        let ends = scene.ends_in(segment);
        let last = ends.clone().next_back().unwrap();
        let header = 0..HEAD;
        for offset in header.chain(FIRST..last) {
            let found = scene.flip(segment, offset);
            if offset < FIRST {
                let file = file(segment);
                assert_eq!(found, Err(What::Header { file }), "{segment}:{offset}");
                continue;
            }
            let mut gaps = ends.clone();
            if gaps.any(|end| (end..end.next_multiple_of(ALIGNMENT)).contains(&offset)) {
                assert_eq!(found, Ok(scene.all()), "between frames: {segment}:{offset}");
                continue;
            }
            let Err(What::Changed {
                file: at,
                offset: place,
            }) = found
            else {
                panic!("{segment}:{offset}: {found:?}");
            };
            assert_eq!(at, file(segment));
            assert!(
                place <= offset && offset < place + 200,
                "{place}, not {offset}"
            );
        }
        // What proves the last frame, or says that the next segment follows, and what was never written.
        for offset in last..scene.shape.segment_bytes {
            assert_eq!(
                scene.flip(segment, offset),
                Ok(scene.all()),
                "{segment}:{offset}"
            );
        }
    }
}

#[test]
fn a_missing_or_shortened_segment_is_refused() {
    let scene = Scene::new(SMALL);
    for segment in 1..=scene.active() {
        let missing = scene.spoilt(|directory| {
            fs::remove_file(directory.join(file(segment))).unwrap();
        });
        let name = file(segment);
        assert_eq!(missing, Err(What::Missing { file: name }), "{segment}");
        for length in (0..HEAD)
            .chain([FIRST - 1])
            .chain(FIRST..scene.shape.segment_bytes)
        {
            let file = file(segment);
            let expected = if length < HEAD {
                What::Header { file }
            } else {
                let (found, length) = (length, scene.shape.segment_bytes);
                What::Cut {
                    file,
                    found,
                    length,
                }
            };
            assert_eq!(scene.cut(segment, length), Err(expected));
        }
    }
    // All from some segment on.
    let scene = Scene::new(LARGE);
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
    let scene = Scene::new(LARGE);
    let shape = scene.shape;
    let kept = shape.batches - 1;
    // The process died before the last write was done: pages of it are missing, its head is there, and nothing follows.
    let last = usize::try_from(scene.ends.last().unwrap() & 0xffff_ffff).unwrap();
    let torn = scene.changed(scene.active(), |bytes| bytes[last - 800..].fill(0));
    assert_eq!(torn, Ok(kept as usize));
    for life in 1..4u64 {
        let directory = real::Options::new(scene.bad.path());
        let found = real::run(directory, move |env| async move {
            let (wal, recovered) = Wal::open(&env, &shape.options(), None).await.unwrap();
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
        assert_eq!(found.last(), kept);
        assert_eq!(found.start.after, LogIndex::ZERO);
    }
}
