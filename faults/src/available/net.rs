use node::facts::{Answer, Facts};
use node::tool::Program;

use super::{Availability, Backend, yes};
use crate::impairment::Impairment;
use crate::site::Wiring;

/// Whether and how packets can be impaired.
pub(super) fn impaired(impairment: &Impairment, facts: &Facts, wiring: Wiring) -> Availability {
    let means: &[Backend] = match (impairment, wiring) {
        (_, Wiring::Shared) => return shared(),
        (Impairment::Rate(_), Wiring::Hub) => &[
            Backend::Tbf,
            Backend::Netem,
            Backend::DelayLine,
            Backend::TapLine,
        ],
        (Impairment::Rate(_), Wiring::Direct) => &[Backend::Tbf, Backend::Netem, Backend::TapLine],
        (_, Wiring::Hub) => &[Backend::Netem, Backend::DelayLine, Backend::TapLine],
        (_, Wiring::Direct) => &[Backend::Netem, Backend::TapLine],
    };
    let mut reasons: Vec<String> = Vec::new();
    for backend in means {
        match missing(*backend, facts) {
            None => return yes(*backend, note(impairment, *backend)),
            Some(reason) if reasons.contains(&reason) => {}
            Some(reason) => reasons.push(reason),
        }
    }
    no(reasons.join("; "))
}

/// Whether and how a node can be cut off.
pub(super) fn partition(facts: &Facts, wiring: Wiring) -> Availability {
    let note = "on a machine of its own the node's sends fail at once instead of vanishing";
    match (wiring, missing(Backend::PacketFilter, facts)) {
        (Wiring::Shared, _) => shared(),
        (Wiring::Hub, None) => yes(Backend::PacketFilter, None),
        (Wiring::Direct, None) => yes(Backend::PacketFilter, Some(note)),
        (_, Some(reason)) => no(reason),
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

fn shared() -> Availability {
    no("the nodes share one loopback and have no links of their own".to_owned())
}

fn no(reason: String) -> Availability {
    Availability::No {
        reason,
        nearest: Some(
            "process.pause {for: …, period: …}, which delays the server instead of its packets"
                .to_owned(),
        ),
    }
}
