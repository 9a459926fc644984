use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Who is to undo what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Healer {
    /// The agents: their controller or guardian is gone, or silent.
    Agent,
    /// The guardians: their agents are gone.
    Guardian,
    /// `depbench heal`: all are gone.
    Heal,
}

/// What is done to the processes of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The controller is killed.
    Controller,
    /// The link is cut: the controller is stopped, and silent for longer than the lease.
    Link,
    /// The guardians are killed.
    Guardians,
    /// The agents are killed.
    Agents,
    /// Controller and agents are killed at once.
    ControllerAndAgents,
    /// Controller, agents and guardians are killed at once.
    All,
}

impl Blow {
    /// All of them; killing everything counts twice, so that no healer has fewer rounds than half of another.
    pub const ALL: [Blow; 7] = [
        Blow::Controller,
        Blow::Link,
        Blow::Guardians,
        Blow::Agents,
        Blow::ControllerAndAgents,
        Blow::All,
        Blow::All,
    ];

    /// Who is to undo what was done.
    pub fn healer(self) -> Healer {
        match self {
            Blow::Controller | Blow::Link | Blow::Guardians => Healer::Agent,
            Blow::Agents | Blow::ControllerAndAgents => Healer::Guardian,
            Blow::All => Healer::Heal,
        }
    }

    /// Whether the controller lives on.
    pub(super) fn spares_controller(self) -> bool {
        matches!(self, Blow::Link | Blow::Guardians | Blow::Agents)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Blow::Controller => "kill -9 controller",
            Blow::Link => "link cut",
            Blow::Guardians => "kill -9 guardians",
            Blow::Agents => "kill -9 agents",
            Blow::ControllerAndAgents => "kill -9 controller, agents",
            Blow::All => "kill -9 all",
        })
    }
}

impl fmt::Display for Healer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Healer::Agent => "agents (controller, guardian killed; link cut)",
            Healer::Guardian => "guardians (agents killed)",
            Healer::Heal => "depbench heal (all killed)",
        })
    }
}

/// The processes of one controller.
#[derive(Debug, Default, PartialEq)]
struct Family {
    guardians: Vec<i32>,
    agents: Vec<i32>,
}

/// Strikes; returns when those who were hit are dead.
pub(super) fn strike(blow: Blow, controller: i32) {
    let family = Family::of(controller);
    match blow {
        Blow::Controller => at_once(&[controller]),
        Blow::Link => signal(controller, Signal::SIGSTOP),
        Blow::Guardians => at_once(&family.guardians),
        Blow::Agents => at_once(&family.agents),
        Blow::ControllerAndAgents => {
            let mut all = family.agents;
            all.push(controller);
            at_once(&all);
        }
        Blow::All => {
            // What is stopped starts nobody any more.
            signal(controller, Signal::SIGSTOP);
            let mut family = Family::of(controller);
            for _ in 0..20 {
                for pid in family.guardians.iter().chain(&family.agents) {
                    signal(*pid, Signal::SIGSTOP);
                }
                std::thread::sleep(Duration::from_millis(5));
                let now = Family::of(controller);
                if now == family {
                    break;
                }
                family = now;
            }
            let mut all = vec![controller];
            all.extend(family.guardians.iter().chain(&family.agents));
            at_once(&all);
        }
    }
}

impl Family {
    /// Its guardians are agents by their arguments, and its children; the agents are theirs.
    fn of(controller: i32) -> Family {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for pid in pids() {
            if let Some(parent) = parent(pid).filter(|_| is_agent(pid)) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let guardians = children.remove(&controller).unwrap_or_default();
        let agents = guardians
            .iter()
            .filter_map(|guardian| children.remove(guardian))
            .flatten()
            .collect();
        Family { guardians, agents }
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_agent(pid: i32) -> bool {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    cmdline.split(|byte| *byte == 0).nth(1) == Some(b"agent".as_slice())
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process is gone, or only waits for its parent to ask how it ended.
pub(super) fn is_dead(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| rest.trim().starts_with(['Z', 'X']))
}

/// Kills all of them before any sees another die.
fn at_once(pids: &[i32]) {
    for one in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in pids {
            signal(*pid, one);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while pids.iter().any(|pid| !is_dead(*pid)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(pid: i32, signal: Signal) {
    // One that has ended by itself needs no killing.
    let _gone = kill(Pid::from_raw(pid), signal);
}
