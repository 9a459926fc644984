//! Replicas of a built-in system, started by hand, so that any of them can be killed.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use targets::TargetSpec;
use tokio::time::timeout;
use vocab::ids::Role;

use super::runs::{Lab, Program};

/// A machine that does much else may take long to give a role to somebody.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Three durable replicas, each with its directory, which survives it.
pub struct Group<'a> {
    lab: &'a Lab,
    /// What `depbench serve` calls the system.
    system: &'static str,
    target: TargetSpec,
    members: Vec<(SocketAddr, SocketAddr)>,
    replicas: Vec<Option<Program>>,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Group<'a> {
    pub fn start(lab: &'a Lab, system: &'static str, target: TargetSpec) -> Group<'a> {
        // Held together, so that no two are the same.
        let held: Vec<_> = (0..6)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<SocketAddr> = held.iter().map(|one| one.local_addr().unwrap()).collect();
        drop(held);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut group = Group {
            lab,
            system,
            target,
            members: addresses.chunks(2).map(|pair| (pair[0], pair[1])).collect(),
            replicas: (0..3).map(|_| None).collect(),
            runtime,
        };
        for index in 0..3 {
            group.start_replica(index);
        }
        group
    }

    pub fn start_replica(&mut self, index: usize) {
        let data = self.lab.path().join(format!("replica-{index}"));
        let mut arguments = vec![
            "serve".to_owned(),
            self.system.to_owned(),
            "--durability=fsync".to_owned(),
        ];
        arguments.push(format!("--id={}", index + 1));
        arguments.push(format!("--data={}", data.display()));
        for (id, (peer, client)) in (1..).zip(&self.members) {
            arguments.push(format!("--member={id}={peer},{client}"));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.replicas[index] = Some(self.lab.depbench(&arguments));
    }

    pub fn kill(&mut self, index: usize) {
        let replica = self.replicas[index].take().unwrap();
        replica.signal(Signal::SIGKILL);
        replica.end().expect_killed();
    }

    pub fn clients(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|(_, client)| *client).collect()
    }

    /// Who has a role in the newest term, once one of those that run does.
    pub fn holder(&self, role: Role) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let target = self.target.target();
        loop {
            let mut holders = Vec::new();
            for (index, (_, client)) in self.members.iter().enumerate() {
                let poll = async { timeout(Duration::from_secs(1), target.status(*client)).await };
                let status = self.runtime.block_on(poll);
                if let Ok(Ok(status)) = status
                    && status.role == Some(role)
                {
                    holders.push((status.term, index));
                }
            }
            if let Some((_, holder)) = holders.into_iter().max() {
                return holder;
            }
            assert!(Instant::now() < deadline, "nobody is {role}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
