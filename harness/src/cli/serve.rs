use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use raft::{Config, Durability, Member, Reads, ReplicaId, Timing};
use vocab::units::{Bytes, Span};

use super::{CliError, Exit};

mod copilot;

/// Runs one replica of a built-in system, by hand or for an experiment.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench serve raft --help")]
pub(super) struct Serve {
    #[command(subcommand)]
    system: System,
}

#[derive(Debug, Subcommand)]
enum System {
    Raft(RaftArgs),
    Copilot(copilot::CopilotArgs),
}

/// A replica of DepFast-Raft; clients speak the Redis protocol to it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, one replica alone, and a client:
  depbench serve raft --id 1 --member 1=127.0.0.1:7000,127.0.0.1:6379 --data /tmp/r1
  redis-cli set k v

Example, the first of three:
  depbench serve raft --id 1 --data /tmp/r1 --member 1=127.0.0.1:7001,127.0.0.1:6381 \\
    --member 2=127.0.0.1:7002,127.0.0.1:6382 --member 3=127.0.0.1:7003,127.0.0.1:6383")]
struct RaftArgs {
    /// Which of the members this replica is.
    #[arg(long)]
    id: u32,
    /// A member, this one included: its number, and where peers and clients reach it; once for each.
    #[arg(long = "member", value_name = "ID=PEER,CLIENT", required = true)]
    members: Vec<MemberArg>,
    /// Where the log file lies.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What an acknowledged write has survived: `fsync`, the disks of a majority, or `memory`, its memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
    /// A follower that hears nothing for this long, up to twice as long, stands for election.
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().election_timeout.start))]
    election_timeout: Span,
    /// How often an idle leader says that it lives.
    #[arg(long, value_name = "TIME", default_value_t = Span::from(Timing::default().heartbeat))]
    heartbeat: Span,
    /// How much of the log is kept in memory besides the file; older entries are read back for a peer that lacks them.
    #[arg(long, value_name = "SIZE", default_value_t = Bytes(raft::config::LOG_MEMORY as u64))]
    log_memory: Bytes,
    /// How a read is known to be current: `quorum`, a majority answers first, or `lease`, a majority has answered lately;
    /// that needs clocks whose rates differ by less than a tenth.
    #[arg(long, default_value = "quorum")]
    reads: Reads,
    /// Whether a leader that finds itself slow (starved of CPU, slow flushes) hands leadership to a healthy follower.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set)]
    mitigation: bool,
    /// Join a group that runs already: wait until its leader takes this replica in (`DF.MEMBER ADD`).
    #[arg(long)]
    join: bool,
    /// Listen for peers here instead of at the member's address.
    #[arg(long, value_name = "ADDRESS")]
    peer_listen: Option<String>,
    /// Listen for clients here instead of at the member's address.
    #[arg(long, value_name = "ADDRESS")]
    client_listen: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct MemberArg {
    id: u32,
    member: Member,
}

impl FromStr for MemberArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(id, addresses)| {
            let (peer, client) = addresses.split_once(',')?;
            let member = Member {
                peer: peer.to_owned(),
                client: client.to_owned(),
            };
            let has_port = |address: &str| {
                address
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            };
            (has_port(peer) && has_port(client)).then_some(())?;
            Some(MemberArg {
                id: id.parse().ok()?,
                member,
            })
        });
        parts.ok_or_else(|| {
            "expected ID=PEER,CLIENT, such as 1=127.0.0.1:7000,127.0.0.1:6379".to_owned()
        })
    }
}

/// On standard error, which is unbuffered: it is a log. That its disk is full the server says itself.
fn announce(system: &str, id: impl fmt::Display, members: usize, data: &Path) {
    let data = data.display();
    let _full = writeln!(
        io::stderr(),
        "{system}: replica {id} of {members}, data in {data}"
    );
}

impl Serve {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        match self.system {
            System::Raft(raft) => {
                let config = raft.config();
                announce(
                    "depfast-raft",
                    config.id,
                    config.members.len(),
                    &config.data_dir,
                );
                raft::serve(config)?;
            }
            System::Copilot(copilot) => copilot.serve()?,
        }
        Ok(Exit::Pass)
    }
}

impl RaftArgs {
    fn config(self) -> Config {
        let members = self
            .members
            .into_iter()
            .map(|arg| (ReplicaId(arg.id), arg.member))
            .collect();
        Config {
            peer_listen: self.peer_listen,
            client_listen: self.client_listen,
            durability: self.durability,
            timing: Timing::new(self.election_timeout.duration(), self.heartbeat.duration()),
            log_memory: self.log_memory.as_usize(),
            reads: self.reads,
            mitigation: self.mitigation,
            joins: self.join,
            ..Config::new(ReplicaId(self.id), members, self.data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_with_both_addresses() {
        let arg: MemberArg = "2=[::1]:7000,host.example:6379".parse().unwrap();
        assert_eq!((arg.id, arg.member.peer.as_str()), (2, "[::1]:7000"));
        for text in [
            "",
            "1",
            "1=a:1",
            "x=a:1,b:2",
            "1=a,b:2",
            "1=a:1,b:99999",
            "1=:1,b:2",
        ] {
            assert!(text.parse::<MemberArg>().is_err(), "{text}");
        }
    }

    /// What the target starts a member with is understood here.
    #[test]
    fn a_target_starts_a_replica_with_these_options() {
        use clap::Parser as _;
        use targets::{DepfastRaft, Layout, MemberAddress, Target as _};

        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            serve: Serve,
        }
        let node = |number: u8| MemberAddress {
            node: format!("s{number}").parse().unwrap(),
            ip: [10, 77, number, 2].into(),
            data: "/data".into(),
        };
        let layout = Layout {
            members: (1..=3).map(node).collect(),
            program: "/depbench".into(),
        };
        let plan = DepfastRaft::default().member(&layout, 1);
        let line = Line::try_parse_from(&plan.argv[1..]).unwrap();
        let System::Raft(raft) = line.serve.system else {
            panic!("another system")
        };
        let config = raft.config();
        assert_eq!((config.id, config.members.len()), (ReplicaId(2), 3));
        assert_eq!(config.validate(), Ok(()));
    }
}
