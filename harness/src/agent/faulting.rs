//! The faults of a site. Their work may take a second, so it is done on threads, and the agent stays responsive.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faults::{Fault, FaultContext, FaultLink, Flow, HelperProgram, Wiring};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use node::cgroup::Hierarchies;
use node::facts::Facts;
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
use crate::causes::with_causes;

/// The name of the link of a node, as the node sees it.
pub(super) const NODE_LINK: &str = "eth0";

/// How long a node is looked at before its fault; later readings look back to when the fault was injected or cleared.
const WINDOW_BEFORE: Duration = Duration::from_millis(1500);

/// The faults that were ordered, by name and victim.
#[derive(Default)]
pub(super) struct Faults(BTreeMap<Key, Standing>);

type Key = (FaultName, NodeName);

struct Standing {
    bench: Arc<Bench>,
    /// When the agent clears it itself.
    ends: Option<Instant>,
}

/// Where one fault is worked on, by one thread at a time.
#[derive(Default)]
struct Bench(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nothing is prepared.
    #[default]
    Empty,
    /// Prepared, perhaps in.
    Ready(Box<Fault>),
    /// Was in and is out again: good for a last probe.
    Spent(Box<Fault>),
    /// The agent is leaving: nothing may begin any more.
    Closed,
}

impl Bench {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inject(&self, order: &FaultOrder, context: &FaultContext) -> Result<Response, String> {
        let commanded = clock::now();
        let mut state = self.state();
        let fault = prepared(&mut state, order, context)?;
        let injected = fault.inject().map_err(chain)?;
        let detail = format!("{}: {}", injected.backend, injected.detail);
        Ok(Response::Injected {
            commanded,
            effective: clock::now(),
            detail,
        })
    }

    fn probe(
        &self,
        order: &FaultOrder,
        moment: ProbeMoment,
        context: &FaultContext,
    ) -> Result<Response, String> {
        let mut state = self.state();
        let readings = match (&mut *state, moment) {
            (
                State::Spent(fault) | State::Ready(fault),
                ProbeMoment::During | ProbeMoment::After,
            ) => fault.probe(),
            // The servers may be others than when a fault of this name was last probed.
            (State::Spent(_) | State::Ready(_) | State::Empty, ProbeMoment::Before) => {
                *state = State::Empty;
                let fault = prepared(&mut state, order, context)?;
                std::thread::sleep(WINDOW_BEFORE);
                fault.probe()
            }
            (State::Empty | State::Closed, _) => prepared(&mut state, order, context)?.probe(),
        };
        readings.map(Response::Readings).map_err(chain)
    }

    fn clear(&self) -> Result<Response, String> {
        let mut state = self.state();
        match std::mem::take(&mut *state) {
            State::Ready(mut fault) => {
                let cleared = fault.clear().map_err(chain);
                *state = State::Spent(fault);
                cleared?;
            }
            other => *state = other,
        }
        Ok(Response::Done)
    }

    fn close(&self) -> Result<(), String> {
        match std::mem::replace(&mut *self.state(), State::Closed) {
            State::Ready(mut fault) => fault.clear().map_err(chain),
            State::Empty | State::Spent(_) | State::Closed => Ok(()),
        }
    }
}

/// The fault, prepared now unless it was.
fn prepared<'a>(
    state: &'a mut State,
    order: &FaultOrder,
    context: &FaultContext,
) -> Result<&'a mut Fault, String> {
    if let State::Empty | State::Spent(_) = state {
        *state = State::Ready(Box::new(
            Fault::prepare(&order.kind, context).map_err(chain)?,
        ));
    }
    match state {
        State::Ready(fault) => Ok(fault),
        State::Empty | State::Spent(_) | State::Closed => {
            Err("this agent is about to end".to_owned())
        }
    }
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
            flow: self.flow(order),
            wiring: match self.home.options.isolation {
                Isolation::None => Wiring::Shared,
                Isolation::Machine { .. } => Wiring::Direct,
                Isolation::Node { .. } | Isolation::Hub(_) => Wiring::Hub,
            },
            disk: Some(self.home.disk()),
            keeper: Some(self.revivals.keeper()),
            latency: self.machine.as_ref().and_then(Machine::layer).cloned(),
            link: fault_link(&self.home.options.isolation, order)?,
            helper: HelperProgram::myself(),
        })
    }

    /// The packets that a network fault is about: never those of the controller.
    fn flow(&self, order: &FaultOrder) -> Flow {
        let mut flow = order.flow.clone();
        if let Isolation::Machine { control, .. } = &self.home.options.isolation {
            flow.control.extend(control);
        }
        flow
    }

    /// What this node is and can do, found out once.
    pub(super) fn facts(&mut self) -> Result<&Facts, String> {
        if self.facts.is_none() {
            let facts = Facts::gather()
                .map_err(|error| format!("cannot find out about this node: {error}"))?;
            let has_groups = self.machine.as_ref().and_then(Machine::groups).is_some();
            self.facts = Some(match has_groups {
                true => facts,
                // The machine may have groups, but this node was made without.
                false => Facts {
                    cgroups: Hierarchies::default(),
                    ..facts
                },
            });
        }
        Ok(self.facts.as_ref().expect("just found out"))
    }
}

/// The link that a network fault of `order` is about, seen from this site.
fn fault_link(isolation: &Isolation, order: &FaultOrder) -> Result<Option<FaultLink>, String> {
    let link = match isolation {
        Isolation::None => return Ok(None),
        Isolation::Machine { peers, .. } => return own_link(order.address, peers).map(Some),
        Isolation::Node { uplink, .. } => FaultLink {
            device: NODE_LINK.parse().expect("a link name"),
            peer: uplink.hub_address().into(),
        },
        Isolation::Hub(_) => {
            let device =
                super::options::hub_link(&order.victim).map_err(|error| error.to_string())?;
            FaultLink {
                device,
                peer: order.address,
            }
        }
    };
    Ok(Some(link))
}

/// The link of this machine that has an address, and a peer to measure round trips to.
fn own_link(address: IpAddr, peers: &[IpAddr]) -> Result<FaultLink, String> {
    let links =
        getifaddrs().map_err(|error| format!("cannot list the links of this machine: {error}"))?;
    let has_it = |link: &InterfaceAddress| {
        let Some(found) = link.address.as_ref() else {
            return false;
        };
        let four = found.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let six = found.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        four.or(six) == Some(address)
    };
    let link = links.into_iter().find(has_it).ok_or_else(|| {
        format!("no link of this machine has the address {address}: is `data_address` right?")
    })?;
    let is_alike = |peer: &&IpAddr| peer.is_ipv4() == address.is_ipv4();
    Ok(FaultLink {
        device: link
            .interface_name
            .parse()
            .map_err(|error| format!("{error}"))?,
        peer: peers
            .iter()
            .find(is_alike)
            .copied()
            .ok_or("there is no other node to measure round trips to")?,
    })
}

async fn on_a_thread(
    work: impl FnOnce() -> Result<Response, String> + Send + 'static,
) -> Result<Response, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(format!("the work on a fault broke off: {error}")),
    }
}

/// The error and what caused it, on one line.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that `map_err` takes it as it is"
)]
fn chain(error: faults::FaultError) -> String {
    with_causes(&error)
}
