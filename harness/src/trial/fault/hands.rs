use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faults::{FaultType, Place};
use futures_util::future::try_join_all;
use results::ProbeMoment;
use tokio::sync::mpsc;
use tokio::time::Instant;
use vocab::ids::{FaultName, NodeName};
use vocab::time::Monotonic;
use vocab::units::Span;

use super::{News, Readings, What};
use crate::agent::clock;
use crate::agent::wire::FaultOrder;
use crate::cluster::{Node, Sites};

/// The agent clears a fault itself this long after its time.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Faults that are in force, wherever their course was when the trial ended.
pub(in crate::trial) type Standing = Arc<Mutex<Vec<(Node, FaultOrder)>>>;

/// What carries out one fault, at whichever site, and tells of it.
pub(super) struct Hands<'a> {
    pub(super) fault: &'a FaultName,
    pub(super) place: &'a Place,
    pub(super) sites: Sites,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) standing: Standing,
}

impl Hands<'_> {
    /// Injects it; its agent clears it a little after `end`, if nobody has.
    pub(super) async fn inject(
        &self,
        kind: &FaultType,
        victim: &NodeName,
        end: Instant,
    ) -> Result<(), String> {
        let (site, order) = self.order(kind, victim).await?;
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

    /// Clears it.
    pub(super) async fn clear(&self, kind: &FaultType, victim: &NodeName) -> Result<(), String> {
        let (site, order) = self.order(kind, victim).await?;
        site.clear(order.clone())
            .await
            .map_err(|error| error.to_string())?;
        lock(&self.standing)
            .retain(|(_, other)| other.victim != order.victim || other.fault != order.fault);
        self.tell(victim, What::Cleared);
        Ok(())
    }

    /// Probes it on all its nodes at once: each takes a second or two.
    pub(super) async fn read(
        &self,
        kind: &FaultType,
        victims: &[NodeName],
        moment: ProbeMoment,
    ) -> Result<Readings, String> {
        let probes = victims.iter().map(async |victim| {
            let (site, order) = self.order(kind, victim).await?;
            let readings = site
                .probe(order, moment)
                .await
                .map_err(|error| error.to_string())?;
            self.tell(victim, What::Read(moment, readings.clone()));
            Ok((victim.clone(), readings))
        });
        try_join_all(probes).await.map(BTreeMap::from_iter)
    }

    /// Tells of something that happened now.
    pub(super) fn tell(&self, victim: &NodeName, what: What) {
        self.tell_at(clock::now(), victim, what);
    }

    fn tell_at(&self, at: Monotonic, victim: &NodeName, what: What) {
        // The driver listens as long as the course runs.
        let _heard = self.news.send(News {
            fault: self.fault.clone(),
            node: victim.clone(),
            at,
            what,
        });
    }

    async fn order(
        &self,
        kind: &FaultType,
        victim: &NodeName,
    ) -> Result<(Node, FaultOrder), String> {
        self.sites.order(self.fault, kind, self.place, victim).await
    }
}

fn lock(standing: &Standing) -> MutexGuard<'_, Vec<(Node, FaultOrder)>> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clears whatever still stands. Nodes that are lost heal themselves.
pub(in crate::trial) async fn clear_all(standing: &Standing) {
    let standing = std::mem::take(&mut *lock(standing));
    for (site, order) in standing {
        let _lost_or_cleared = site.clear(order).await;
    }
}
