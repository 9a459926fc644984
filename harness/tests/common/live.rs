//! The processes of a run that is up, to be killed.

use std::path::Path;
use std::time::{Duration, Instant};

use depbench::cluster::StateDir;
use depbench::cluster::running;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::identity::ProcessId;

use super::leftovers::{is_dead, namespaces_of, processes_in};

/// The agents of a cluster that is up, their guardians, and their namespaces.
pub struct Live {
    /// Name and agent of each node.
    pub nodes: Vec<(String, i32)>,
    /// One for each agent.
    pub guardians: Vec<i32>,
    /// Everybody in their namespaces.
    inside: Vec<ProcessId>,
}

impl Live {
    /// The cluster of the experiment's run: three servers, a client, and the hub where there is one.
    pub fn find(state: &Path, experiment: &str) -> Live {
        let nodes = running::list(&StateDir::at(state).unwrap()).unwrap();
        let is_its = |run: &str| run.starts_with(&format!("{experiment}-"));
        let nodes: Vec<(String, i32)> = nodes
            .into_iter()
            .filter(|node| is_its(node.purpose.run.as_str()))
            .map(|node| (node.purpose.node.to_string(), node.agent.pid))
            .collect();
        assert!(nodes.len() >= 4, "{nodes:?}");
        let guardians = nodes.iter().map(|(_, agent)| parent(*agent)).collect();
        let own = namespaces_of(std::process::id() as i32);
        let mut namespaces: Vec<String> = nodes
            .iter()
            .flat_map(|(_, agent)| namespaces_of(*agent))
            .collect();
        namespaces.retain(|namespace| !own.contains(namespace));
        let inside = processes_in(&namespaces).into_iter();
        let inside = inside.filter_map(|pid| ProcessId::of(pid).unwrap());
        Live {
            nodes,
            guardians,
            inside: inside.collect(),
        }
    }

    pub fn has(&self, node: &str) -> bool {
        self.nodes.iter().any(|(name, _)| name == node)
    }

    /// The agent of a node.
    pub fn agent(&self, node: &str) -> i32 {
        let found = self.nodes.iter().find(|(name, _)| name == node);
        found
            .unwrap_or_else(|| panic!("no {node} in {:?}", self.nodes))
            .1
    }

    pub fn agents(&self) -> Vec<i32> {
        self.nodes.iter().map(|(_, agent)| *agent).collect()
    }

    /// Nobody is left of those who were in a namespace of the cluster.
    pub fn assert_all_gone(&self) {
        // One that is dead but was not asked for is nobody's any more.
        let lives = |one: &&ProcessId| one.is_alive() && !is_dead(one.pid);
        let left: Vec<_> = self.inside.iter().filter(lives).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Kills all of them at once, so that none sees another die, and waits until they are dead.
pub fn kill_at_once(pids: &[i32]) {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in pids {
            kill(Pid::from_raw(*pid), signal)
                .unwrap_or_else(|error| panic!("{signal} {pid}: {error}"));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(120);
    while pids.iter().any(|pid| !is_dead(*pid)) {
        assert!(Instant::now() < deadline, "{pids:?} do not die");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(1).unwrap().parse().unwrap()
}
