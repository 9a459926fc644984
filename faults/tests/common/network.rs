//! Two nodes in network namespaces, joined by a hub that routes.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use depbench_faults::FaultLink;
use nix::sys::socket::{setsockopt, sockopt};
use node::links::{LinkName, Links};
use node::netns::NetNs;
use node::tool::{Call, Program};

/// The namespaces; they are gone with this value.
pub(crate) struct Network {
    pub(crate) hub: NetNs,
    pub(crate) nodes: [NetNs; 2],
}

impl Network {
    /// Makes the namespaces and the links between them.
    pub(crate) fn new() -> Network {
        let hub = NetNs::create().unwrap();
        let nodes = [NetNs::create().unwrap(), NetNs::create().unwrap()];
        let hub_links = Links::open_in(&hub).unwrap();
        for (number, node) in nodes.iter().enumerate() {
            let (ours, theirs) = (hub_link(number), node_link());
            hub_links
                .create_veth(&ours, &theirs, std::os::fd::AsFd::as_fd(node))
                .unwrap();
            let links = Links::open_in(node).unwrap();
            let gateway: IpAddr = hub_address(number).into();
            hub_links.add_address(&ours, gateway, 24).unwrap();
            links
                .add_address(&theirs, node_address(number).into(), 24)
                .unwrap();
            hub_links.set_up(&ours).unwrap();
            links.set_up(&theirs).unwrap();
            links
                .add_route(Ipv4Addr::UNSPECIFIED.into(), 0, gateway)
                .unwrap();
        }
        hub.enable_forwarding().unwrap();
        let network = Network { hub, nodes };
        network.wait_until_up();
        network
    }

    /// Some kernels bring links up in the background.
    fn wait_until_up(&self) {
        let to = bound(&self.nodes[0], node_address(0).into());
        let from = bound(&self.nodes[1], node_address(1).into());
        to.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let came = (0..300).any(|_| {
            // Refused as long as the link is down.
            let _ = from.send_to(b"?", to.local_addr().unwrap());
            to.recv(&mut [0; 8]).is_ok()
        });
        assert!(came, "the nodes do not reach each other");
    }

    /// Adds addresses of version 6; false if the kernel has none.
    pub(crate) fn add_version_6(&self) -> bool {
        if !std::path::Path::new("/proc/net/if_inet6").exists() {
            println!("version 6 skipped: the kernel has none");
            return false;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let (hub, address) = (hub_address_6(number), node_address_6(number));
            let run = |namespace: &NetNs, words: &str| {
                let call = Call::new(Program::Ip).args(words.split(' '));
                namespace.run(|| call.run().unwrap()).unwrap()
            };
            run(
                &self.hub,
                &format!("-6 addr add {hub}/64 dev n{number} nodad"),
            );
            run(node, &format!("-6 addr add {address}/64 dev eth0 nodad"));
            run(node, &format!("-6 route add default via {hub}"));
        }
        let forwarding = "/proc/sys/net/ipv6/conf/all/forwarding";
        within(&self.hub, || std::fs::write(forwarding, "1").unwrap());
        true
    }

    /// The link of a node as the hub sees it.
    pub(crate) fn link_at_hub(&self, number: usize) -> FaultLink {
        FaultLink {
            device: hub_link(number),
            peer: node_address(number).into(),
        }
    }

    /// The link of a node as the node sees it.
    pub(crate) fn link_at_node(&self, number: usize) -> FaultLink {
        FaultLink {
            device: node_link(),
            peer: hub_address(number).into(),
        }
    }

    /// Least round trip of a few datagrams from node 0 to node 1 and back, in milliseconds: what all of them had to take,
    /// whatever else kept the machine busy.
    pub(crate) fn round_trip(&self, to: IpAddr) -> f64 {
        let server = bound(&self.nodes[1], to);
        let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
        let client = bound(&self.nodes[0], any.parse().unwrap());
        client.connect(server.local_addr().unwrap()).unwrap();
        (0..15)
            .map(|_| {
                let mut buffer = [0; 8];
                let start = Instant::now();
                client.send(b"?").unwrap();
                let (_, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(b"!", from).unwrap();
                client.recv(&mut buffer).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .fold(f64::INFINITY, f64::min)
    }

    /// Sends numbered datagrams of `size` bytes from node 1 to node 0, `spacing` apart; the numbers that arrived, in the
    /// order of their arrival. Nothing for two seconds means that nothing more will come.
    pub(crate) fn datagrams(&self, count: u32, size: usize, spacing: Duration) -> Vec<u32> {
        let to = bound(&self.nodes[0], node_address(0).into());
        let from = bound(&self.nodes[1], node_address(1).into());
        setsockopt(&to, sockopt::RcvBufForce, &(32 << 20)).unwrap();
        to.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        from.connect(to.local_addr().unwrap()).unwrap();
        let sender = std::thread::spawn(move || {
            let start = Instant::now();
            for number in 0..count {
                from.send(&content(number, size)).unwrap();
                let next = start + spacing * (number + 1);
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        let mut arrived = Vec::new();
        let mut buffer = vec![0; 2000];
        loop {
            match to.recv(&mut buffer) {
                Ok(length) => {
                    let number = u32::from_be_bytes(*buffer.first_chunk().unwrap());
                    assert_eq!(buffer[..length], content(number, size), "arrived damaged");
                    arrived.push(number);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) if sender.is_finished() => break,
                Err(_) => {}
            }
        }
        sender.join().unwrap();
        arrived
    }
}

/// What became of numbered packets.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) distinct: usize,
    pub(crate) again: usize,
    pub(crate) overtaken: usize,
}

impl Arrivals {
    pub(crate) fn of(arrived: &[u32]) -> Arrivals {
        let distinct: BTreeSet<u32> = arrived.iter().copied().collect();
        Arrivals {
            distinct: distinct.len(),
            again: arrived.len() - distinct.len(),
            overtaken: arrived.windows(2).filter(|pair| pair[0] > pair[1]).count(),
        }
    }
}

fn content(number: u32, size: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(size, number as u8);
    bytes
}

fn bound(namespace: &NetNs, address: IpAddr) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(SocketAddr::new(address, 0)).unwrap());
    let socket = socket.unwrap();
    let patience = Some(Duration::from_secs(60));
    socket.set_read_timeout(patience).unwrap();
    socket
}

/// Runs `work` inside a namespace.
pub(crate) fn within<T: Send>(namespace: &NetNs, work: impl FnOnce() -> T + Send) -> T {
    namespace.run(work).unwrap()
}

/// What `tc` says inside a namespace.
pub(crate) fn tc(namespace: &NetNs, words: &str) -> String {
    let call = Call::new(Program::Tc).args(words.split(' '));
    within(namespace, || call.run().unwrap())
}

/// What the packet filter says inside a namespace.
pub(crate) fn filter(namespace: &NetNs, program: Program, words: &str) -> String {
    let call = Call::new(program).args(["-w", "5"]).args(words.split(' '));
    within(namespace, || call.run().unwrap())
}

/// Fails if a chain of ours is left in a namespace.
pub(crate) fn assert_no_chains(namespace: &NetNs) {
    for program in [Program::Iptables, Program::Ip6tables] {
        for table in ["raw", "mangle"] {
            let left = filter(namespace, program, &format!("-t {table} -S"));
            assert!(!left.contains("DEPBENCH"), "{left}");
        }
    }
}

fn hub_link(number: usize) -> LinkName {
    format!("n{number}").parse().unwrap()
}

/// The name that every node's link has there.
pub(crate) fn node_link() -> LinkName {
    "eth0".parse().unwrap()
}

/// The hub's address on a node's link.
pub(crate) fn hub_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, number as u8, 1)
}

/// The address of a node.
pub(crate) fn node_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, number as u8, 2)
}

fn hub_address_6(number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd99, 0, 0, number as u16, 0, 0, 0, 1)
}

/// The address of a node, version 6.
pub(crate) fn node_address_6(number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd99, 0, 0, number as u16, 0, 0, 0, 2)
}
