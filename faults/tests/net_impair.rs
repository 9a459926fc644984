//! What becomes of real packets that are lost, doubled, damaged, overtaken or slowed down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::time::{Duration, Instant};

use common::{Rig, is_root, kind, until_gone, value};
use depbench_faults::{Backend, Fault, FaultContext, Probe, Wiring, effect};
use network::{Arrivals, Network, assert_no_chains, within};
use node::facts::Answer;
use node::netns::NetNs;

const COUNT: u32 = 2000;

/// A fault on what node 1 sends, by one back end.
struct Case<'a> {
    network: &'a Network,
    namespace: &'a NetNs,
    context: FaultContext,
    backend: Backend,
}

/// Every back end that this machine has, one after the other.
fn for_each_backend(test: &str, kernels_own: Backend, check: impl Fn(&Case<'_>)) {
    if !is_root(test) {
        return;
    }
    let network = Network::new();
    let rig = Rig::bare();
    let unwanted = || Answer::No("not wanted here".to_owned());
    for backend in [kernels_own, Backend::DelayLine, Backend::TapLine] {
        let (link, namespace) = match backend {
            Backend::DelayLine => (network.link_at_hub(1), &network.hub),
            _ => (network.link_at_node(1), &network.nodes[1]),
        };
        let mut context = rig.context_of_link(link);
        let missing = match backend {
            Backend::DelayLine => context.facts.nfqueue.reason(),
            Backend::TapLine => context.facts.tap.reason(),
            Backend::Tbf => context.facts.tbf.reason(),
            _ => context.facts.netem.reason(),
        };
        if let Some(reason) = missing {
            println!("{test} by {backend} skipped: {reason}");
            continue;
        }
        if backend != kernels_own {
            (context.facts.netem, context.facts.tbf) = (unwanted(), unwanted());
        }
        if backend == Backend::TapLine {
            context.wiring = Wiring::Direct;
        }
        check(&Case {
            network: &network,
            namespace,
            context,
            backend,
        });
        assert_eq!(rig.standing(), 0);
    }
    assert_no_chains(&network.hub);
}

impl Case<'_> {
    /// Injects a fault, sends numbered datagrams, proves that it bit, clears it, and proves that nothing is left.
    fn send(&self, text: &str, size: usize, spacing: Duration) -> Arrivals {
        let kind = kind(text);
        let inside = |work: &mut (dyn FnMut() + Send)| within(self.namespace, work);
        let mut fault = None;
        let (mut before, mut during) = (Vec::new(), Vec::new());
        inside(&mut || {
            let fault = fault.insert(Fault::prepare(&kind, &self.context).unwrap());
            assert_eq!(fault.backend(), self.backend);
            before = fault.probe().unwrap();
            println!("{}", fault.inject().unwrap().detail);
        });
        let mut fault = fault.unwrap();
        let arrived = self.network.datagrams(COUNT, size, spacing);
        inside(&mut || during = fault.probe().unwrap());
        let arrivals = Arrivals::of(&arrived);
        println!("{kind} by {}: {arrivals:?}, {during:?}", self.backend);
        let verdict = effect(&kind, &before, &during);
        // Fair draws may be far off; that is said, and is no objection.
        assert_eq!(verdict.objection(), None);
        inside(&mut || {
            fault.clear().unwrap();
            until_gone(&mut fault, &before);
        });
        arrivals
    }
}

/// Packets of `COUNT` that arrived, as a share; the bounds are six deviations of a fair draw away.
fn assert_share(arrived: usize, expected: f64) {
    let share = arrived as f64 / f64::from(COUNT);
    let deviation = (expected * (1.0 - expected) / f64::from(COUNT)).sqrt();
    assert!((share - expected).abs() < 6.0 * deviation, "{share}");
}

const SPACING: Duration = Duration::from_micros(100);

#[test]
fn losses_are_as_many_as_asked_for() {
    for_each_backend("net.loss", Backend::Netem, |case| {
        let arrivals = case.send("{net.loss: {share: 20%}}", 100, SPACING);
        assert_share(arrivals.distinct, 0.8);
        assert_eq!(arrivals.again, 0);
    });
}

#[test]
fn duplicates_are_as_many_as_asked_for() {
    for_each_backend("net.duplicate", Backend::Netem, |case| {
        let arrivals = case.send("{net.duplicate: {share: 30%}}", 100, SPACING);
        assert_eq!(arrivals.distinct, COUNT as usize);
        assert_share(arrivals.again, 0.3);
    });
}

#[test]
fn damaged_packets_are_found_by_their_checksums() {
    for_each_backend("net.corrupt", Backend::Netem, |case| {
        // What arrives, arrives whole: the test compares every byte.
        let arrivals = case.send("{net.corrupt: {share: 25%}}", 700, SPACING);
        assert_share(arrivals.distinct, 0.75);
    });
}

#[test]
fn held_packets_are_overtaken() {
    for_each_backend("net.reorder", Backend::Netem, |case| {
        let text = "{net.reorder: {share: 10%, delay: 20ms}}";
        let arrivals = case.send(text, 100, Duration::from_millis(1));
        assert_eq!((arrivals.distinct, arrivals.again), (COUNT as usize, 0));
        // A held packet comes in after about twenty others, beside which another held one may be.
        assert!(arrivals.overtaken > COUNT as usize / 40, "{arrivals:?}");
    });
}

#[test]
fn a_rate_is_never_exceeded() {
    for_each_backend("net.rate", Backend::Tbf, |case| {
        let start = Instant::now();
        let arrivals = case.send("{net.rate: {rate: 1MB/s, queue: 10s}}", 958, SPACING);
        // 2 MB with headers, of which a bucket may let a little pass at once.
        let least = Duration::from_millis(1900);
        assert!(start.elapsed() > least, "{:?}", start.elapsed());
        assert_eq!(arrivals.distinct, COUNT as usize);
    });
}

#[test]
fn what_a_rate_has_no_room_for_is_dropped() {
    for_each_backend("net.rate with a short queue", Backend::Tbf, |case| {
        let text = "{net.rate: {rate: 100KB/s, queue: 50ms}}";
        let arrivals = case.send(text, 958, Duration::ZERO);
        assert!(arrivals.distinct < COUNT as usize, "{arrivals:?}");
    });
}

/// Run by hand: `cargo test -p depbench-faults --test net_impair -- --ignored --nocapture --test-threads=1`.
#[test]
#[ignore = "a measurement"]
fn shares_and_rates_asked_for_and_got() {
    for_each_backend("fidelity", Backend::Netem, |case| {
        for share in [1, 5, 20] {
            let lost = case.send(&format!("{{net.loss: {{share: {share}%}}}}"), 100, SPACING);
            println!(
                "loss asked {share}%, got {:.2}%",
                100.0 - lost.distinct as f64 / 20.0
            );
            let text = format!("{{net.loss: {{share: {share}%, correlation: 50%}}}}");
            let lost = case.send(&text, 100, SPACING);
            println!(
                "loss in bursts asked {share}%, got {:.2}%",
                100.0 - lost.distinct as f64 / 20.0
            );
            let twice = case.send(
                &format!("{{net.duplicate: {{share: {share}%}}}}"),
                100,
                SPACING,
            );
            println!(
                "duplicates asked {share}%, got {:.2}%",
                twice.again as f64 / 20.0
            );
            let text = format!("{{net.corrupt: {{share: {share}%}}}}");
            let whole = case.send(&text, 100, SPACING);
            println!(
                "damaged asked {share}%, got {:.2}%",
                100.0 - whole.distinct as f64 / 20.0
            );
        }
    });
    for_each_backend("fidelity", Backend::Tbf, |case| {
        for rate in [200, 1000, 5000] {
            let kind = kind(&format!("{{net.rate: {{rate: {rate}KB/s, queue: 30s}}}}"));
            let mut fault = within(case.namespace, || {
                let mut fault = Fault::prepare(&kind, &case.context).unwrap();
                fault.inject().unwrap();
                fault
            });
            let start = Instant::now();
            let arrived = case.network.datagrams(COUNT, 958, Duration::ZERO).len();
            let elapsed = start.elapsed().as_secs_f64() - 2.0;
            let probed = within(case.namespace, || fault.probe().unwrap());
            let got = arrived as f64 / elapsed;
            println!(
                "rate by {} asked {rate} KB/s, got {got:.0} KB/s of IP, {} of it paced",
                case.backend,
                value(&probed, Probe::PacedPackets)
            );
            within(case.namespace, || fault.clear().unwrap());
        }
    });
}
