//! What the cluster's tests share.
#![expect(
    dead_code,
    unreachable_pub,
    reason = "every test file uses another part"
)]

pub mod calls;
pub mod leftovers;
pub mod live;
pub mod recorded;
pub mod replicas;
pub mod runs;
pub mod stranger;

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use depbench::agent::wire::{Layer, Output, Place, Spawn};
use depbench::cluster::spec::{ClusterSpec, DiskSpec, LocalSpec, ModeSpec};
use depbench::cluster::{Cluster, Settings, StateDir};
use leftovers::{Leftovers, Scope};
use tempfile::TempDir;
use vocab::ids::{NodeName, RunName};
use vocab::units::{Bytes, Span};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_depbench");

/// A state directory and a run name of a test's own, and what must not be left of them.
pub struct Ground {
    path: PathBuf,
    run: RunName,
    /// Removed by whoever made it.
    _dir: Option<TempDir>,
}

/// Tests of one process have grounds of their own.
static GROUNDS: AtomicU32 = AtomicU32::new(0);

impl Ground {
    pub fn new(test: &str) -> Ground {
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::Builder::new()
            .prefix("db-test-")
            .tempdir()
            .unwrap();
        let run = format!("{test}-{}-{number}", std::process::id())
            .parse()
            .unwrap();
        Ground {
            path: dir.path().to_owned(),
            run,
            _dir: Some(dir),
        }
    }

    /// The ground of another process.
    pub fn existing(path: &Path, run: &str) -> Ground {
        Ground {
            path: path.to_owned(),
            run: run.parse().unwrap(),
            _dir: None,
        }
    }

    /// Another run in the same state directory.
    pub fn neighbour(&self, name: &str) -> Ground {
        Ground::existing(&self.path, &format!("{name}-{}", std::process::id()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn run(&self) -> &RunName {
        &self.run
    }

    pub fn state(&self) -> StateDir {
        StateDir::at(&self.path).unwrap()
    }

    pub fn settings(&self, lease: Span) -> Settings {
        Settings {
            run: self.run.clone(),
            program: PROGRAM.into(),
            state: self.state(),
            lease,
            layer: Layer::None,
            format: BTreeSet::new(),
        }
    }

    pub async fn up(&self, spec: LocalSpec) -> Cluster {
        self.up_with_lease(spec, Span::seconds(15)).await
    }

    pub async fn up_with_lease(&self, spec: LocalSpec, lease: Span) -> Cluster {
        let begun = Instant::now();
        let spec = ClusterSpec::Local(spec);
        let cluster = Cluster::up(&spec, self.settings(lease), |_| {}).await;
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        println!("{} up after {:?}", cluster.mode(), begun.elapsed());
        cluster
    }

    pub fn leftovers(&self) -> Leftovers {
        leftovers::find(&Scope::Run {
            run: &self.run,
            state: &self.path,
        })
    }

    /// Waits until nothing is left, at most `within`.
    pub fn assert_clean_within(&self, within: Duration) {
        let begun = Instant::now();
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                println!("clean after {:?}", begun.elapsed());
                return;
            }
            assert!(
                begun.elapsed() < within,
                "after {within:?} there is left: {left:#?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A cluster whose disks are made quickly.
pub fn small(servers: u8, clients: u8, mode: ModeSpec) -> LocalSpec {
    let count = |n| NonZeroU8::new(n).unwrap();
    LocalSpec {
        mode,
        disk: DiskSpec::Own(Bytes(64 << 20)),
        ..LocalSpec::new(count(servers), count(clients))
    }
}

pub fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

pub fn spawn(name: &str, argv: &[&str]) -> Spawn {
    Spawn {
        name: name.into(),
        argv: argv.iter().map(ToString::to_string).collect(),
        env: Default::default(),
        cwd: None,
        place: Place::Server,
        output: Output::Log,
        cpus: Vec::new(),
    }
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this test can be run; says why not.
pub fn needs_root() -> bool {
    if !is_root() {
        println!("skipped: needs root");
    }
    is_root()
}
