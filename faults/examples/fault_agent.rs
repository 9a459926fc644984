//! Stands for an agent in the tests that kill one: injects one fault, says so, and waits to be killed.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use depbench_faults::{Fault, FaultContext, FaultLink, FaultType, Flow, HelperProgram, Wiring};
use node::cgroup::{Child, CpuQuota, NodeCgroup, NodeSpec};
use node::facts::Facts;
use node::identity::ProcessId;
use node::journal::{Journal, Purpose};
use serde::Deserialize;

/// What to do, as one line of JSON on stdin.
#[derive(Deserialize)]
struct Order {
    journal: PathBuf,
    run: String,
    kind: FaultType,
    helper: PathBuf,
    server: Option<i32>,
    /// CPUs of a cgroup for the server; without it the node has no groups.
    budget: Option<f64>,
    link: Option<(String, std::net::IpAddr)>,
    wiring: Wiring,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let context = context(&order)?;
    let mut fault = Fault::prepare(&order.kind, &context)?;
    let injected = fault.inject()?;
    println!("{}", injected.detail);
    std::io::stdout().flush()?;
    std::thread::sleep(std::time::Duration::from_secs(60));
    Ok(())
}

fn context(order: &Order) -> Result<FaultContext, Failure> {
    let purpose = Purpose {
        run: order.run.parse()?,
        node: "s1".parse()?,
    };
    let journal = Journal::open(&order.journal, &purpose)?;
    let facts = Facts::gather()?;
    let group = order.budget.map(|cpus| -> Result<NodeCgroup, Failure> {
        let spec = NodeSpec {
            run: purpose.run.clone(),
            node: purpose.node.clone(),
            budget: Some(CpuQuota::new(cpus, CpuQuota::BUDGET_PERIOD)?),
            cpus: None,
        };
        let group = NodeCgroup::create(&facts.cgroups, &spec, &journal)?;
        if let Some(pid) = order.server {
            group.attach(Child::Server, pid)?;
        }
        Ok(group)
    });
    let servers = order.server.map(ProcessId::of).transpose()?.flatten();
    let link = order
        .link
        .as_ref()
        .map(|(device, peer)| -> Result<FaultLink, Failure> {
            Ok(FaultLink {
                device: device.parse()?,
                peer: *peer,
            })
        });
    Ok(FaultContext {
        journal,
        facts,
        cgroup: group.transpose()?,
        servers: servers.into_iter().collect(),
        latency: None,
        keeper: None,
        disk: order.journal.parent().map(Path::to_owned),
        device: None,
        link: link.transpose()?,
        flow: Flow::default(),
        wiring: order.wiring,
        helper: HelperProgram::new(&order.helper, []),
    })
}
