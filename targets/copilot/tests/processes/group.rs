//! Replicas as processes, with real files and sockets.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use depfast_copilot::{Config, Durability, Member, ReplicaId, serve};
use tempfile::TempDir;

use crate::client::Client;

/// Set in a process that is to be a replica: its number, its data directory, its durability, and all addresses.
const SPEC: &str = "DEPFAST_TEST_REPLICA";
/// Half a minute.
const ATTEMPTS: usize = 1200;

pub(crate) struct Group {
    directory: TempDir,
    durability: Durability,
    members: Vec<Member>,
    processes: BTreeMap<usize, Child>,
}

/// Becomes a replica if this process was started to be one; does not return then.
pub(crate) fn become_replica_if_asked() {
    let Ok(spec) = std::env::var(SPEC) else {
        return;
    };
    let mut words = spec.split(' ');
    let id = ReplicaId(words.next().unwrap().parse().unwrap());
    let data_dir = words.next().unwrap().into();
    let durability = words.next().unwrap().parse().unwrap();
    let member = |text: &str| {
        let (peer, client) = text.split_once(',').unwrap();
        Member {
            peer: peer.into(),
            client: client.into(),
        }
    };
    let members = (0..).map(ReplicaId).zip(words.map(member)).collect();
    let config = Config {
        durability,
        log_entries: 1000,
        // So that the log is replaced many times.
        log_bytes: 64 << 10,
        ..Config::new(id, members, data_dir)
    };
    match serve(config) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error}: {:?}", std::error::Error::source(&error));
            std::process::exit(1);
        }
    }
}

impl Group {
    pub(crate) fn start(size: usize, durability: Durability) -> Self {
        // Held together, so that no two are the same.
        let held: Vec<_> = (0..2 * size)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let address = |position: usize| held[position].local_addr().unwrap().to_string();
        let members = (0..size)
            .map(|i| Member {
                peer: address(2 * i),
                client: address(2 * i + 1),
            })
            .collect();
        drop(held);
        let mut group = Self {
            directory: tempfile::tempdir().unwrap(),
            durability,
            members,
            processes: BTreeMap::new(),
        };
        for id in 0..size {
            group.start_replica(id);
        }
        for id in 0..size {
            group.wait_for(id, "role:");
        }
        group
    }

    pub(crate) fn start_replica(&mut self, id: usize) {
        let directory = self.directory.path().join(id.to_string());
        let mut spec = format!("{id} {} {}", directory.display(), self.durability);
        for Member { peer, client } in &self.members {
            spec.push_str(&[" ", peer, ",", client].concat());
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["replica_process", "--exact", "--nocapture"])
            .env(SPEC, spec)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.processes.insert(id, child);
    }

    pub(crate) fn kill(&mut self, id: usize) {
        let mut child = self.processes.remove(&id).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal, such as `STOP` or `CONT`.
    pub(crate) fn signal(&self, id: usize, signal: &str) {
        let pid = self.processes[&id].id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// The CPU time of all threads of a replica.
    pub(crate) fn cpu_time(&self, id: usize) -> Duration {
        let pid = self.processes[&id].id();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let time = |thread: fs::DirEntry| -> Option<u64> {
            // A thread may end meanwhile.
            let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            line.split(' ').next()?.parse().ok()
        };
        Duration::from_nanos(threads.filter_map(|thread| time(thread.ok()?)).sum())
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        let client = |member: &Member| member.client.clone();
        self.members.iter().map(client).collect()
    }

    pub(crate) fn connect(&self, id: usize) -> Option<Client> {
        Client::connect(&self.members[id].client)
    }

    /// Who has a role, once somebody does, among those that may have it.
    pub(crate) fn holder(&self, role: &str, among: &[usize]) -> usize {
        for _ in 0..ATTEMPTS {
            for id in among {
                let info = self
                    .connect(*id)
                    .and_then(|mut client| client.ask(&["INFO"]));
                if info.is_some_and(|info| info.contains(&format!("role:{role}\r\n"))) {
                    return *id;
                }
            }
            pause();
        }
        panic!("nobody of {among:?} becomes {role}");
    }

    fn wait_for(&self, id: usize, text: &str) {
        for _ in 0..ATTEMPTS {
            let info = self
                .connect(id)
                .and_then(|mut client| client.ask(&["INFO"]));
            if info.is_some_and(|info| info.contains(text)) {
                return;
            }
            pause();
        }
        panic!("replica {id} does not come up");
    }

    /// Asks a replica again and again until it answers.
    pub(crate) fn insist(&self, id: usize, words: &[&str]) -> String {
        for _ in 0..ATTEMPTS {
            let answer = self.connect(id).and_then(|mut client| client.ask(words));
            if let Some(answer) = answer.filter(|answer| !answer.starts_with('-')) {
                return answer;
            }
            pause();
        }
        panic!("replica {id} does not answer {words:?}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            let _gone_already = child.kill();
            let _status = child.wait();
        }
    }
}

pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(25));
}
