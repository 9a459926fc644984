//! Files are used again, and a full disk loses nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use depfast::sim::{DiskFault, Sim};
use depfast::{Env, NodeId, real};
use depfast_raft::storage::{
    HardState, Log, Lsn, Options, SnapshotMeta, Snapshots, Space, Wal, is_full,
};
use depfast_raft::{Config, Durability, LogIndex, Member, Term};
use resp::encode;

use crate::model::{State, batch};

const NODE: NodeId = NodeId(1);
const SEGMENT: u64 = 32 << 10;
const ENTRY: usize = 1000;

/// A log with its snapshots.
struct Storage {
    wal: Rc<Wal>,
    log: Log,
    snapshots: Rc<Snapshots>,
    state: State,
}

impl Storage {
    async fn open(env: &Env) -> Self {
        let snapshots = Snapshots::open(env, Durability::Fsync).await.unwrap();
        let options = Options {
            durability: Durability::Fsync,
            log_memory: usize::MAX,
            segment_bytes: SEGMENT,
        };
        let latest = snapshots.latest();
        let (wal, recovered) = Wal::open(env, &options, latest.as_ref()).await.unwrap();
        Self {
            wal,
            state: State::of(&recovered),
            log: recovered.log,
            snapshots,
        }
    }

    fn append(&mut self) -> Lsn {
        let index = self.log.last().next().0;
        let batch = batch(1, index, &[(1, vec![index as u8; ENTRY])]);
        let end = self.wal.append(&batch);
        self.log.append(batch, end);
        end
    }

    async fn append_durably(&mut self) {
        let end = self.append();
        self.wal.durable().wait("durable", |now| *now >= end).await;
    }

    async fn compact(&mut self) {
        let meta = SnapshotMeta {
            index: self.log.last(),
            term: self.log.last_term(),
            configuration: Bytes::new(),
        };
        let writer = self.snapshots.begin(meta.clone()).await.unwrap();
        writer.finish().await.unwrap();
        self.wal.compact(&mut self.log, meta.index);
    }
}

#[test]
fn compaction_frees_segments_and_they_are_used_again() {
    let directory = tempfile::tempdir().unwrap();
    bounded(directory.path(), |env| async move {
        let mut storage = Storage::open(&env).await;
        let mut most = 0;
        for round in 0..600 {
            storage.append_durably().await;
            if round % 100 == 99 {
                storage.compact().await;
            }
            let names = env.disk().list().wait("list").await.unwrap();
            most = most.max(names.len());
        }
        // 100 entries take four segments; there are four spare ones, the next one and the snapshots.
        assert!((5..14).contains(&most), "{most} files");
    });
    let found = bounded(directory.path(), |env| async move {
        Storage::open(&env).await.state
    });
    assert_eq!(found.start.after, LogIndex(600));
    assert_eq!(found.entries, []);
}

#[test]
fn a_full_disk_refuses_new_entries_and_loses_none() {
    let sim = Sim::new(1);
    let world = sim.clone();
    sim.start(NODE, |env| async move {
        let mut storage = Storage::open(&env).await;
        storage.append_durably().await;
        env.timeout("upkeep", Duration::from_secs(1)).await;
        world.set_disk_fault(NODE, DiskFault::Full);
        let space = storage.wal.space().clone();
        while space.get() == Space::Enough {
            storage.append_durably().await;
            env.timeout("pause", Duration::from_millis(10)).await;
        }
        // There is room for what was under way, and for votes, but not forever.
        for _ in 0..20 {
            storage.append_durably().await;
        }
        let vote = HardState {
            term: Term(7),
            voted_for: Some(NODE),
        };
        let noted = storage.wal.note(&vote);
        let durable = storage.wal.durable().clone();
        durable.wait("durable", |now| *now >= noted).await;
        let held = storage.log.last().0;
        let end = (0..100).map(|_| storage.append()).last().unwrap();
        env.timeout("no space", Duration::from_secs(5)).await;
        assert!(durable.get() < end, "there is no space");
        assert_eq!(space.get(), Space::Full);
        assert!(storage.wal.failure().with(Option::is_none));
        // What is there can be read.
        storage.log.shrink(durable.get(), 0);
        assert!(storage.log.last().0 == held + 100);
        world.set_disk_fault(NODE, DiskFault::None);
        durable.wait("durable", |now| *now >= end).await;
        space.wait("space", |space| *space == Space::Enough).await;
        storage.append_durably().await;
        env.terminated().await;
    });
    sim.run_for(Duration::from_secs(30));
    assert!(sim.is_up(NODE));
    sim.crash(NODE);
    let found = Rc::new(RefCell::new(State::default()));
    let result = Rc::clone(&found);
    sim.start(NODE, |env| async move {
        *result.borrow_mut() = Storage::open(&env).await.state;
    });
    sim.run_for(Duration::from_secs(1));
    let found = found.take();
    assert_eq!(found.hard_state.term, Term(7));
    assert!(found.last() > 100, "{}", found.last());
}

#[test]
fn an_error_of_the_disk_is_final() {
    let sim = Sim::new(1);
    let world = sim.clone();
    sim.start(NODE, |env| async move {
        let mut storage = Storage::open(&env).await;
        storage.append_durably().await;
        let durable = storage.wal.durable().get();
        world.set_disk_fault(NODE, DiskFault::Error);
        storage.append();
        let failure = storage.wal.failure();
        failure.wait("failure", Option::is_some).await;
        // The disk is well again, but what it holds is unknown.
        world.set_disk_fault(NODE, DiskFault::None);
        storage.append();
        env.timeout("much later", Duration::from_secs(5)).await;
        assert_eq!(storage.wal.durable().get(), durable);
        env.terminated().await;
    });
    sim.run_for(Duration::from_secs(10));
    assert!(sim.is_up(NODE));
}

/// Mounts a file system of `size` bytes at `directory`, for this thread and those it starts only: it is gone with them.
fn mount_small(directory: &Path, size: u64) -> nix::Result<()> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let options = format!("size={size}");
    let (kind, flags) = (Some("tmpfs"), MsFlags::empty());
    mount(Some("tmpfs"), directory, kind, flags, Some(&options[..]))
}

#[test]
fn a_real_file_system_that_is_full_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    if let Err(error) = mount_small(directory.path(), 8 * SEGMENT) {
        println!("skipped: mounting a small file system needs more rights ({error})");
        return;
    }
    let path = directory.path().to_owned();
    // Somebody else takes space, and gives it back later.
    let other = path.join("somebody else's");
    std::fs::write(&other, vec![1; 4 * SEGMENT as usize]).unwrap();
    let held = bounded(&path, |env| async move {
        let mut storage = Storage::open(&env).await;
        let (space, durable) = (storage.wal.space().clone(), storage.wal.durable().clone());
        let mut held = 0;
        while space.get() == Space::Enough {
            let end = storage.append();
            while durable.get() < end && space.get() == Space::Enough {
                env.timeout("durable", Duration::from_millis(1)).await;
            }
            held = storage.log.last().0 - u64::from(durable.get() < end);
        }
        // A snapshot finds no space either, which costs nothing else.
        let meta = SnapshotMeta {
            index: storage.log.last(),
            term: Term(1),
            configuration: Bytes::new(),
        };
        let refused = async {
            let mut writer = storage.snapshots.begin(meta.clone()).await?;
            writer
                .write(Bytes::from(vec![0; 8 * SEGMENT as usize]))
                .await
        };
        assert!(is_full(&refused.await.unwrap_err()));
        assert_eq!(storage.snapshots.latest(), None);
        assert!(storage.wal.failure().with(Option::is_none));
        held
    });
    assert!(held > 32, "{held} entries of 1 KiB fit");
    let again = bounded(&path, move |env| async move {
        let mut storage = Storage::open(&env).await;
        // The last one was perhaps being written when the disk was found to be full.
        let found = storage.state.last();
        assert!(found == held || found == held + 1, "{found}, not {held}");
        for (entry, index) in storage.state.entries.iter().zip(1u64..) {
            assert_eq!(entry.1, vec![index as u8; ENTRY]);
        }
        let last = (0..100).map(|_| storage.append()).last().unwrap();
        let (wal, space) = (&storage.wal, storage.wal.space());
        space.wait("full", |space| *space == Space::Full).await;
        assert!(wal.durable().get() < last);
        std::fs::remove_file(other).unwrap();
        wal.durable().wait("durable", |now| *now >= last).await;
        space.wait("space", |space| *space == Space::Enough).await;
        assert_eq!(storage.log.last().0, found + 100);
        found + 100
    });
    let found = bounded(&path, |env| async move { Storage::open(&env).await.state });
    assert_eq!(found.last(), again);
}

/// Runs on real files, for a minute at most.
fn bounded<T: 'static, F: Future<Output = T> + 'static>(
    directory: &Path,
    main: impl FnOnce(Env) -> F,
) -> T {
    let options = real::Options::new(directory);
    let bounded = |env: Env| {
        let main = main(env.clone());
        async move { env.within("a minute", Duration::from_secs(60), main).await }
    };
    real::run(options, bounded).unwrap().expect("in time")
}

/// Writes a value over and over, until it was written `count` times.
fn write_over(address: &str, count: usize) {
    let value = vec![b'v'; 100_000];
    let mut request = BytesMut::new();
    encode::command(&mut request, [&b"SET"[..], b"key", &value]);
    let begin = std::time::Instant::now();
    let mut written = 0;
    while written < count {
        assert!(
            begin.elapsed() < Duration::from_secs(90),
            "{written} of {count} writes"
        );
        // A leader is yet to be elected, or the disk is full for a moment.
        if ask(address, &request, count - written, &mut written).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn ask(address: &str, request: &[u8], times: usize, written: &mut usize) -> std::io::Result<()> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    for _ in 0..times {
        stream.write_all(request)?;
        let mut reply = [0; 256];
        let length = stream.read(&mut reply)?;
        if !reply[..length].starts_with(b"+OK") {
            return Err(std::io::ErrorKind::Other.into());
        }
        *written += 1;
    }
    Ok(())
}

#[test]
fn a_replica_whose_log_fills_the_disk_makes_space() {
    let directory = tempfile::tempdir().unwrap();
    // Ten segments, and room for the snapshot.
    if let Err(error) = mount_small(directory.path(), (5 << 20) + (384 << 10)) {
        println!("skipped: mounting a small file system needs more rights ({error})");
        return;
    }
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (peer, client) = (free(), free());
    let address = client.clone();
    let members = BTreeMap::from([(NODE, Member { peer, client })]);
    let config = Config {
        segment_bytes: 512 << 10,
        snapshot_bytes: u64::MAX,
        ..Config::new(NODE, members, directory.path().to_owned())
    };
    let writer = std::thread::spawn(move || write_over(&address, 200));
    real::run(real::Options::new(directory.path()), |env| async move {
        let replica = env.clone();
        env.spawn(async move { depfast_raft::run(replica, config).await.unwrap() });
        while !writer.is_finished() {
            env.timeout("writer", Duration::from_millis(50)).await;
        }
        writer.join().unwrap();
    })
    .unwrap();
}
