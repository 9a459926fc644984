//! Which network faults a machine can carry out.

use node::facts::{Answer, Facts};
use node::tool::Program;

use super::{Backend, Candidate};
use crate::impairment::Impairment;
use crate::site::Wiring;

/// What comes nearest to any of them.
pub(super) const NEAREST: &str =
    "process.pause {for: …, period: …}, which delays the server instead of its packets";

/// By which means packets can be impaired.
pub(super) fn impaired(impairment: &Impairment, facts: &Facts, wiring: Wiring) -> Vec<Candidate> {
    let bucket = matches!(impairment, Impairment::Rate(_)).then_some(Backend::Tbf);
    let lines = [Backend::Netem, Backend::DelayLine, Backend::TapLine];
    let candidate = |backend| Candidate {
        backend,
        obstacle: obstacle(backend, facts, wiring),
        note: note(impairment, backend).map(str::to_owned),
    };
    bucket.into_iter().chain(lines).map(candidate).collect()
}

/// By which means a node can be cut off.
pub(super) fn partition(facts: &Facts, wiring: Wiring) -> Vec<Candidate> {
    let obstacle = obstacle(Backend::PacketFilter, facts, wiring);
    let filter = Candidate::new(Backend::PacketFilter, obstacle);
    vec![match wiring {
        Wiring::Direct => filter
            .noted("on a machine of its own the node's sends fail at once instead of vanishing"),
        Wiring::Hub | Wiring::Shared => filter,
    }]
}

/// Why `backend` cannot be had here.
fn obstacle(backend: Backend, facts: &Facts, wiring: Wiring) -> Option<String> {
    match (wiring, backend) {
        (Wiring::Shared, _) => {
            Some("the nodes share one loopback and have no links of their own".to_owned())
        }
        (Wiring::Direct, Backend::DelayLine) => {
            Some("no hub of depbench's own joins the nodes".to_owned())
        }
        _ => missing(backend, facts),
    }
}

/// What `backend` lacks here.
fn missing(backend: Backend, facts: &Facts) -> Option<String> {
    let reason = |answer: &Answer| answer.reason().map(str::to_owned);
    match backend {
        Backend::Tbf => reason(&facts.tbf),
        Backend::Netem => reason(&facts.netem),
        Backend::DelayLine => reason(&facts.nfqueue),
        Backend::PacketFilter => reason(&facts.packet_filter),
        Backend::TapLine if !facts.is_root() => {
            Some("links of depbench's own need root".to_owned())
        }
        Backend::TapLine => match facts.program(Program::Tc) {
            None => Some(format!(
                "program `tc` is not installed: install the package {}",
                Program::Tc.package()
            )),
            Some(_) => reason(&facts.tap),
        },
        _ => None,
    }
}

fn note(impairment: &Impairment, backend: Backend) -> Option<&'static str> {
    match (impairment, backend) {
        (Impairment::Delay(_), Backend::TapLine) => {
            Some("should the delay line die, the node sends nothing until the fault is undone")
        }
        (Impairment::Delay(_), _) => Some("packets that the node sends are delayed"),
        (Impairment::Duplicate(_), Backend::DelayLine) => {
            Some("copies leave from the hub, and have crossed it once less")
        }
        _ => None,
    }
}
