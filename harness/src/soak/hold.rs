//! A controller in a process of its own, to be killed.

use std::io::{self, Write as _};
use std::num::NonZeroU8;
use std::path::PathBuf;

use faults::{FaultType, Flow, LatencyWish, Place};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use serde::{Deserialize, Serialize};
use vocab::ids::RunName;
use vocab::units::{Bytes, Span};

use crate::agent::wire::{FaultOrder, Layer, Output, Place as Group, Spawn};
use crate::cluster::spec::{ClusterSpec, DiskSpec, LocalSpec};
use crate::cluster::{Adopted, Cluster, ClusterError, NodeError, Settings, StateDir};
use crate::plan::Generator;

/// What to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    /// The tag of everything that is made.
    pub run: RunName,
    /// The directory of state.
    pub state: PathBuf,
    /// How long agents live without hearing from this process.
    pub lease: Span,
    /// What to inject.
    pub faults: Vec<FaultType>,
    /// Into this process; without it into a node of a cluster that is made for it.
    pub process: Option<i32>,
    /// The process that kills the holder, and with which it ends in any case.
    pub killer: i32,
}

impl Hold {
    /// Makes this process end with the one that is to kill it. Before any other thread is started, as the kernel
    /// watches threads.
    ///
    /// # Errors
    /// That one is gone already.
    pub fn end_with_killer(&self) -> io::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        match getppid().as_raw() == self.killer {
            true => Ok(()),
            false => Err(io::Error::other("the soak that started this has ended")),
        }
    }
}

/// Longer than any round.
const FOR_EVER: Span = Span::seconds(3600);

/// What a server does: it computes, writes and syncs, and starts others.
const SERVER: &str = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; \
                      dd if=/dev/zero of=x bs=4k count=4 conv=fsync 2>/dev/null; done";

/// A fault with random values, of those that any machine may be able to inject.
pub(super) fn random_fault(random: &mut Generator, on_node: bool) -> FaultType {
    let percent = 2 + random.below(80);
    let millis = 1 + random.below(300);
    let mut texts = vec![
        format!("cpu.quota={percent}%"),
        format!("cpu.contention={}x", 1 + random.below(20)),
        "process.pause".to_owned(),
        format!("process.pause=for={millis}ms,period=1s"),
        format!("memory.limit={}MB", 30 + random.below(300)),
    ];
    if on_node {
        texts.extend([
            format!("net.delay={millis}ms"),
            format!("net.loss={percent}%"),
            format!("net.reorder=share={percent}%,delay={millis}ms"),
            format!("net.duplicate={percent}%"),
            format!("net.corrupt={percent}%"),
            format!("net.rate={}KB/s", 64 + random.below(1000)),
            "net.partition".to_owned(),
            format!("disk.throughput={}KB/s", 64 + random.below(1000)),
            format!("disk.iops={}/s", 10 + random.below(1000)),
            format!("disk.latency={millis}ms"),
            "disk.contention".to_owned(),
            format!("memory.contention={}MiB", 1 + random.below(50)),
            "process.kill".to_owned(),
        ]);
    }
    let text = &texts[random.below(texts.len())];
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Injects, says so on standard output, and waits for the end of this process.
///
/// # Errors
/// When no cluster can be made, or the process not be had.
pub async fn hold(hold: Hold) -> Result<(), ClusterError> {
    let latency = LatencyWish::of(&hold.faults);
    let settings = Settings {
        state: StateDir::at(&hold.state)
            .map_err(|error| ClusterError::Impossible(error.to_string()))?,
        lease: hold.lease,
        layer: latency.map_or(Layer::None, Layer::Latency),
        ..Settings::new(hold.run.clone())?
    };
    let mut count = 0;
    match hold.process {
        Some(pid) => {
            let adopted = Adopted::take(pid, &settings).await?;
            let node = adopted.node();
            for (number, kind) in hold.faults.iter().enumerate() {
                let order = FaultOrder {
                    fault: name(number),
                    kind: kind.clone(),
                    victim: node.name().clone(),
                    address: node.address(),
                    flow: Flow::default(),
                };
                count += tell(&node.inject(order, FOR_EVER).await.map(|one| one.detail));
            }
            up(&adopted, count).await
        }
        None => {
            let one = NonZeroU8::MIN;
            let spec = ClusterSpec::Local(LocalSpec {
                disk: DiskSpec::Own(Bytes(64 << 20)),
                ..LocalSpec::new(one, one)
            });
            let cluster = Cluster::up(&spec, settings, |_| {}).await?;
            let Some(server) = cluster.servers().next() else {
                return Ok(());
            };
            let spawn = Spawn {
                name: "server".into(),
                argv: ["sh", "-c", SERVER].map(str::to_owned).to_vec(),
                env: std::collections::BTreeMap::new(),
                cwd: None,
                place: Group::Server,
                output: Output::Log,
                cpus: Vec::new(),
            };
            server.spawn(spawn).await?;
            let (sites, place) = (cluster.sites(), Place::node(server.name().clone()));
            for (number, kind) in hold.faults.iter().enumerate() {
                let order = sites
                    .order(&name(number), kind, &place, server.name())
                    .await;
                match order {
                    Ok((site, order)) => {
                        count += tell(&site.inject(order, FOR_EVER).await.map(|one| one.detail));
                    }
                    Err(reason) => eprintln!("not injected: {reason}"),
                }
            }
            up(&cluster, count).await
        }
    }
}

fn name(number: usize) -> vocab::ids::FaultName {
    format!("fault-{number}").parse().expect("a name")
}

/// Says what became of a fault, on standard error; the count of those that are in.
fn tell(injected: &Result<String, NodeError>) -> usize {
    match injected {
        Ok(detail) => {
            eprintln!("{detail}");
            1
        }
        Err(error) => {
            eprintln!("not injected: {error}");
            0
        }
    }
}

/// Says how many faults are in, and keeps what is held until this process ends.
async fn up<T>(_held: &T, count: usize) -> Result<(), ClusterError> {
    let mut out = std::io::stdout();
    let _unheard = writeln!(out, "{count}").and_then(|()| out.flush());
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_faults_are_of_every_type() {
        let mut random = Generator::new(1);
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            random_fault(&mut random, false);
            names.insert(random_fault(&mut random, true).name());
        }
        assert_eq!(names.len(), faults::list().len(), "{names:?}");
    }
}
