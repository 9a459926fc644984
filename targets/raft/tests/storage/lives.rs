//! Lives of a replica's storage on a simulated disk: random appends, truncations, votes, snapshots and compactions,
//! ended by power failures that lose, tear and reorder what was not flushed. Whatever was durable is found again, and
//! nothing else than what was written: the state after some number of records, as they were appended. Between some lives
//! a bit of the log rots: then it is refused, or nothing but the very last frame is missing.
//!
//! A failing seed names itself; `DEPFAST_SEED=17 cargo test -p depfast-raft --test storage lives` runs it again.
//! `DEPFAST_SEEDS=10000` runs as many.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::Sim;
use depfast::{Env, NodeId, Rng};
use depfast_raft::storage::{HardState, Log, Lsn, Options, SnapshotMeta, Snapshots, Stretch, Wal};
use depfast_raft::{Durability, LogIndex, ReplicaId, Term};

use crate::model::{Entry, State, batch};

const NODE: NodeId = NodeId(1);
const LIVES: usize = 6;
/// About how long nothing must be written until the last frame is proven to be durable.
const QUIET: Duration = Duration::from_millis(50);
/// Small, so that there are many segments.
const SEGMENT: u64 = 10 << 10;

/// What is known of the disk.
#[derive(Default)]
struct Known {
    /// The states after each record that may be the last one found, and where each ends.
    states: Vec<(Lsn, State)>,
    durable: Lsn,
    /// How far it was durable one flush before, in this life: a rotten bit costs no more.
    durable_before: Option<Lsn>,
    rotten: bool,
    refused: usize,
    /// Snapshots that are finished, and one that may be.
    snapshot: Option<SnapshotMeta>,
    coming: Option<SnapshotMeta>,
    written: u64,
    /// To see that something happened.
    truncated: usize,
    compacted: usize,
    received: usize,
    read_back: usize,
}

/// One life; its wal and log, and what should be there.
struct Life {
    env: Env,
    rng: Rng,
    wal: Rc<Wal>,
    log: Log,
    snapshots: Rc<Snapshots>,
    state: State,
    known: Rc<RefCell<Known>>,
}

impl Life {
    /// Opens what is there, and compares it with what should be; `None` if it is refused, as it may be when it is rotten.
    async fn open(env: Env, rng: Rng, known: Rc<RefCell<Known>>) -> Option<Self> {
        let snapshots = Snapshots::open(&env, Durability::Fsync).await.unwrap();
        let latest = snapshots.latest();
        let options = Options {
            durability: Durability::Fsync,
            log_memory: usize::MAX,
            segment_bytes: SEGMENT,
        };
        let opened = Wal::open(&env, &options, latest.as_ref()).await;
        let rotten = std::mem::take(&mut known.borrow_mut().rotten);
        let (wal, recovered) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                assert!(rotten && error.kind() == ErrorKind::InvalidData, "{error}");
                known.borrow_mut().refused += 1;
                return None;
            }
        };
        let state = State::of(&recovered);
        {
            let mut known = known.borrow_mut();
            assert!(
                latest == known.snapshot || latest == known.coming,
                "{latest:?}: neither {:?} nor {:?}",
                known.snapshot,
                known.coming
            );
            let start = latest.as_ref().map(SnapshotMeta::log_start);
            let start = start.unwrap_or_default();
            let possible = |(_, state): &(Lsn, State)| {
                let mut state = state.clone();
                state.continue_from(start);
                state
            };
            let kept = known.durable_before.filter(|_| rotten);
            let durable = kept.unwrap_or(known.durable);
            let first = known.states.partition_point(|(end, _)| *end <= durable);
            let mut certain = known.states[first.saturating_sub(1)..].iter();
            if !known.states.is_empty() {
                assert!(
                    certain.any(|known| possible(known) == state),
                    "found {state:?}\nwhich is none of {:#?}",
                    &known.states[first.saturating_sub(1)..]
                );
            }
            known.states = vec![(wal.end(), state.clone())];
            (known.durable, known.durable_before) = (wal.end(), None);
            known.snapshot = latest;
            known.coming = None;
        }
        Some(Self {
            env,
            rng,
            wal,
            log: recovered.log,
            snapshots,
            state,
            known,
        })
    }

    async fn live(mut self) {
        let noting = (self.wal.clone(), Rc::clone(&self.known));
        self.env.spawn(async move {
            let (wal, known) = noting;
            loop {
                let before = known.borrow().durable;
                wal.durable().wait("durable", |now| *now > before).await;
                let mut known = known.borrow_mut();
                (known.durable_before, known.durable) = (Some(before), wal.durable().get());
            }
        });
        loop {
            match self.rng.below(0..20) {
                // Long enough that the last frame is proven.
                16 if self.rng.chance(0.1) => self.env.timeout("quiet", 3 * QUIET).await,
                0..10 => self.append(),
                10 | 11 => self.vote(),
                12 => self.contradict(),
                13 => self.compact().await,
                14 => self.receive().await,
                15 => self.read_back().await,
                _ => {
                    let pause = self
                        .rng
                        .duration(&(Duration::ZERO..Duration::from_millis(1)));
                    self.env.timeout("pause", pause).await;
                }
            }
        }
    }

    fn note(&self, end: Lsn) {
        let state = (end, self.state.clone());
        self.known.borrow_mut().states.push(state);
    }

    fn new_entries(&mut self, term: u64) -> Vec<Entry> {
        let mut known = self.known.borrow_mut();
        let count = self.rng.below(1..5);
        let entry = |_| {
            known.written += 1;
            let mut entry = known.written.to_string().into_bytes();
            let length = self.rng.below(0..30) * self.rng.below(0..30);
            entry.resize(entry.len() + usize::try_from(length).unwrap(), b'.');
            (term, entry)
        };
        (0..count).map(entry).collect()
    }

    fn append(&mut self) {
        let term = self.state.last_term().max(self.state.hard_state.term.0);
        let entries = self.new_entries(term);
        let batch = batch(term, self.state.last() + 1, &entries);
        let end = self.wal.append(&batch);
        self.log.append(batch, end);
        self.state.entries.extend(entries);
        self.note(end);
    }

    fn vote(&mut self) {
        let term = self.state.last_term().max(self.state.hard_state.term.0) + 1;
        let state = HardState {
            term: Term(term),
            voted_for: self.rng.chance(0.5).then_some(ReplicaId(2)),
        };
        let end = self.wal.note(&state);
        self.state.hard_state = state;
        self.note(end);
    }

    /// A later leader replaces the end of the log.
    fn contradict(&mut self) {
        self.vote();
        let length = self.state.entries.len() as u64;
        let from = self.state.last() + 1 - self.rng.below(0..length.min(10) + 1);
        self.log.truncate_from(LogIndex(from));
        self.state.truncate_from(from);
        self.known.borrow_mut().truncated += 1;
        self.append();
    }

    async fn write_snapshot(&mut self, index: u64, term: u64) -> SnapshotMeta {
        let meta = SnapshotMeta {
            index: LogIndex(index),
            term: Term(term),
            configuration: Bytes::from_static(b"members"),
        };
        let mut writer = self.snapshots.begin(meta.clone()).await.unwrap();
        writer.write(Bytes::from(vec![1; 300])).await.unwrap();
        self.known.borrow_mut().coming = Some(meta.clone());
        writer.finish().await.unwrap();
        self.known.borrow_mut().snapshot = Some(meta.clone());
        meta
    }

    /// Takes a snapshot of what is durable, and forgets some of the log.
    async fn compact(&mut self) {
        let end = self.wal.end();
        self.wal.durable().wait("durable", |now| *now >= end).await;
        let covered = self.rng.below(0..self.state.entries.len() as u64 + 1);
        let index = self.state.start.after.0 + covered;
        if covered == 0 {
            return;
        }
        let term = self.state.term_at(index).unwrap();
        let meta = self.write_snapshot(index, term).await;
        self.wal.compact(&mut self.log, meta.index);
        self.state.continue_from(meta.log_start());
        self.known.borrow_mut().compacted += 1;
    }

    /// Receives a snapshot from a leader: of what is there, or far ahead.
    async fn receive(&mut self) {
        let index = self.state.last() + self.rng.below(0..40);
        let index = index.saturating_sub(20).max(self.state.start.after.0 + 1);
        let term = match self.state.term_at(index) {
            Some(term) if self.rng.chance(0.5) => term,
            _ => self.state.last_term() + 1,
        };
        let meta = self.write_snapshot(index, term).await;
        let end = self.wal.install(&mut self.log, &meta);
        self.state.continue_from(meta.log_start());
        assert_eq!(self.log.start(), self.state.start);
        self.note(end);
        self.known.borrow_mut().received += 1;
        self.vote();
    }

    /// Forgets what is in memory, and reads it again from the disk.
    async fn read_back(&mut self) {
        self.log.shrink(self.wal.durable().get(), 0);
        let mut index = self.log.first_index();
        while let Stretch::OnDisk(extent) = self.log.since(index, 3000) {
            for batch in self.wal.read(&extent).await.unwrap() {
                assert_eq!(batch.first(), index);
                for entry in batch.entries() {
                    let position = index.0 - self.state.start.after.0 - 1;
                    let position = usize::try_from(position).unwrap();
                    let expected = (batch.term().0, entry.to_vec());
                    assert_eq!(self.state.entries[position], expected);
                    index = index.next();
                }
                self.known.borrow_mut().read_back += 1;
            }
        }
    }
}

fn run(seed: u64) -> Rc<RefCell<Known>> {
    let sim = Sim::new(seed);
    let mut rng = sim.rng();
    let known = Rc::<RefCell<Known>>::default();
    let mut rotted = false;
    for _ in 0..LIVES {
        let (life_rng, of_life) = (sim.rng(), Rc::clone(&known));
        sim.start(NODE, move |env| async move {
            if let Some(life) = Life::open(env, life_rng, of_life).await {
                life.live().await;
            }
        });
        // Some lives end before they have begun.
        let length = match rng.below(0..4) {
            0 => Duration::from_millis(4),
            1 => Duration::from_millis(400),
            _ => Duration::from_millis(40),
        };
        sim.run_for(rng.duration(&(Duration::ZERO..length)));
        sim.crash(NODE);
        let mut known = known.borrow_mut();
        if known.refused > 0 {
            break;
        }
        if !rotted && known.durable_before.is_some() && rng.chance(0.2) {
            rotted = sim.flip_bit(NODE, ".log");
            known.rotten = rotted;
        }
    }
    known
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn lives_end_but_nothing_durable_is_lost() {
    let seeds = match number("DEPFAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DEPFAST_SEEDS").unwrap_or(400),
    };
    let mut sums = [0; 6];
    for seed in seeds {
        println!("DEPFAST_SEED={seed}");
        let known = run(seed);
        let known = known.borrow();
        let done = [
            known.written as usize,
            known.truncated,
            known.compacted,
            known.received,
            known.read_back,
            known.refused,
        ];
        sums.iter_mut()
            .zip(done)
            .for_each(|(sum, done)| *sum += done);
    }
    println!(
        "entries, truncations, compactions, snapshots received, batches read back, rotten logs refused: {sums:?}"
    );
    assert!(sums.iter().all(|sum| *sum > 0), "all of it happened");
}
