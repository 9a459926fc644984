//! Links between network namespaces on the real kernel. Needs root, or a user namespace is not enough here: skipped with a
//! reason otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use node::journal::{self, Journal, Purpose, Undo};
use node::links::{LinkName, Links};
use node::netns::NetNs;
use node::tool::Program;
use node::tool::iptables::{Chain, Hook, Table};
use node::tool::tc::{self, Handle, Netem, Parent, Qdisc, Tbf};

fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn namespace() -> Option<NetNs> {
    match NetNs::create() {
        Ok(namespace) => Some(namespace),
        Err(error) => {
            println!("skipped: no network namespace of our own: {error}");
            None
        }
    }
}

/// Two nodes, each with a link to a hub that routes between them.
struct Star {
    hub: NetNs,
    nodes: [NetNs; 2],
}

impl Star {
    fn build() -> Option<Star> {
        let star = Star {
            hub: namespace()?,
            nodes: [namespace()?, namespace()?],
        };
        let hub = Links::open_in(&star.hub).unwrap();
        for (number, node) in star.nodes.iter().enumerate() {
            let (here, there) = (name(&format!("db-s{number}")), name("eth0"));
            let gateway = ip(&format!("10.9.{number}.1"));
            hub.create_veth(&here, &there, node.as_fd()).unwrap();
            hub.add_address(&here, gateway, 24).unwrap();
            hub.set_up(&here).unwrap();
            let links = Links::open_in(node).unwrap();
            links.set_up(&LinkName::loopback()).unwrap();
            links
                .add_address(&there, ip(&format!("10.9.{number}.2")), 24)
                .unwrap();
            links.set_up(&there).unwrap();
            links.add_route(ip("0.0.0.0"), 0, gateway).unwrap();
        }
        star.hub.enable_forwarding().unwrap();
        Some(star)
    }

    /// Sends one datagram from node 0 to node 1 and back; what came back.
    fn echo(&self) -> String {
        let server = self.nodes[1]
            .run(|| UdpSocket::bind("10.9.1.2:7000").unwrap())
            .unwrap();
        let client = self.nodes[0]
            .run(|| UdpSocket::bind("10.9.0.2:0").unwrap())
            .unwrap();
        for socket in [&server, &client] {
            socket
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
        }
        let mut buffer = [0; 64];
        client.send_to(b"ping", "10.9.1.2:7000").unwrap();
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
        let (length, _) = client.recv_from(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

fn journal(dir: &tempfile::TempDir) -> Journal {
    let purpose = Purpose {
        run: "net".parse().unwrap(),
        node: "hub".parse().unwrap(),
    };
    Journal::open(&dir.path().join("journal"), &purpose).unwrap()
}

#[test]
fn nodes_talk_through_the_hub() {
    let Some(star) = Star::build() else { return };
    assert_eq!(star.echo(), "ping");
}

#[test]
fn a_link_goes_with_the_namespace_of_its_peer() {
    let (Some(mortal), Some(survivor)) = (namespace(), namespace()) else {
        return;
    };
    let (a, b) = (name("a"), name("b"));
    let links = Links::open_in(&survivor).unwrap();
    let other = Links::open_in(&mortal).unwrap();
    other.create_veth(&a, &b, survivor.as_fd()).unwrap();
    assert!(links.index(&b).is_ok());
    assert_ne!(mortal.id().unwrap(), survivor.id().unwrap());
    drop((mortal, other));
    // The kernel takes namespaces down in the background.
    let gone = || links.index(&b).is_err_and(|error| error.is(libc::ENODEV));
    assert!((0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        gone()
    }));
    assert!(
        Links::open()
            .unwrap()
            .index(&a)
            .unwrap_err()
            .is(libc::ENODEV)
    );
}

#[test]
fn the_kernels_own_words_are_in_the_error() {
    let Some(namespace) = namespace() else { return };
    let links = Links::open_in(&namespace).unwrap();
    let (a, b) = (name("a"), name("b"));
    links.create_veth(&a, &b, namespace.as_fd()).unwrap();
    let error = links.create_veth(&a, &b, namespace.as_fd()).unwrap_err();
    assert!(error.is(libc::EEXIST), "{error}");
    assert!(error.to_string().contains("make links a and b"), "{error}");
    links.delete(&a).unwrap();
    links.delete(&a).unwrap();
    assert!(
        links.index(&b).unwrap_err().is(libc::ENODEV),
        "the peer went along"
    );
    assert!(
        links
            .set_up(&b)
            .unwrap_err()
            .to_string()
            .contains("find link b")
    );
    let error = links
        .add_route(ip("10.0.0.0"), 8, ip("10.9.9.9"))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("route 10.0.0.0/8 through 10.9.9.9"),
        "{error}"
    );
}

#[test]
fn version_6_addresses_work_too() {
    let Some(namespace) = namespace() else { return };
    if !std::fs::exists("/proc/net/if_inet6").unwrap() {
        println!("skipped: this kernel has no version 6");
        return;
    }
    let links = Links::open_in(&namespace).unwrap();
    let (a, b) = (name("a"), name("b"));
    links.create_veth(&a, &b, namespace.as_fd()).unwrap();
    links.add_address(&a, ip("fd00::1"), 64).unwrap();
    links.set_up(&a).unwrap();
    links.add_route(ip("fd01::"), 64, ip("fd00::2")).unwrap();
}

fn tbf() -> Qdisc {
    Qdisc::Tbf(Tbf::new(
        "1MB/s".parse().unwrap(),
        Duration::from_millis(100),
    ))
}

#[test]
fn our_qdisc_is_deleted_and_only_ours() {
    let Some(star) = Star::build() else { return };
    if Program::Tc.find().is_none() {
        println!("skipped: no tc");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&dir);
    let link = name("db-s0");
    let kinds = || {
        let shown = star.hub.run(|| tc::show(&link).run().unwrap()).unwrap();
        let qdiscs: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let list = qdiscs.as_array().unwrap();
        list.iter()
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let record = |handle| {
        let undo = Undo::DeleteQdisc {
            device: link.clone(),
            parent: Parent::Root,
            handle,
        };
        star.hub.run(|| journal.record(undo).unwrap()).unwrap()
    };
    let before = kinds();
    let entry = record(Handle::ours(1));
    star.hub
        .run(|| {
            tc::add(&link, Parent::Root, Handle::ours(1), &tbf())
                .run()
                .unwrap()
        })
        .unwrap();
    assert_eq!(kinds(), ["tbf"]);
    // The undo of another handle finds nothing of its own and leaves this one in place.
    record(Handle::ours(2)).undo().unwrap();
    assert_eq!(kinds(), ["tbf"]);
    // From this namespace, the undo finds its way into the one it was recorded in.
    assert_eq!(star.echo(), "ping");
    drop(entry);
    drop(journal);
    let report = journal::heal(&dir.path().join("journal")).unwrap();
    assert!(report.is_complete() && report.healed.len() == 1, "{report}");
    assert_eq!(kinds(), before);
}

#[test]
fn our_chain_is_deleted_with_its_jumps() {
    let Some(star) = Star::build() else { return };
    let facts = node::facts::Facts::gather().unwrap();
    if let Some(reason) = facts.nfqueue.reason() {
        println!("skipped: no packet filter: {reason}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&dir);
    let chain = Chain::new(
        Table::Mangle,
        Hook::Forward,
        "DEPBENCH-test".parse().unwrap(),
    );
    star.hub
        .run(|| {
            let entry = journal
                .record(Undo::DeleteChain {
                    chain: chain.clone(),
                })
                .unwrap();
            chain.create().run().unwrap();
            chain
                .append(["-d", "10.9.1.2", "-j", "DROP"])
                .run()
                .unwrap();
            chain.jump().run().unwrap();
            chain.jump().run().unwrap();
            assert!(chain.create().run().unwrap_err().said().contains("exists"));
            entry.undo().unwrap();
            // Again, with nothing there: success.
            let undo = Undo::DeleteChain {
                chain: chain.clone(),
            };
            journal.record(undo).unwrap().undo().unwrap();
            chain.create().run().unwrap();
        })
        .unwrap();
    assert_eq!(star.echo(), "ping");
}

#[test]
fn a_delay_by_the_kernel_where_it_can() {
    let Some(star) = Star::build() else { return };
    let facts = node::facts::Facts::gather().unwrap();
    if let Some(reason) = facts.netem.reason() {
        println!("skipped: {reason}");
        return;
    }
    let netem = Netem::delay(Duration::from_millis(40), Duration::ZERO);
    let call = tc::add(
        &name("db-s0"),
        Parent::Root,
        Handle::ours(1),
        &Qdisc::Netem(netem),
    );
    star.hub.run(|| call.run().unwrap()).unwrap();
    let start = std::time::Instant::now();
    assert_eq!(star.echo(), "ping");
    assert!(start.elapsed() >= Duration::from_millis(39));
}

#[test]
fn a_network_that_was_given_a_dead_ones_inode_is_left_alone() {
    if namespace().is_none() || Program::Tc.find().is_none() {
        println!("skipped: no network namespace of our own, or no tc");
        return;
    }
    let link = LinkName::loopback();
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(&dir);
    // The kernel gives inodes out again at once, unless a test beside this one is quicker.
    for _ in 0..40 {
        let dead = namespace().unwrap();
        let id = dead.id().unwrap();
        let undo = Undo::DeleteQdisc {
            device: link.clone(),
            parent: Parent::Root,
            handle: Handle::ours(1),
        };
        let stands = dead.run(|| journal.record(undo).unwrap()).unwrap();
        drop(dead);
        std::thread::sleep(Duration::from_millis(50));
        let living = namespace().unwrap();
        if living.id().unwrap().inode != id.inode {
            stands.undone().unwrap();
            continue;
        }
        let add = tc::add(&link, Parent::Root, Handle::ours(1), &tbf());
        living.run(|| add.run().unwrap()).unwrap();
        stands.undo().unwrap();
        let shown = living.run(|| tc::show(&link).run().unwrap()).unwrap();
        assert!(shown.contains("tbf"), "{shown}");
        return;
    }
    println!("skipped: no inode was given out again");
}
