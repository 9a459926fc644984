//! Damage on a real disk is refused, with its place; a torn end is not damage.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use depfast::disk::Flush;
use depfast::disk::frame::{HEAD, aligned};
use depfast::{Disk, Env, real};

use super::file::{FIRST, HEADER, LogFile};
use super::piece::{self, Piece};
use super::{Damage, NAME, Wal, What, compact, recovery};
use crate::batch::{BatchBuilder, ClientId, Command};
use crate::config::Durability;
use crate::core::{Index, Record, ReplicaId, Role, Value, View, Vote};

/// By how much the smallest files grow.
const STEP: u64 = 64 << 10;
const FRAMES: usize = 4;

fn on_disk<F: Future<Output = ()> + 'static>(test: impl FnOnce(Env) -> F + 'static) {
    let directory = tempfile::tempdir().unwrap();
    real::run(real::Options::new(directory.path()), test).unwrap();
}

/// A record with an operation of so many bytes.
fn record(index: usize, bytes: usize) -> Record {
    let mut batch = BatchBuilder::default();
    batch.push(Command {
        client: ClientId(1),
        seq: 1,
        acked: 0,
        op: &vec![7; bytes],
    });
    let index = Index(index as u64);
    let origin = View {
        number: 0,
        pilot: ReplicaId(1),
        start: Index::ZERO,
    };
    let value = Value {
        origin,
        batch: batch.take(usize::MAX),
    };
    let vote = Vote {
        value,
        proposed: index,
        dep: index,
    };
    Record::Voted(Role::Pilot, index, vote)
}

fn body(record: Record) -> Bytes {
    let mut body = BytesMut::new();
    piece::put(&Piece::Change(record), &mut body);
    body.freeze()
}

/// Replaces the log file and reads it: how many records there are, and whether damage to the last frame would show.
async fn read(disk: &Disk, content: &[u8]) -> Result<(usize, bool), What> {
    let file = disk.open(NAME).wait("open").await.unwrap();
    file.truncate(content.len() as u64)
        .wait("cut")
        .await
        .unwrap();
    let content = vec![Bytes::copy_from_slice(content)];
    file.write(0, content, Flush::No)
        .wait("write")
        .await
        .unwrap();
    match recovery::read(disk).await {
        Ok(found) => {
            let found = found.unwrap();
            Ok((found.recovered.records.len(), found.is_proven))
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            let damage = error.into_inner().unwrap().downcast::<Damage>().unwrap();
            assert!(damage.to_string().contains("must not start"), "{damage}");
            Err(damage.what)
        }
    }
}

/// Writes frames of one record each; gives where they end and what the file holds when the last one is proven.
async fn written(env: &Env) -> (Vec<u64>, Vec<u8>) {
    let (wal, _) = Wal::open(env, Durability::Fsync, 0).await.unwrap();
    let file = wal.current.borrow().clone().unwrap();
    let mut ends = Vec::new();
    for index in 1..=FRAMES {
        wal.append(&[record(index, 10 + index)]);
        wal.flushed("test").await;
        ends.push(file.end());
    }
    let proven = async {
        while file.end() == ends[FRAMES - 1] {
            env.timeout("proof", Duration::from_millis(20)).await;
        }
    };
    let patience = Duration::from_secs(60);
    env.within("a minute", patience, proven)
        .await
        .expect("in time");
    let file = env.disk().open(NAME).wait("open").await.unwrap();
    let content = file.read(0, 1 << 20).wait("read").await.unwrap();
    (ends, content.to_vec())
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    on_disk(|env| async move {
        let (ends, good) = written(&env).await;
        let disk = env.disk();
        assert_eq!(read(&disk, &good).await, Ok((FRAMES, true)));
        let last = ends[FRAMES - 1];
        let proof = aligned(last)..aligned(last) + HEAD as u64;
        for place in (0..HEADER as u64).chain(FIRST..proof.end + 64) {
            let mut bad = good.clone();
            bad[place as usize] ^= 1 << (place % 8);
            let found = read(&disk, &bad).await;
            let is_between = ends
                .iter()
                .any(|end| (*end..aligned(*end)).contains(&place));
            if place < FIRST {
                assert_eq!(found, Err(What::Header), "{place}");
            } else if place >= last || is_between {
                let is_proven = !proof.contains(&place);
                assert_eq!(found, Ok((FRAMES, is_proven)), "{place}");
            } else {
                let Err(What::Changed { offset }) = found else {
                    panic!("{place}: {found:?}");
                };
                assert!(offset <= place && place < offset + 200, "{place}: {offset}");
            }
        }
    });
}

#[test]
fn a_file_that_was_cut_is_refused() {
    on_disk(|env| async move {
        let (ends, good) = written(&env).await;
        let disk = env.disk();
        let last = ends[FRAMES - 1];
        for length in (0..HEADER as u64).chain(FIRST - 1..last + 80).rev() {
            let found = read(&disk, &good[..length as usize]).await;
            if length < HEADER as u64 {
                assert_eq!(found, Err(What::Header), "{length}");
            } else {
                let found_length = length;
                let cut = What::Cut {
                    found: found_length,
                    length: STEP,
                };
                assert_eq!(found, Err(cut), "{length}");
            }
        }
    });
}

/// Wherever a frame ends before the place of a cut that leaves a length that a file may have.
#[test]
fn a_file_cut_between_frames_is_refused() {
    on_disk(|env| async move {
        let disk = env.disk();
        let least = body(record(1, 0)).len();
        for gap in 0..2 * HEAD {
            let file = compact::begin(&env, &disk, 0).await.unwrap();
            let room = usize::try_from(STEP - FIRST).unwrap() - HEAD - least - gap;
            file.append(body(record(1, room)), "test").await.unwrap();
            assert_eq!(file.end(), STEP - gap as u64);
            file.append(body(record(2, 5)), "test").await.unwrap();
            compact::give_name(&disk).await.unwrap();
            let file = disk.open(NAME).wait("open").await.unwrap();
            let content = file.read(0, 1 << 20).wait("read").await.unwrap();
            assert_eq!(content.len() as u64, 2 * STEP, "{gap}");
            assert_eq!(read(&disk, &content).await, Ok((2, false)), "{gap}");
            let found = read(&disk, &content[..content.len() / 2]).await;
            assert!(matches!(found, Err(What::Cut { .. })), "{gap}: {found:?}");
        }
    });
}

#[test]
fn a_torn_last_frame_is_forgotten_and_written_over() {
    on_disk(|env| async move {
        let disk = env.disk();
        let file = compact::begin(&env, &disk, 0).await.unwrap();
        file.append(body(record(1, 30)), "test").await.unwrap();
        let end = file.end();
        file.append(body(record(2, 300)), "test").await.unwrap();
        let last = aligned(end)..file.end();
        compact::give_name(&disk).await.unwrap();
        let file = disk.open(NAME).wait("open").await.unwrap();
        let good = file.read(0, 1 << 20).wait("read").await.unwrap();
        for place in last {
            let mut torn = good.to_vec();
            torn[place as usize] ^= 1 << (place % 8);
            assert_eq!(read(&disk, &torn).await, Ok((1, false)), "{place}");
        }
        // The head of the torn frame is still there, and its body is not.
        let (wal, found) = Wal::open(&env, Durability::Fsync, 0).await.unwrap();
        assert_eq!(found.records.len(), 1);
        wal.append(&[record(2, 40)]);
        wal.flushed("test").await;
        let found = recovery::read(&disk).await.unwrap().unwrap();
        assert_eq!(
            found.recovered.records,
            [record(1, 30), record(2, 40)],
            "and nothing of the torn one"
        );
    });
}

#[test]
fn another_file_is_no_log() {
    on_disk(|env| async move {
        let mut other = BytesMut::new();
        other.put_bytes(1, 100);
        assert_eq!(read(&env.disk(), &other).await, Err(What::Header));
        let file = LogFile::begin(&env, &env.disk(), NAME, 0).await.unwrap();
        file.append(Bytes::from_static(b"\xff\xff\xff\xff"), "test")
            .await
            .unwrap();
        let found = recovery::read(&env.disk()).await.err().unwrap();
        assert!(found.to_string().contains("cannot read"), "{found}");
    });
}
