//! One fault's way through a trial: probed, injected, probed, cleared, probed; as often as its schedule says.

mod hands;

use std::collections::BTreeMap;
use std::time::Duration;

use faults::spec::Stretch;
use faults::{Effect, FaultSpec, FaultType, Reading, Resolve};
use futures_util::future::try_join_all;
use results::ProbeMoment;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use vocab::ids::{FaultName, NodeName, Phase, Role};
use vocab::time::Monotonic;

use crate::cluster::Cluster;
use crate::experiment::Phases;

use hands::Hands;
pub(super) use hands::{Standing, clear_all};

/// The probe before a fault begins this long before it, so that it is of the loaded system and done in time.
const PROBE_BEFORE: Duration = Duration::from_millis(3500);

/// After this time without the fault its node may be well again.
const PROBE_AFTER: Duration = Duration::from_millis(1500);

/// The members with the roles they last said they have.
pub(super) type Accounts = Vec<(NodeName, Option<Role>)>;

/// What a fault's course reports.
#[derive(Debug)]
pub(super) struct News {
    pub(super) fault: FaultName,
    pub(super) node: NodeName,
    pub(super) at: Monotonic,
    pub(super) what: What,
}

/// What happened to a fault.
#[derive(Debug)]
pub(super) enum What {
    Commanded,
    Effective(String),
    Cleared,
    Read(ProbeMoment, Vec<Reading>),
    Judged(Effect),
    Left(String),
}

/// A fault on its way through a trial.
pub(super) struct Course<'a> {
    pub(super) spec: &'a FaultSpec,
    pub(super) phases: &'a Phases,
    pub(super) start: Instant,
    pub(super) seed: u64,
    pub(super) cluster: &'a Cluster,
    pub(super) accounts: watch::Receiver<Accounts>,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) standing: Standing,
}

type Readings = BTreeMap<NodeName, Vec<Reading>>;

/// Of the stretch that proves the fault.
struct Proof {
    kind: FaultType,
    victims: Vec<NodeName>,
    during: Readings,
}

impl Course<'_> {
    /// Goes all the way; the reason if it could not.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let hands = Hands {
            fault: &self.spec.name,
            place: &self.spec.on,
            sites: self.cluster.sites(),
            news: self.news.clone(),
            standing: self.standing.clone(),
        };
        let (phase, stretches) = self.plan();
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
            return Ok(());
        };
        let end = phase + last.end;
        sleep_until(phase + first.begin - PROBE_BEFORE).await;
        let victims = self.pick()?;
        let kind = &self.spec.kind;
        let before = hands.read(kind, &victims, ProbeMoment::Before).await?;

        let proving = self.proving(&stretches);
        let mut proof = None;
        let mut victims = Vec::new();
        for (number, stretch) in stretches.iter().enumerate() {
            sleep_until(phase + stretch.begin).await;
            // Roles may have moved since the first look.
            if victims.is_empty() || self.spec.on.resolve == Resolve::Track {
                victims = self.pick()?;
            }
            let end = phase + stretch.end;
            try_join_all(
                victims
                    .iter()
                    .map(|victim| hands.inject(&stretch.kind, victim, end)),
            )
            .await?;
            if number == proving {
                let middle = phase + stretch.begin + (stretch.end - stretch.begin) / 2;
                self.stay(&hands, stretch, &mut victims, middle, end)
                    .await?;
                proof = Some(Proof {
                    kind: stretch.kind.clone(),
                    victims: victims.clone(),
                    during: hands
                        .read(&stretch.kind, &victims, ProbeMoment::During)
                        .await?,
                });
            }
            self.stay(&hands, stretch, &mut victims, end, end).await?;
            let cleared = victims
                .iter()
                .map(|victim| hands.clear(&stretch.kind, victim));
            try_join_all(cleared).await?;
        }
        let of = |readings: &Readings, victim: &NodeName| {
            readings.get(victim).cloned().unwrap_or_default()
        };
        if let Some(proof) = proof {
            for victim in &proof.victims {
                let (before, during) = (of(&before, victim), of(&proof.during, victim));
                let effect = faults::effect(&proof.kind, &before, &during);
                hands.tell(victim, What::Judged(effect));
            }
        }
        // Without a phase behind it, the load ends with the fault and there is nothing left to probe.
        if end + PROBE_AFTER < self.start + self.phases.total().duration() {
            sleep_until(end + PROBE_AFTER).await;
            let after = hands.read(kind, &victims, ProbeMoment::After).await?;
            for victim in &victims {
                let left = faults::residue(kind, &of(&before, victim), &of(&after, victim));
                if let Some(left) = left {
                    hands.tell(victim, What::Left(left));
                }
            }
        }
        Ok(())
    }

    /// The start of its phase, and when it is in from there.
    fn plan(&self) -> (Instant, Vec<Stretch>) {
        let phase = self.spec.during;
        let (Some(start), Some(length)) = (self.phases.start(phase), self.phases.length(phase))
        else {
            return (self.start, Vec::new());
        };
        let stretches = match (&self.phases.paired, phase) {
            (Some(paired), Phase::Fault) => {
                let windows = paired.layout().into_iter().filter(|window| window.faulty);
                let stretch = |window: crate::experiment::Window| Stretch {
                    begin: window.begin,
                    end: window.end,
                    kind: self.spec.kind.clone(),
                };
                windows.map(stretch).collect()
            }
            _ => {
                // Faults of one trial come and go apart from each other.
                let own = |seed: u64, byte| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                let seed = self.spec.name.as_str().bytes().fold(self.seed, own);
                self.spec.stretches(length, seed)
            }
        };
        (self.start + start, stretches)
    }

    /// The stretch in whose middle the fault is probed: of those with its full severity the one in the middle.
    fn proving(&self, stretches: &[Stretch]) -> usize {
        let full: Vec<usize> = (0..stretches.len())
            .filter(|number| stretches[*number].kind == self.spec.kind)
            .collect();
        full.get(full.len() / 2).copied().unwrap_or_default()
    }

    fn pick(&self) -> Result<Vec<NodeName>, String> {
        self.spec
            .on
            .pick(&self.accounts.borrow())
            .map_err(|error| error.to_string())
    }

    /// Stays until a moment; moves with its role if it is to track it.
    async fn stay(
        &mut self,
        hands: &Hands<'_>,
        stretch: &Stretch,
        victims: &mut Vec<NodeName>,
        until: Instant,
        end: Instant,
    ) -> Result<(), String> {
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                changed = self.accounts.changed(), if self.spec.on.resolve == Resolve::Track => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    // During an election nobody has the role: stay until somebody does.
                    let Ok(now) = self.pick() else { continue };
                    for left in victims.iter().filter(|node| !now.contains(node)) {
                        hands.clear(&stretch.kind, left).await?;
                    }
                    for joined in now.iter().filter(|node| !victims.contains(node)) {
                        hands.inject(&stretch.kind, joined, end).await?;
                    }
                    *victims = now;
                }
            }
        }
    }
}
