//! Where on a link a qdisc of ours goes, so that what is not the fault's business, and what somebody else has put
//! there, stays as it is.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use node::journal::{Journal, Undo};
use node::links::{LinkName, Links};
use node::tool::tc::{self, Attach, Handle, Parent, Preference, Qdisc, Verdict};

use super::redirect::redirect;
use crate::error::FaultError;
use crate::flow::Flow;
use crate::standing::Standing;

/// The handle of the qdisc that does the fault's work.
pub(super) const HANDLE: Handle = Handle::ours(1);

/// The handle of the classes above it, where some packets are spared.
const CLASSES: Handle = Handle::ours(16);

const HIT: u16 = 1;

/// Where the qdisc was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is the link's own queue.
    Root(LinkName),
    /// It is in a class of the link's queue.
    Class(LinkName),
    /// It is on another link, where packets make a detour before the link's own queue.
    Detour(LinkName),
}

impl Placed {
    /// The link it is on.
    pub(super) fn device(&self) -> &LinkName {
        match self {
            Placed::Root(device) | Placed::Class(device) | Placed::Detour(device) => device,
        }
    }
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placed::Root(_) => Ok(()),
            Placed::Class(_) => f.write_str(", others pass by,"),
            Placed::Detour(over) => write!(f, " on a detour over {over}"),
        }
    }
}

/// Puts `qdisc` in the way of what leaves through `device` in `flow`; notes each undo before its change.
///
/// # Errors
/// There is no such link, the privilege is missing, or the kernel lacks a part.
pub(super) fn place(
    device: &LinkName,
    flow: &Flow,
    qdisc: &Qdisc,
    journal: &Journal,
    standing: &mut Standing,
) -> Result<Placed, FaultError> {
    let chosen = chosen_root(&tc::show(device).run()?);
    let mut add = |handle, qdisc: &Qdisc| {
        standing.make(journal, delete(device, handle), || {
            Ok(tc::add(device, Parent::Root, handle, qdisc)
                .run()
                .map(drop)?)
        })
    };
    if chosen {
        return detour(device, flow, qdisc, journal, standing);
    }
    if flow.is_everything() {
        add(HANDLE, qdisc)?;
        return Ok(Placed::Root(device.clone()));
    }
    add(CLASSES, &Qdisc::Htb)?;
    tc::add_class(device, CLASSES, HIT).run()?;
    let class = Parent::Class {
        of: CLASSES,
        minor: HIT,
    };
    tc::add(device, class, HANDLE, qdisc).run()?;
    for filter in flow.filters(PLACES, &Verdict::Class(class)) {
        tc::add_filter(device, Attach::Qdisc(CLASSES), &filter).run()?;
    }
    Ok(Placed::Class(device.clone()))
}

/// The places of filters in a qdisc of ours, where nobody else's are.
const PLACES: [Preference; 2] = [Preference::ours(4), Preference::ours(6)];

fn detour(
    device: &LinkName,
    flow: &Flow,
    qdisc: &Qdisc,
    journal: &Journal,
    standing: &mut Standing,
) -> Result<Placed, FaultError> {
    let over = detour_name();
    let links = Links::open()?;
    let undo = Undo::DeleteLink { name: over.clone() };
    standing.make(journal, undo, || Ok(links.create_ifb(&over)?))?;
    links.set_up(&over)?;
    tc::add(&over, Parent::Root, HANDLE, qdisc).run()?;
    redirect(device, flow, &over, journal, standing)?;
    Ok(Placed::Detour(over))
}

fn delete(device: &LinkName, handle: Handle) -> Undo {
    Undo::DeleteQdisc {
        device: device.clone(),
        parent: Parent::Root,
        handle,
    }
}

/// A name that no other link of this machine has: process numbers are unique, and so is the count within one.
pub(super) fn detour_name() -> LinkName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xff;
    let name = format!("{}{:x}-{count:x}", LinkName::PREFIX, std::process::id());
    name.parse().expect("at most 14 letters, digits and dashes")
}

/// Whether somebody has chosen the link's root qdisc: one that the kernel gave has no handle.
fn chosen_root(shown: &str) -> bool {
    let qdiscs: Vec<serde_json::Value> = serde_json::from_str(shown).unwrap_or_default();
    qdiscs.iter().any(|qdisc| {
        let handle = qdisc["handle"].as_str().unwrap_or("0:");
        qdisc["root"].as_bool() == Some(true) && handle != "0:"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str =
        r#"[{"kind":"noqueue","handle":"0:","root":true,"refcnt":2,"options":{}}]"#;
    const CHOSEN: &str =
        r#"[{"kind":"netem","handle":"db01:","root":true,"refcnt":2,"options":{}}]"#;
    const CLSACT: &str = r#"[{"kind":"noqueue","handle":"0:","root":true},{"kind":"clsact","handle":"ffff:","parent":"ffff:fff1"}]"#;

    #[test]
    fn a_chosen_root_is_told_from_the_default() {
        assert!(!chosen_root(DEFAULT) && !chosen_root(CLSACT));
        assert!(chosen_root(CHOSEN));
        assert!(!chosen_root("[{}]") && !chosen_root("nonsense"));
    }

    #[test]
    fn every_detour_has_its_own_name() {
        let (one, other) = (detour_name(), detour_name());
        assert!(one.is_ours() && one != other, "{one} {other}");
    }
}
