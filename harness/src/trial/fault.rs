//! One fault's way through a trial: probed, injected, probed, cleared, probed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faults::{Effect, FaultSpec, Flow, Reading, Resolve, Site};
use futures_util::future::try_join_all;
use results::ProbeMoment;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use vocab::ids::{FaultName, NodeName, Role};
use vocab::time::Monotonic;
use vocab::units::Span;

use crate::agent::clock;
use crate::agent::wire::FaultOrder;
use crate::cluster::{Cluster, Node};
use crate::experiment::Phases;

/// The probe before a fault begins this long before it, so that it is of the loaded system and done in time.
const PROBE_BEFORE: Duration = Duration::from_millis(3500);

/// After this time without the fault its node may be well again.
const PROBE_AFTER: Duration = Duration::from_millis(1500);

/// The agent clears a fault itself this long after its time.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

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

/// Faults that are in force, wherever their course was when the trial ended.
pub(super) type Standing = Arc<Mutex<Vec<(Node, FaultOrder)>>>;

/// A fault on its way through a trial.
pub(super) struct Course<'a> {
    pub(super) spec: &'a FaultSpec,
    pub(super) phases: &'a Phases,
    pub(super) start: Instant,
    pub(super) cluster: &'a Cluster,
    pub(super) accounts: watch::Receiver<Accounts>,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) standing: Standing,
}

type Readings = BTreeMap<NodeName, Vec<Reading>>;

impl Course<'_> {
    /// Goes all the way; the reason if it could not.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let (begin, end) = self.window();
        sleep_until(begin - PROBE_BEFORE).await;
        let victims = self.pick()?;
        let before = self.read(&victims, ProbeMoment::Before).await?;
        sleep_until(begin).await;

        // Roles may have moved since the first look.
        let mut victims = self.pick()?;
        for victim in &victims {
            self.inject(victim, end).await?;
        }
        let middle = begin + (end - begin) / 2;
        victims = self.stay(victims, middle, end).await?;
        let during = self.read(&victims, ProbeMoment::During).await?;
        victims = self.stay(victims, end, end).await?;
        for victim in &victims {
            self.clear(victim).await?;
        }
        for victim in &victims {
            let readings = |of: &Readings| of.get(victim).cloned().unwrap_or_default();
            let effect = faults::effect(&self.spec.kind, &readings(&before), &readings(&during));
            self.tell(victim, What::Judged(effect));
        }
        // Without a phase behind it, the load ends with the fault and there is nothing left to probe.
        if end + PROBE_AFTER < self.start + self.phases.total().duration() {
            sleep_until(end + PROBE_AFTER).await;
            let after = self.read(&victims, ProbeMoment::After).await?;
            for victim in &victims {
                let readings = |of: &Readings| of.get(victim).cloned().unwrap_or_default();
                if let Some(left) =
                    faults::residue(&self.spec.kind, &readings(&before), &readings(&after))
                {
                    self.tell(victim, What::Left(left));
                }
            }
        }
        Ok(())
    }

    fn window(&self) -> (Instant, Instant) {
        let mut begin = self.start;
        for (phase, length) in self.phases.list() {
            let end = begin + length.duration();
            if phase == self.spec.during {
                return (begin, end);
            }
            begin = end;
        }
        (begin, begin)
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
        mut victims: Vec<NodeName>,
        until: Instant,
        end: Instant,
    ) -> Result<Vec<NodeName>, String> {
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(victims),
                changed = self.accounts.changed(), if self.spec.on.resolve == Resolve::Track => {
                    if changed.is_err() {
                        return Ok(victims);
                    }
                    // During an election nobody has the role: stay until somebody does.
                    let Ok(now) = self.pick() else { continue };
                    for left in victims.iter().filter(|node| !now.contains(node)) {
                        self.clear(left).await?;
                    }
                    for joined in now.iter().filter(|node| !victims.contains(node)) {
                        self.inject(joined, end).await?;
                    }
                    victims = now;
                }
            }
        }
    }

    async fn inject(&self, victim: &NodeName, end: Instant) -> Result<(), String> {
        let (site, order) = self.order(victim).await?;
        let lease = end.saturating_duration_since(Instant::now()) + LEASE_MARGIN;
        lock(&self.standing).push((site.clone(), order.clone()));
        let injected = site
            .inject(order, Span::from(lease))
            .await
            .map_err(|error| error.to_string())?;
        self.tell_at(injected.commanded, victim, What::Commanded);
        self.tell_at(injected.effective, victim, What::Effective(injected.detail));
        Ok(())
    }

    async fn clear(&self, victim: &NodeName) -> Result<(), String> {
        let (site, order) = self.order(victim).await?;
        site.clear(order.clone())
            .await
            .map_err(|error| error.to_string())?;
        lock(&self.standing).retain(|(_, standing)| *standing != order);
        self.tell(victim, What::Cleared);
        Ok(())
    }

    async fn read(&self, victims: &[NodeName], moment: ProbeMoment) -> Result<Readings, String> {
        // All at once: each takes a second or two.
        let probes = victims.iter().map(async |victim| {
            let (site, order) = self.order(victim).await?;
            let readings = site
                .probe(order, moment)
                .await
                .map_err(|error| error.to_string())?;
            self.tell(victim, What::Read(moment, readings.clone()));
            Ok((victim.clone(), readings))
        });
        try_join_all(probes).await.map(Readings::from_iter)
    }

    async fn order(&self, victim: &NodeName) -> Result<(Node, FaultOrder), String> {
        let node = self
            .cluster
            .node(victim)
            .map_err(|error| error.to_string())?;
        let facts = self
            .cluster
            .facts(node)
            .await
            .map_err(|error| error.to_string())?;
        let site = match self.spec.kind.site(&facts, self.cluster.wiring()) {
            Site::Node => node,
            Site::Hub => self
                .cluster
                .hub()
                .ok_or("this cluster has no hub between its nodes to carry it out")?,
        };
        let order = FaultOrder {
            fault: self.spec.name.clone(),
            kind: self.spec.kind.clone(),
            victim: victim.clone(),
            address: node.address(),
            flow: Flow::default(),
        };
        Ok((site.clone(), order))
    }

    fn tell(&self, victim: &NodeName, what: What) {
        self.tell_at(clock::now(), victim, what);
    }

    fn tell_at(&self, at: Monotonic, victim: &NodeName, what: What) {
        // The driver listens as long as the course runs.
        let _heard = self.news.send(News {
            fault: self.spec.name.clone(),
            node: victim.clone(),
            at,
            what,
        });
    }
}

fn lock(standing: &Standing) -> MutexGuard<'_, Vec<(Node, FaultOrder)>> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clears whatever still stands. Nodes that are lost heal themselves.
pub(super) async fn clear_all(standing: &Standing) {
    let standing = std::mem::take(&mut *lock(standing));
    for (site, order) in standing {
        let _lost_or_cleared = site.clear(order).await;
    }
}
