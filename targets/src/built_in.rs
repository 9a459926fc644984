//! What the systems that depbench serves itself have in common.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::{Layout, MemberPlan};

const CLIENT_PORT: u16 = 6379;
const PEER_PORT: u16 = 7000;

/// Where clients reach the member at `ip`.
pub(crate) fn client_address(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, CLIENT_PORT)
}

/// Starts member `index` with `depbench serve SYSTEM`; its settings are options of the same names.
pub(crate) fn member(
    system: &str,
    layout: &Layout,
    index: usize,
    settings: BTreeMap<String, String>,
) -> MemberPlan {
    let mut argv = vec![
        layout.program.to_string_lossy().into_owned(),
        "serve".into(),
        system.into(),
        "--id".into(),
        (index + 1).to_string(),
    ];
    for (id, member) in (1..).zip(&layout.members) {
        let peer = SocketAddr::new(member.ip, PEER_PORT);
        let client = client_address(member.ip);
        argv.extend(["--member".into(), format!("{id}={peer},{client}")]);
    }
    argv.extend(["--data".into(), layout.members[index].data(system)]);
    for (name, value) in settings {
        argv.extend([format!("--{}", name.replace('_', "-")), value]);
    }
    MemberPlan::of(argv)
}
