//! A snapshot is there whole or not at all.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::{DiskFault, Sim};
use depfast::{Env, NodeId, real};
use depfast_raft::storage::{SnapshotMeta, SnapshotReader, Snapshots, is_full};
use depfast_raft::{Durability, LogIndex, Term};

const NODE: NodeId = NodeId(1);

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta {
        index: LogIndex(index),
        term: Term(index / 10),
        configuration: Bytes::from(format!("members at {index}")),
    }
}

/// Chunks of many sizes, the last one larger than what is read at once.
fn chunks(index: u64) -> Vec<Bytes> {
    let sizes = [0, 1, 100, 3000, 200_000];
    sizes
        .map(|size| Bytes::from(vec![index as u8; size]))
        .into()
}

async fn write(snapshots: &Rc<Snapshots>, index: u64) -> io::Result<()> {
    let mut writer = snapshots.begin(meta(index)).await?;
    for chunk in chunks(index) {
        writer.write(chunk).await?;
    }
    writer.finish().await
}

async fn read(reader: &SnapshotReader) -> Vec<Bytes> {
    let (mut found, mut offset) = (Vec::new(), reader.first());
    while let Some(chunk) = reader.chunk_at(offset).await.unwrap() {
        found.push(chunk.bytes);
        offset = chunk.next;
    }
    found
}

async fn write_and_read(env: Env, durability: Durability) {
    let snapshots = Snapshots::open(&env, durability).await.unwrap();
    assert_eq!((snapshots.latest(), snapshots.length()), (None, 0));
    write(&snapshots, 10).await.unwrap();
    let first = snapshots.reader().unwrap();
    write(&snapshots, 20).await.unwrap();
    assert_eq!(snapshots.latest(), Some(meta(20)));
    let content: usize = chunks(20).iter().map(Bytes::len).sum();
    assert!(snapshots.length() > content as u64);
    assert_eq!(read(&snapshots.reader().unwrap()).await, chunks(20));
    // Whoever sends the old one can go on.
    assert_eq!(first.meta(), &meta(10));
    assert_eq!(read(&first).await, chunks(10));
    // One that was overtaken while it was written changes nothing.
    write(&snapshots, 15).await.unwrap();
    drop(snapshots.begin(meta(30)).await.unwrap());
    assert_eq!(snapshots.latest(), Some(meta(20)));
}

#[test]
fn the_latest_snapshot_is_the_current_one() {
    for durability in [Durability::Fsync, Durability::Memory] {
        let directory = tempfile::tempdir().unwrap();
        let options = real::Options::new(directory.path());
        real::run(options.clone(), move |env| write_and_read(env, durability)).unwrap();
        let found = real::run(options, |env| async move {
            let snapshots = Snapshots::open(&env, durability).await.unwrap();
            assert_eq!(snapshots.length() > 0, durability == Durability::Fsync);
            snapshots.latest()
        });
        let kept = (durability == Durability::Fsync).then(|| meta(20));
        assert_eq!(found.unwrap(), kept);
        let files = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, usize::from(kept.is_some()), "nothing else is left");
    }
}

#[test]
fn a_receiver_needs_the_chunks_at_the_same_offsets() {
    let directory = tempfile::tempdir().unwrap();
    real::run(real::Options::new(directory.path()), |env| async move {
        let sender = Snapshots::open(&env, Durability::Memory).await.unwrap();
        let receiver = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        write(&sender, 10).await.unwrap();
        let reader = sender.reader().unwrap();
        let mut writer = receiver.begin(reader.meta().clone()).await.unwrap();
        assert_eq!(writer.offset(), reader.first());
        while let Some(chunk) = reader.chunk_at(writer.offset()).await.unwrap() {
            writer.write(chunk.bytes).await.unwrap();
            assert_eq!(writer.offset(), chunk.next);
        }
        writer.finish().await.unwrap();
        assert_eq!(read(&receiver.reader().unwrap()).await, chunks(10));
    })
    .unwrap();
}

/// Writes snapshots until it loses power; says which one is there then, and whether it had been finished.
fn after_crash(seed: u64) -> (u64, u64) {
    let sim = Sim::new(seed);
    let finished = Rc::new(RefCell::new(0));
    let noted = Rc::clone(&finished);
    sim.start(NODE, |env| async move {
        let snapshots = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        for index in 1.. {
            write(&snapshots, index).await.unwrap();
            *noted.borrow_mut() = index;
        }
    });
    sim.run_for(
        sim.rng()
            .duration(&(Duration::ZERO..Duration::from_millis(10))),
    );
    sim.crash(NODE);
    let found = Rc::new(RefCell::new(None));
    let result = Rc::clone(&found);
    sim.start(NODE, |env| async move {
        let snapshots = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        let mut index = 0;
        if let Some(reader) = snapshots.reader() {
            index = reader.meta().index.0;
            assert_eq!(read(&reader).await, chunks(index));
        }
        let names = env.disk().list().wait("list").await.unwrap();
        assert_eq!(names.len(), usize::from(index > 0), "{names:?}");
        *result.borrow_mut() = Some(index);
    });
    sim.run_for(Duration::from_secs(1));
    (
        found.take().expect("the snapshot is sound"),
        finished.take(),
    )
}

#[test]
fn a_crash_leaves_the_old_snapshot_or_the_new_one() {
    let outcomes: Vec<_> = (0..200).map(after_crash).collect();
    for (found, finished) in &outcomes {
        assert!(
            found == finished || *found == finished + 1,
            "{found} {finished}"
        );
    }
    assert!(outcomes.iter().any(|(found, finished)| found > finished));
    assert!(outcomes.iter().any(|(found, _)| *found > 2));
}

#[test]
fn a_full_disk_costs_only_the_new_snapshot() {
    let sim = Sim::new(1);
    let world = sim.clone();
    sim.start(NODE, |env| async move {
        let snapshots = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        write(&snapshots, 10).await.unwrap();
        world.set_disk_fault(NODE, DiskFault::Full);
        assert!(is_full(&write(&snapshots, 20).await.unwrap_err()));
        assert_eq!(snapshots.latest(), Some(meta(10)));
        assert_eq!(read(&snapshots.reader().unwrap()).await, chunks(10));
        world.set_disk_fault(NODE, DiskFault::None);
        write(&snapshots, 30).await.unwrap();
        assert_eq!(snapshots.latest(), Some(meta(30)));
        env.terminated().await;
    });
    sim.run_for(Duration::from_secs(1));
    assert!(sim.is_up(NODE), "nothing went wrong");
}

#[test]
fn damage_is_found_and_placed() {
    let directory = tempfile::tempdir().unwrap();
    let options = real::Options::new(directory.path());
    real::run(options.clone(), |env| async move {
        let snapshots = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        write(&snapshots, 10).await.unwrap();
    })
    .unwrap();
    let file = directory.path().join("snapshot");
    let good = std::fs::read(&file).unwrap();
    for position in [
        0,
        9,
        30,
        70,
        100,
        500,
        3000,
        good.len() - 1,
        good.len() - 10,
    ] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&file, bad).unwrap();
        let error = real::run(options.clone(), |env| async move {
            let snapshots = Snapshots::open(&env, Durability::Fsync).await?;
            let reader = snapshots.reader().unwrap();
            let mut offset = reader.first();
            while let Some(chunk) = reader.chunk_at(offset).await? {
                offset = chunk.next;
            }
            io::Result::Ok(())
        });
        let error = error.unwrap().expect_err("damage");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "byte {position}");
        assert!(
            error
                .to_string()
                .contains("file `snapshot` is damaged at byte ")
        );
    }
}
