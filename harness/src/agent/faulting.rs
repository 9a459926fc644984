//! The faults of a site. Their work may take a second, so it is done on threads, and the agent stays responsive.

mod bench;

use std::collections::BTreeMap;
use std::sync::Arc;

use faults::{FaultContext, Flow, HelperProgram, Wiring};
use node::cgroup::Hierarchies;
use node::facts::{Answer, Facts};
use node::identity::ProcessId;
use results::ProbeMoment;
use tokio::time::Instant;
use vocab::ids::{FaultName, NodeName};
use vocab::units::Span;

use super::clock;
use super::machine::Machine;
use super::options::Isolation;
use super::serve::Agent;
use super::wire::{Event, FaultOrder, Place, RequestId, Response};
use super::wiring;
use bench::Bench;

/// Why a machine can have no network faults.
pub(crate) const CONTROL_UNKNOWN: &str = "sshd there does not tell the connection of the controller (`SSH_CONNECTION`), \
     which would be hit: reach it by sshd's own port, not by a `ProxyCommand` that starts an sshd";

/// The faults that were ordered, by name and victim.
#[derive(Default)]
pub(super) struct Faults(BTreeMap<Key, Standing>);

type Key = (FaultName, NodeName);

struct Standing {
    bench: Arc<Bench>,
    /// When the agent clears it itself.
    ends: Option<Instant>,
}

impl Faults {
    /// Resolves when the time of some fault is over, never if none is in.
    pub(super) async fn next_end(&self) {
        match self.0.values().filter_map(|standing| standing.ends).min() {
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    /// Clears every fault; gives what could not be undone. Nothing can be injected afterwards.
    pub(super) fn clear_all(&mut self) -> Vec<String> {
        let close = |((fault, victim), standing): (Key, Standing)| {
            standing
                .bench
                .close()
                .err()
                .map(|error| format!("fault {fault} on {victim}: {error}"))
        };
        std::mem::take(&mut self.0)
            .into_iter()
            .filter_map(close)
            .collect()
    }

    fn standing(&mut self, order: &FaultOrder) -> &mut Standing {
        let key = (order.fault.clone(), order.victim.clone());
        self.0.entry(key).or_insert_with(|| Standing {
            bench: Arc::default(),
            ends: None,
        })
    }
}

impl Agent {
    /// Injects a fault; answers when it is in force.
    pub(super) fn inject(
        &mut self,
        id: RequestId,
        order: FaultOrder,
        lease: Span,
    ) -> Result<(), String> {
        let context = self.context(&order)?;
        let standing = self.faults.standing(&order);
        standing.ends = Some(Instant::now() + lease.duration());
        let bench = Arc::clone(&standing.bench);
        self.respond_from_thread(id, move || bench.inject(&order, &context));
        Ok(())
    }

    /// Measures a fault; answers when that is done.
    pub(super) fn probe(
        &mut self,
        id: RequestId,
        order: FaultOrder,
        moment: ProbeMoment,
    ) -> Result<(), String> {
        let context = self.context(&order)?;
        let bench = Arc::clone(&self.faults.standing(&order).bench);
        self.respond_from_thread(id, move || bench.probe(&order, moment, &context));
        Ok(())
    }

    /// Clears a fault; answers when it is out of force.
    pub(super) fn clear(&mut self, id: RequestId, order: &FaultOrder) {
        let standing = self.faults.standing(order);
        standing.ends = None;
        let bench = Arc::clone(&standing.bench);
        self.respond_from_thread(id, move || bench.clear());
    }

    /// Clears the faults whose time is over, and tells of it.
    pub(super) fn clear_ended(&mut self) {
        let now = Instant::now();
        for ((fault, victim), standing) in &mut self.faults.0 {
            if standing.ends.is_none_or(|end| end > now) {
                continue;
            }
            standing.ends = None;
            let (bench, outbox) = (Arc::clone(&standing.bench), self.outbox.clone());
            let (fault, victim) = (fault.clone(), victim.clone());
            tokio::task::spawn_local(async move {
                let cleared = on_a_thread(move || bench.clear()).await;
                let event = Event::FaultCleared {
                    fault,
                    victim,
                    at: clock::now(),
                    problem: cleared.err(),
                };
                // Without a controller nobody wants to know.
                let _gone = outbox.tell(event).await;
            });
        }
    }

    fn respond_from_thread(
        &self,
        id: RequestId,
        work: impl FnOnce() -> Result<Response, String> + Send + 'static,
    ) {
        let outbox = self.outbox.clone();
        tokio::task::spawn_local(async move {
            let answer = on_a_thread(work).await;
            // Without a controller nobody wants to know.
            let _gone = outbox
                .respond(id, answer.map(|response| (response, Vec::new())))
                .await;
        });
    }

    fn context(&mut self, order: &FaultOrder) -> Result<FaultContext, String> {
        let facts = self.facts()?.clone();
        let pids = self.processes.pids(Place::Server);
        Ok(FaultContext {
            journal: self.home.side.journal.clone(),
            facts,
            cgroup: self.machine.as_ref().and_then(Machine::groups).cloned(),
            servers: pids
                .into_iter()
                .filter_map(|pid| ProcessId::of(pid).ok().flatten())
                .chain(self.machine.as_ref().and_then(Machine::adopted))
                .collect(),
            flow: self.flow(order)?,
            wiring: match self.home.options.isolation {
                Isolation::None => Wiring::Shared,
                Isolation::Machine { .. } => Wiring::Direct,
                Isolation::Node { .. } | Isolation::Hub(_) => Wiring::Hub,
            },
            disk: Some(self.home.disk()),
            device: wiring::named(&self.home.options.isolation).device,
            keeper: Some(self.revivals.keeper()),
            latency: self.machine.as_ref().and_then(Machine::latency).cloned(),
            link: wiring::fault_link(&self.home.options.isolation, order)?,
            helper: HelperProgram::myself(),
        })
    }

    /// The packets that a network fault is about: never those of the controller.
    fn flow(&self, order: &FaultOrder) -> Result<Flow, String> {
        let mut flow = order.flow.clone();
        if let Isolation::Machine { control, .. } = &self.home.options.isolation {
            if control.is_none() && order.kind.is_of_the_network() {
                return Err(CONTROL_UNKNOWN.to_owned());
            }
            flow.control.extend(control);
        }
        Ok(flow)
    }

    /// What this node is and can do, found out once.
    pub(super) fn facts(&mut self) -> Result<&Facts, String> {
        if self.facts.is_none() {
            let facts = Facts::gather()
                .map_err(|error| format!("cannot find out about this node: {error}"))?;
            let has_groups = self.machine.as_ref().and_then(Machine::groups).is_some();
            let has_disk = self.machine.as_ref().is_some_and(Machine::has_loop_disk);
            // The machine may have what this node was made without.
            self.facts = Some(Facts {
                cgroups: match has_groups {
                    true => facts.cgroups,
                    false => Hierarchies::default(),
                },
                dm_delay: match has_disk {
                    true => facts.dm_delay,
                    false => Answer::No(
                        "the servers' data has no disk of its own (`disk: {own: 512MiB}`)".into(),
                    ),
                },
                ..facts
            });
        }
        Ok(self.facts.as_ref().expect("just found out"))
    }
}

async fn on_a_thread(
    work: impl FnOnce() -> Result<Response, String> + Send + 'static,
) -> Result<Response, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(format!("the work on a fault broke off: {error}")),
    }
}
