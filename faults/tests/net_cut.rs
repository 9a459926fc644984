//! Partitions: connections are really cut, as many ways as asked for, and nobody else's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::{Rig, is_root, kind, until_gone, value};
use depbench_faults::{
    Backend, Connection, Effect, Fault, FaultContext, Flow, Peers, Probe, Wiring, effect,
};
use network::{Network, assert_no_chains, filter, hub_address, node_address, within};
use node::netns::NetNs;
use node::tool::Program;

/// A connection between the two nodes, through which lines are sent.
struct Pair {
    /// At node 0.
    far: TcpStream,
    /// At node 1, the one that is cut off.
    near: TcpStream,
}

impl Pair {
    fn connect(network: &Network) -> Pair {
        let listener = within(&network.nodes[1], || {
            TcpListener::bind("0.0.0.0:0").unwrap()
        });
        let to = (node_address(1), listener.local_addr().unwrap().port());
        let far = within(&network.nodes[0], || TcpStream::connect(to).unwrap());
        let near = listener.accept().unwrap().0;
        Pair { far, near }
    }

    /// Whether a byte sent by one end reaches the other; if not now, it will when the cut is healed. What should come may
    /// take long on a busy machine.
    fn carries(from: &mut TcpStream, to: &mut TcpStream, expected: bool) -> bool {
        // A send may be refused on the node that is cut off itself.
        let _ = from.write_all(b".");
        let patience = Duration::from_millis(if expected { 30_000 } else { 700 });
        to.set_read_timeout(Some(patience)).unwrap();
        loop {
            match to.read(&mut [0; 1]) {
                Ok(1) => return true,
                Ok(_) => panic!("the connection has ended"),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    return false;
                }
            }
        }
    }

    /// Checks which ways a byte goes: what node 1 sends, and what it is sent.
    fn assert_ways(&mut self, [out, back]: [bool; 2]) {
        assert_eq!(
            Pair::carries(&mut self.near, &mut self.far, out),
            out,
            "out"
        );
        assert_eq!(
            Pair::carries(&mut self.far, &mut self.near, back),
            back,
            "back"
        );
    }

    /// Waits until bytes go both ways again; TCP tries ever more seldom.
    fn wait_until_whole(&mut self) {
        self.assert_ways([true, true]);
    }
}

fn in_the_hub<'a>(network: &'a Network, rig: &Rig) -> (&'a NetNs, FaultContext) {
    (&network.hub, rig.context_of_link(network.link_at_hub(1)))
}

fn on_the_node<'a>(network: &'a Network, rig: &Rig) -> (&'a NetNs, FaultContext) {
    let mut context = rig.context_of_link(network.link_at_node(1));
    context.wiring = Wiring::Direct;
    (&network.nodes[1], context)
}

fn has_packet_filter(context: &FaultContext) -> bool {
    let reason = context.facts.packet_filter.reason();
    reason
        .inspect(|reason| println!("skipped: {reason}"))
        .is_none()
}

#[test]
fn a_connection_that_stands_is_cut_as_asked_for_and_comes_back() {
    if !is_root("partition") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    for (namespace, context) in [in_the_hub(&network, &rig), on_the_node(&network, &rig)] {
        if !has_packet_filter(&context) {
            return;
        }
        for (direction, ways) in [
            ("both", [false, false]),
            ("out", [false, true]),
            ("in", [true, false]),
        ] {
            let cut = kind(&format!("{{net.partition: {{direction: {direction}}}}}"));
            let mut pair = Pair::connect(&network);
            pair.assert_ways([true, true]);
            let (mut fault, before) = within(namespace, || {
                let mut fault = Fault::prepare(&cut, &context).unwrap();
                assert_eq!(fault.backend(), Backend::PacketFilter);
                let before = fault.probe().unwrap();
                println!("{}", fault.inject().unwrap().detail);
                (fault, before)
            });
            // One way alone carries bytes once; without acknowledgements the sender may wait longer with the next.
            pair.assert_ways(ways);
            let during = within(namespace, || fault.probe().unwrap());
            println!("{cut}: {during:?}");
            assert_eq!(effect(&cut, &before, &during), Effect::Bit);
            assert!(value(&during, Probe::CutPackets) > 0.0);
            within(namespace, || {
                fault.clear().unwrap();
                until_gone(&mut fault, &before);
            });
            pair.wait_until_whole();
        }
    }
    for namespace in [&network.hub, &network.nodes[1]] {
        assert_no_chains(namespace);
    }
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_pair_is_cut_and_others_are_not_and_control_never() {
    if !is_root("partition of a pair") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let (namespace, mut context) = on_the_node(&network, &rig);
    if !has_packet_filter(&context) {
        return;
    }
    let inject = |context: &FaultContext| {
        within(namespace, || {
            let mut fault = Fault::prepare(&kind("{net.partition: {}}"), context).unwrap();
            fault.inject().unwrap();
            fault
        })
    };
    let mut pair = Pair::connect(&network);
    let of = |peer: std::net::Ipv4Addr| Flow {
        peers: Peers::Only(vec![peer.into()]),
        ..Flow::default()
    };
    context.flow = of(hub_address(1));
    let mut fault = inject(&context);
    pair.assert_ways([true, true]);
    within(namespace, || fault.clear().unwrap());

    context.flow = of(node_address(0));
    context.flow.control.push(Connection {
        local: pair.near.local_addr().unwrap(),
        remote: pair.near.peer_addr().unwrap(),
    });
    let mut other = Pair::connect(&network);
    let mut fault = inject(&context);
    pair.assert_ways([true, true]);
    other.assert_ways([false, false]);
    within(namespace, || fault.clear().unwrap());
    other.wait_until_whole();
    assert_eq!(rig.standing(), 0);
}

#[test]
fn rules_of_others_survive_and_cannot_let_through_what_is_cut() {
    if !is_root("foreign rules") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let (namespace, context) = in_the_hub(&network, &rig);
    if !has_packet_filter(&context) {
        return;
    }
    // As a firewall does that lets established connections pass.
    for rule in [
        "-t raw -A PREROUTING -i n0 -j ACCEPT",
        "-t mangle -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A FORWARD -p tcp -j ACCEPT",
    ] {
        let call = node::tool::Call::new(Program::Iptables)
            .args(["-w", "5"])
            .args(rule.split(' '));
        if let Err(error) = within(namespace, || call.run()) {
            println!("rule left out: {error}");
        }
    }
    let state = || {
        ["raw", "mangle", "filter"]
            .map(|table| filter(namespace, Program::Iptables, &format!("-t {table} -S")))
    };
    let alone = state();
    let mut pair = Pair::connect(&network);
    let mut fault = within(namespace, || {
        let mut fault = Fault::prepare(&kind("{net.partition: {}}"), &context).unwrap();
        fault.inject().unwrap();
        fault
    });
    pair.assert_ways([false, false]);
    within(namespace, || fault.clear().unwrap());
    assert_eq!(state(), alone);
    pair.wait_until_whole();
}

#[test]
fn a_chain_that_was_removed_underneath_is_no_obstacle() {
    if !is_root("chain removed underneath") {
        return;
    }
    let (network, rig) = (Network::new(), Rig::bare());
    let (namespace, context) = in_the_hub(&network, &rig);
    if !has_packet_filter(&context) {
        return;
    }
    within(namespace, || {
        let mut fault = Fault::prepare(&kind("{net.partition: {}}"), &context).unwrap();
        fault.inject().unwrap();
        for program in [Program::Iptables, Program::Ip6tables] {
            for words in ["-t raw -F", "-t raw -X", "-t mangle -F", "-t mangle -X"] {
                filter(namespace, program, words);
            }
        }
        let error = fault.probe().unwrap_err().to_string();
        assert!(error.contains("DEPBENCH"), "{error}");
        fault.clear().unwrap();
    });
    assert_eq!(rig.standing(), 0);
}
