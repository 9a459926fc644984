//! Every fault as its page shows it, injected for real.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;

use std::path::Path;

use common::needs_root;
use common::runs::Lab;
use depbench::experiment::from_text;
use faults::{Availability, FaultType, Wiring, available};
use nix::sys::signal::Signal;
use node::facts::Facts;

const SERVERS: [&str; 3] = ["s1", "s2", "s3"];

/// The faults of this type in the examples of its page.
fn examples(name: &str) -> Vec<FaultType> {
    let page = format!("{}/../docs/faults/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(Path::new(&page)).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0);
    let kinds: Vec<FaultType> = blocks
        .filter(|block| block.starts_with("name:"))
        .map(|block| from_text(&page, block.to_owned()).unwrap_or_else(|error| panic!("{error}")))
        .flat_map(|experiment| experiment.spec.faults)
        .map(|fault| fault.kind)
        .filter(|kind| kind.name() == name)
        .collect();
    assert!(!kinds.is_empty(), "{page} has no example");
    kinds
}

/// All examples that this machine can carry out, those last that may end a server.
fn possible() -> Vec<FaultType> {
    let facts = Facts::gather().unwrap();
    let names = faults::list().into_iter().map(|fault| fault.name);
    let mut kinds: Vec<FaultType> = names.flat_map(examples).collect();
    kinds.retain(|kind| match available(kind, &facts, Wiring::Hub) {
        Availability::Yes { .. } => true,
        no @ Availability::No { .. } => {
            println!("{kind} skipped: {no}");
            false
        }
    });
    kinds.sort_by_key(|kind| ["memory.limit", "process.kill"].contains(&kind.name()));
    kinds
}

#[test]
fn every_example_of_a_fault_is_injected_and_cleared() {
    if !needs_root() {
        return;
    }
    let kinds = possible();
    let lab = Lab::new("documented");
    // The layer that delays what is synced is there from the start where a fault of the file needs it.
    let layered = kinds
        .iter()
        .find(|kind| matches!(kind, FaultType::DiskLatency(_)));
    let (phase, fault) = match layered {
        Some(kind) => {
            let kind = serde_json::to_string(kind).unwrap();
            let fault = format!("faults: [{{name: layered, type: {kind}, on: {{node: s1}}}}]\n");
            (", fault: 2s", fault)
        }
        None => ("", String::new()),
    };
    let file = lab.file(&format!(
        "cluster: {{local: {{servers: 3, clients: 1, disk: {{own: 64MiB}}}}}}
targets: [{{depfast-raft: {{}}}}]
workload: {{clients: 4, connections: 2}}
phases: {{warmup: 1s, baseline: 1s{phase}}}
{fault}"
    ));
    let (file, out) = (file.to_str().unwrap(), lab.out());
    let mut run = lab.depbench(&["run", "--keep", file, "--out", out.to_str().unwrap()]);
    run.until("stays up until Ctrl-C", 1);

    for kinds in kinds.chunks(SERVERS.len()) {
        let inject = |(kind, node): (&FaultType, &&str)| {
            let fault = serde_json::to_string(kind).unwrap();
            lab.depbench(&["inject", "--node", node, "--fault", &fault, "--for", "1s"])
        };
        let running: Vec<_> = kinds.iter().zip(&SERVERS).map(inject).collect();
        for (kind, program) in kinds.iter().zip(running) {
            println!("{kind}");
            let ended = program.end();
            ended.says(&["injected, for 1s", "cleared"]);
            // A server that does nothing feels little.
            assert!(matches!(ended.status.code(), Some(0 | 2)), "{ended}");
        }
    }
    run.signal(Signal::SIGINT);
    lab.assert_sound(&run.end(), 1);
    lab.assert_clean();
}
