//! Replicas as processes, with real files and sockets.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use depfast_raft::{Config, Member, ReplicaId, Timing, serve};
use tempfile::TempDir;

use crate::client::Client;

/// Set in a process that is to be a replica: its number, its data directory, and all addresses.
const SPEC: &str = "DEPFAST_TEST_REPLICA";
/// Nothing here takes nearly as long.
const ATTEMPTS: usize = 400;

pub(crate) struct Group {
    directory: TempDir,
    members: Vec<Member>,
    options: Options,
    processes: BTreeMap<usize, Child>,
}

/// What differs from test to test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) election_timeout: Duration,
    pub(crate) mitigation: bool,
    pub(crate) snapshot_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_millis(300),
            mitigation: false,
            snapshot_bytes: 16 << 10,
        }
    }
}

/// Becomes a replica if this process was started to be one; does not return then.
pub(crate) fn become_replica_if_asked() {
    let Ok(spec) = std::env::var(SPEC) else {
        return;
    };
    let mut words = spec.split(' ');
    let id = ReplicaId(words.next().unwrap().parse().unwrap());
    let data_dir = words.next().unwrap().into();
    let mut number = || words.next().unwrap().parse().unwrap();
    let (election_timeout, mitigation, snapshot_bytes) = (number(), number(), number());
    let member = |text: &str| {
        let (peer, client) = text.split_once(',').unwrap();
        Member {
            peer: peer.into(),
            client: client.into(),
        }
    };
    let members = (0..).map(ReplicaId).zip(words.map(member)).collect();
    let config = Config {
        timing: Timing::new(
            Duration::from_millis(election_timeout),
            Duration::from_millis(election_timeout / 10),
        ),
        mitigation: mitigation == 1,
        snapshot_bytes,
        log_memory: 1000,
        segment_bytes: 64 << 10,
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
    pub(crate) fn start(size: usize) -> Self {
        Self::start_with(size, Options::default())
    }

    pub(crate) fn start_with(size: usize, options: Options) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), size, options)
    }

    /// Starts replicas that keep what they have in `directory`.
    pub(crate) fn start_in(directory: TempDir, size: usize, options: Options) -> Self {
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
            directory,
            members,
            options,
            processes: BTreeMap::new(),
        };
        for id in 0..size {
            group.start_replica(id);
        }
        group
    }

    pub(crate) fn start_replica(&mut self, id: usize) {
        let mut spec = format!(
            "{id} {} {} {} {}",
            self.directory.path().join(id.to_string()).display(),
            self.options.election_timeout.as_millis(),
            u8::from(self.options.mitigation),
            self.options.snapshot_bytes,
        );
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

    pub(crate) fn ask_to_stop(&mut self, id: usize) -> ExitStatus {
        let mut child = self.processes.remove(&id).unwrap();
        let asked = Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(asked.success());
        child.wait().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, id: usize, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.process(id).to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) fn process(&self, id: usize) -> u32 {
        self.processes[&id].id()
    }

    pub(crate) fn client_addresses(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.client.clone())
            .collect()
    }

    pub(crate) fn ids(&self) -> Vec<usize> {
        self.processes.keys().copied().collect()
    }

    pub(crate) fn client_address(&self, id: usize) -> &str {
        &self.members[id].client
    }

    pub(crate) fn connect(&self, id: usize) -> Option<Client> {
        Client::connect(self.client_address(id))
    }

    pub(crate) fn connect_to_leader(&self) -> Client {
        for _ in 0..ATTEMPTS {
            if let Some(client) = self.connect(self.leader()) {
                return client;
            }
        }
        panic!("no leader can be reached");
    }

    /// Who leads, once somebody does.
    pub(crate) fn leader(&self) -> usize {
        self.find_with(|info| info.contains("role:leader\r\n"))
    }

    /// A follower that knows its leader, once there is one.
    pub(crate) fn follower(&self) -> usize {
        self.find_with(|info| info.contains("role:follower\r\n") && !info.contains("leader:\r\n"))
    }

    fn find_with(&self, fits: impl Fn(&str) -> bool) -> usize {
        for _ in 0..ATTEMPTS {
            for id in self.processes.keys() {
                let info = self.connect(*id).and_then(|mut client| client.info());
                if info.is_some_and(|info| fits(&info)) {
                    return *id;
                }
            }
            pause();
        }
        panic!("no such replica came up");
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
